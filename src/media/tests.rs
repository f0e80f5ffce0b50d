#![allow(clippy::unwrap_used)]
use std::io::{Cursor, SeekFrom};

use proptest::prelude::*;

use super::*;
use crate::domain::media::{Hollow, LinkKind, Media, TextEncoding, TextKind};

fn of(bytes: &[u8], name: &str) -> Content {
    look(bytes, name).content
}

fn look(bytes: &[u8], name: &str) -> Detected {
    detect(&mut Cursor::new(bytes), name.as_bytes(), bytes.len() as u64).unwrap()
}

fn text(kind: TextKind, encoding: TextEncoding) -> Content {
    Content::Text { kind, encoding }
}

#[test]
fn text_in_every_dress() {
    use TextEncoding::*;
    use TextKind::*;
    let long_line = "a line without an end, 报告 ".repeat(8000);
    let wide = |s: &str| -> Vec<u8> { s.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let wide_be = |s: &str| -> Vec<u8> { s.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    let table: &[(&[u8], Content)] = &[
        (b"x", Content::PLAIN),
        (b"P", Content::PLAIN),
        (b"\n", Content::Hollow(Hollow::Text)),
        (long_line.as_bytes(), Content::PLAIN),
        (b"BM is not always a bitmap", Content::PLAIN),
        (b"MZ was his monogram", Content::PLAIN),
        (b"ID3 is a tag", Content::PLAIN),
        (b"GIF89a is a format", Content::PLAIN),
        (b"\x1b[32mok\x1b[0m\x0c\n", Content::PLAIN),
        (b"Gr\xfc\xdfe aus K\xf6ln", text(Plain, Legacy)),
        (b"\xbc\xbe\xb6\xc8\xb1\xa8\xb8\xe6", text(Plain, Legacy)),
        (
            b"\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd",
            text(Plain, Legacy),
        ),
        (
            &[&b"\xff\xfe"[..], &wide("报告")].concat(),
            text(Plain, Utf16),
        ),
        (
            &[&b"\xfe\xff"[..], &wide_be("报告")].concat(),
            text(Plain, Utf16),
        ),
        (&wide("no mark\r\n"), text(Plain, Utf16)),
        (&wide_be("no mark\r\n"), text(Plain, Utf16)),
        (b"\xef\xbb\xbf<!DOCTYPE html><p>", text(Html, Utf8)),
        (&wide("<html><body>"), text(Html, Utf16)),
        (b"<?xml version='1.0'?><svg/>", text(Svg, Utf8)),
        (b"<?xml version='1.0'?><a/>", text(Xml, Utf8)),
        (b"# A heading\n", Content::PLAIN),
        (b"#!/bin/sh\n", text(Script, Utf8)),
        (b"#![allow(dead_code)]\n", Content::PLAIN),
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
            text(PrivateKey, Utf8),
        ),
        (
            b"Bag Attributes\n  friendlyName: x\n-----BEGIN PRIVATE KEY-----\nMIIE",
            text(PrivateKey, Utf8),
        ),
        (
            b"{\"private_key\": \"-----BEGIN RSA PRIVATE KEY-----\\nMII\"}",
            text(PrivateKey, Utf8),
        ),
        (
            b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
            text(PrivateKey, Utf8),
        ),
        (b"PuTTY-User-Key-File-2: ssh-rsa\n", text(PrivateKey, Utf8)),
        (b"-----BEGIN PUBLIC KEY-----\nMII", Content::PLAIN),
        (b"BEGIN your PRIVATE KEY lessons", Content::PLAIN),
        (b"--- a list\n", Content::PLAIN),
        (b"[InternetShortcut]\nURL=x", Content::Link(LinkKind::Url)),
        (
            b"#!/usr/bin/xdg-open\n[Desktop Entry]\nType=Link\n",
            text(Script, Utf8),
        ),
        (
            b"# c\n[Desktop Entry]\nType=Link\n",
            Content::Link(LinkKind::Desktop),
        ),
        (b"[Desktop Entry]\nType=Application\n", text(Json, Utf8)),
        (b"[a](b)", text(Json, Utf8)),
        (b" -1.5 degrees", text(Json, Utf8)),
        (b"nullify", text(Json, Utf8)),
        (b"{\"a\": 1}", text(Json, Utf8)),
        (b"{}", text(EmptyJson, Utf8)),
        (b" [ ]\n", text(EmptyJson, Utf8)),
        (b"{\\rtf1 x}", Content::RTF),
    ];
    for (bytes, want) in table {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(of(bytes, "x"), *want, "{shown}");
    }
}

#[test]
fn bytes_that_are_no_text() {
    for bytes in [
        &b"\0"[..],
        b"\xff\xfe\0\0",
        b"a\0b\0\0\0",
        b"\x01\x02",
        b"\xff\xff\xff",
        b"ab\x7f",
        b"a\x80b\x81\x20\x82\x20",
    ] {
        assert!(!matches!(of(bytes, "x"), Content::Text { .. }), "{bytes:?}");
    }
}

#[test]
fn a_character_cut_by_the_end_of_the_head_is_still_text() {
    for pad in 0..4 {
        let text = format!("{}{}", "a".repeat(pad), "报".repeat(HEAD));
        assert_eq!(of(text.as_bytes(), "x.txt"), Content::PLAIN);
    }
    // At the end of the file it is not UTF-8.
    assert_ne!(of(&"报告".as_bytes()[..5], "x.txt"), Content::PLAIN);
}

#[test]
fn pdf_in_the_first_kib_decides() {
    let junk = b"\0\x01\x02junk\r\n";
    let body = b"%PDF-1.7\n1 0 obj\nstartxref\n0\n%%EOF\n";
    let behind = |n: usize| [&vec![0; n][..], body].concat();
    assert_eq!(of(body, "x"), Content::Pdf);
    assert_eq!(of(&[&junk[..], body].concat(), "x"), Content::Pdf);
    assert_eq!(of(&behind(1024), "x.pdf"), Content::Pdf);
    assert_eq!(of(&behind(1024), "x"), Content::Pdf);
    assert_eq!(of(&behind(1024), "x.bin"), Content::Unknown);
    assert_eq!(of(&behind(1025), "x.pdf"), Content::Unknown);
    // Part of a signed message, or of a drawing.
    let der = [&b"\x30\x82\x07\x47\x06\x09"[..], body].concat();
    let mut emf = vec![0; 100];
    emf[0] = 1;
    emf[40..44].copy_from_slice(b" EMF");
    emf.extend(body);
    for (bytes, name) in [
        (&der, "a.p7m"),
        (&der, "a"),
        (&emf, "a.emf"),
        (&emf, "a.pdf"),
    ] {
        assert_ne!(of(bytes, name), Content::Pdf, "{name}");
    }
    // A zip with a PDF in front of it, or hidden in its extra field.
    let zip = b"PK\x03\x04\x14\0\0\0\0\0aaaaaaaaaaaaaaaa\x01\0\x10\0n%PDF-1.7\n......data";
    let end = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(of(&[&body[..], zip, end].concat(), "x.zip"), Content::Pdf);
    assert_eq!(of(&[&zip[..], end].concat(), "x.zip"), Content::ZIP);
    // Quoted in a text, it is a text; called .pdf and with objects, a PDF.
    let note = b"The header is `%PDF-1.7`.";
    assert_eq!(of(note, "x.md"), Content::PLAIN);
    assert_eq!(of(note, "x.pdf"), Content::PLAIN);
    assert_eq!(
        of(&[&b"From: a\n"[..], body].concat(), "x.pdf"),
        Content::Pdf
    );
    assert_eq!(
        of(&[&b"From: a\n"[..], body].concat(), "x.eml"),
        Content::PLAIN
    );
    // A program stays one.
    assert_eq!(
        of(&[&b"\x7fELF\x02\x01\x01\0"[..], body].concat(), "x.pdf"),
        Content::Executable
    );
}

/// A zip of empty stored entries, the directory after junk of `gap` bytes.
fn zip_of(names: &[&str], gap: usize, comment: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for name in names {
        let at = u32::try_from(out.len()).unwrap();
        let len = u16::try_from(name.len()).unwrap().to_le_bytes();
        out.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0");
        out.extend([0; 12]);
        out.extend(len);
        out.extend([0, 0]);
        out.extend(name.as_bytes());
        directory.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0");
        directory.extend([0; 12]);
        directory.extend(len);
        directory.extend([0; 12]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    out.extend(vec![0; gap]);
    let at = u32::try_from(out.len()).unwrap();
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0");
    out.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend(u16::try_from(comment).unwrap().to_le_bytes());
    out.extend(vec![b'c'; comment]);
    out
}

#[test]
fn a_zip_is_what_its_directory_says() {
    let types = "[Content_Types].xml";
    let table: &[(&[&str], Content)] = &[
        (&[types, "word/document.xml"], Content::Docx),
        (&["word/document.xml", types], Content::Docx),
        (&["word/document.xml"], Content::ZIP),
        (&[types], Content::ZIP),
        (
            &[types, "word/document.xml", "word/vbaProject.bin"],
            Content::DOCM,
        ),
        (&[types, "xl/workbook.xml"], Content::XLSX),
        (&[types, "ppt/presentation.xml"], Content::PPTX),
        (&["my word/a", types], Content::ZIP),
        (&["a.txt"], Content::ZIP),
    ];
    for (names, want) in table {
        // With everything in the head, and with the end far behind it, with a
        // comment and without.
        for (gap, comment) in [(0, 0), (3 * HEAD, 0), (3 * HEAD, 5000), (0, 65_535)] {
            let zip = zip_of(names, gap, comment);
            assert_eq!(of(&zip, "x"), *want, "{names:?} {gap} {comment}");
        }
    }
    assert_eq!(
        of(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "x"),
        Content::ZIP
    );
}

#[test]
fn a_zip_cut_anywhere_is_incomplete() {
    let zip = zip_of(&["[Content_Types].xml", "word/document.xml"], 100, 0);
    for len in 4..zip.len() {
        assert_eq!(of(&zip[..len], "x.docx"), Content::IncompleteZip, "{len}");
    }
    // The middle is missing: the end says the directory is further on.
    let holed = [&zip[..40], &zip[90..]].concat();
    assert_eq!(of(&holed, "x.docx"), Content::IncompleteZip);
}

fn mp4_box(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], kind, body].concat()
}

fn moov(handlers: &[&[u8]]) -> Vec<u8> {
    let tracks: Vec<u8> = handlers
        .iter()
        .flat_map(|h| {
            let hdlr = mp4_box(b"hdlr", &[&[0; 8][..], h, &[0; 13]].concat());
            mp4_box(b"trak", &mp4_box(b"mdia", &hdlr))
        })
        .collect();
    mp4_box(b"moov", &tracks)
}

#[test]
fn a_movie_is_told_by_its_tracks_wherever_they_are() {
    let ftyp = |brand: &[u8]| mp4_box(b"ftyp", &[brand, &[0; 4], b"isom"].concat());
    let data = mp4_box(b"mdat", &vec![1; 3 * HEAD]);
    let table: &[(Vec<u8>, Content)] = &[
        (
            [ftyp(b"isom"), data.clone(), moov(&[b"soun", b"vide"])].concat(),
            Content::Mp4,
        ),
        (
            [ftyp(b"isom"), moov(&[b"vide"]), data.clone()].concat(),
            Content::Mp4,
        ),
        (
            [ftyp(b"isom"), data.clone(), moov(&[b"soun"])].concat(),
            Content::M4A,
        ),
        ([ftyp(b"M4A "), moov(&[b"soun"])].concat(), Content::M4A),
        (
            [ftyp(b"qt  "), data.clone(), moov(&[b"vide"])].concat(),
            Content::QuickTime,
        ),
        (
            [data.clone(), moov(&[b"vide"])].concat(),
            Content::QuickTime,
        ),
        (
            [ftyp(b"3gp4"), moov(&[b"vide"])].concat(),
            Content::THREE_GP,
        ),
        (ftyp(b"heic"), Content::HEIC),
        (ftyp(b"mif1"), Content::HEIC),
        (ftyp(b"avif"), Content::AVIF),
        (
            [ftyp(b"isom"), data.clone()].concat(),
            Content::IncompleteMovie,
        ),
        (
            [ftyp(b"isom"), data[..HEAD].to_vec()].concat(),
            Content::IncompleteMovie,
        ),
        // Cut, but its tracks came first: it plays.
        (
            [ftyp(b"isom"), moov(&[b"vide"]), data[..HEAD].to_vec()].concat(),
            Content::Mp4,
        ),
    ];
    for (n, (bytes, want)) in table.iter().enumerate() {
        assert_eq!(of(bytes, "x"), *want, "row {n}");
    }
}

#[test]
fn a_long_tag_and_leading_zeros_do_not_hide_an_mp3() {
    // MPEG-1 layer III, 128 kbit/s, 44.1 kHz: frames of 417 bytes.
    let mut frame = vec![0_u8; 417];
    frame[..4].copy_from_slice(b"\xff\xfb\x90\x00");
    let sound = frame.repeat(5);
    let tag = |len: usize| {
        let mut tag = b"ID3\x04\0\0".to_vec();
        tag.extend([21, 14, 7, 0].map(|s| u8::try_from(len >> s & 0x7f).unwrap()));
        tag.extend(vec![b'x'; len]);
        tag
    };
    assert_eq!(of(&sound, "x"), Content::Mp3);
    assert_eq!(
        of(&[vec![0; 700], sound.clone()].concat(), "x"),
        Content::Mp3
    );
    assert_eq!(
        of(&[tag(200_000), sound.clone()].concat(), "x"),
        Content::Mp3
    );
    assert_eq!(
        of(&[tag(200_000), b"fLaC\0\0".to_vec()].concat(), "x"),
        Content::FLAC
    );
    // One frame by chance is none.
    assert_eq!(
        of(&[frame.clone(), vec![1; 900]].concat(), "x"),
        Content::Unknown
    );
    // Nor is one that runs past the end of the file.
    assert_eq!(
        of(&[vec![7; 50], frame[..100].to_vec()].concat(), "x"),
        Content::Unknown
    );
    assert_eq!(of(&frame[..100], "x"), Content::Unknown);
    // A file of one frame is.
    assert_eq!(of(&frame, "x"), Content::Mp3);
}

#[test]
fn the_library_names_the_rest() {
    let glb = of(b"glTF\x02\0\0\0\x10\0\0\0\0\0\0\0", "x.glb");
    let Content::Other { extension, .. } = &glb else {
        panic!("{glb:?}")
    };
    assert_eq!(extension, "glb");
    assert_eq!(
        of(b"SQLite format 3\0\x10\0\x01\x01", "x.txt").sure_media(),
        None
    );
}

#[test]
fn a_file_that_shrank_is_what_is_left_of_it() {
    let of = |bytes: &[u8], size| {
        let detected = detect(&mut Cursor::new(bytes), b"a.pdf", size);
        detected.unwrap().content
    };
    assert_eq!(of(b"%PDF-1.7 1 0 obj", 1 << 40), Content::Pdf);
    assert_eq!(of(b"", 5000), Content::Empty);
}

#[test]
fn errors_of_the_disk_are_errors() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    assert_eq!(
        detect(&mut Broken, b"a", 9).unwrap_err().raw_os_error(),
        Some(5)
    );
}

/// Counts what is read of a file that claims to be huge.
struct Counted {
    head: Vec<u8>,
    at: u64,
    size: u64,
    read: usize,
    calls: usize,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf
            .len()
            .min(usize::try_from(self.size - self.at.min(self.size)).unwrap());
        for (n, b) in buf[..len].iter_mut().enumerate() {
            let at = usize::try_from(self.at).unwrap() + n;
            *b = self.head[at % self.head.len()];
        }
        self.at += len as u64;
        self.read += len;
        self.calls += 1;
        Ok(len)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if let SeekFrom::Start(at) = to {
            self.at = at;
        }
        Ok(self.at)
    }
}

fn counted(head: &[u8], size: u64) -> (Content, Counted) {
    let mut file = Counted {
        head: head.to_vec(),
        at: 0,
        size,
        read: 0,
        calls: 0,
    };
    let content = detect(&mut file, b"x", size).unwrap().content;
    (content, file)
}

#[test]
fn common_types_take_one_read_and_one_of_their_end() {
    for (head, calls, beside) in [
        (&b"%PDF-1.7 obj startxref %%EOF\n"[..], 2, 4096),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0IEND", 2, 4096),
        (b"\xff\xd8\xff\xe0\xff\xd9", 2, 1024),
        (b"some text\n", 1, 0),
    ] {
        let (_, file) = counted(head, 1 << 33);
        assert_eq!((file.calls, file.read), (calls, HEAD + beside), "{head:?}");
    }
}

#[test]
fn reads_beside_the_head_end_with_the_budget() {
    for len in [1, 700, 100_000] {
        let mut file = Counted {
            head: vec![7],
            at: 0,
            size: 1 << 40,
            read: 0,
            calls: 0,
        };
        let mut window = Window::open(&mut file, 1 << 40).unwrap();
        let reads = (1..5000).map(|n| window.at(n << 20, len).unwrap().len());
        let lens: Vec<usize> = reads.collect();
        assert_eq!((lens[0], lens[4998]), (len, 0));
        assert!(file.read <= MAX_READ && file.calls <= 1 + (MAX_READ - HEAD) / 512);
    }
}

const MARKS: &[&[u8]] = &[
    b"",
    b"%PDF-",
    b"%PDF-1.4\n1 0 obj\n",
    b"1 0 obj<</Filter/Standard/R 3/Length 128/P -4/O(",
    b"\nxref\n0 9223372036854775807\n",
    b"trailer<</Root 1 0 R/Encrypt 9223372036854775806 0 R/ID[<00>(",
    b"/Encrypt<</R 6/P 1/O<00>/U<",
    b"\nstartxref\n17\n%%EOF",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x07",
    b"PK\x01\x02",
    b"ID3\x04\0",
    b"\0\0\0\x18ftypisom",
    b"\0\0\0\x01ftypqt  ",
    b"\0\0\0\x08moov",
    b"\0\0\0\x08free",
    b"\x1a\x45\xdf\xa3",
    b"\x18\x53\x80\x67\x01\0\0\0\0\0\0\0",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"\xff\xfb\x90\x00",
    b"\xff\xf1\x50\x80",
    b"RIFF....WAVE",
    b"OggS",
    b"MZ",
    b"\x7fELF",
    b"\xff\xfe",
    b"\xfe\xff",
    b"bplist00",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"\0\0\x01\xba",
    b"<?xml ",
    b"[Desktop Entry]\n",
    b"\x1f\x8b",
    b"\x00\x00\x01\x00",
];

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(MARKS).prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 0..60),
        Just(vec![0; 40]),
        Just(vec![0xff; 40]),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in pieces(), claimed in any::<u64>(), name in ".{0,8}") {
        let len = bytes.len() as u64;
        for size in [len, claimed] {
            detect(&mut Cursor::new(&bytes), name.as_bytes(), size).unwrap();
        }
    }

    #[test]
    fn reads_are_bounded(bytes in pieces(), size in 0_u64..1 << 40) {
        let head = if bytes.is_empty() { vec![0] } else { bytes };
        let (_, file) = counted(&head, size);
        prop_assert!(file.read <= MAX_READ, "{} bytes", file.read);
        prop_assert!(file.calls <= 1 + (MAX_READ - HEAD) / 512, "{} calls", file.calls);
    }

    #[test]
    fn what_people_write_is_text(words in "[a-zA-Z报][a-zA-Zà-ž报告数据\n ,.]{0,199}") {
        prop_assert_eq!(of(words.as_bytes(), "x.txt"), Content::PLAIN);
    }

    #[test]
    fn noise_is_neither_text_nor_sound(
        bytes in proptest::collection::vec(any::<u8>(), 400..2000),
    ) {
        let content = of(&bytes, "x.txt");
        let media = content.sure_media();
        let wrong = matches!(content, Content::Text { .. }) || media == Some(Media::Audio);
        prop_assert!(!wrong, "{:?}", content);
    }
}
