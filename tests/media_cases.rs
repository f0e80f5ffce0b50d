//! Inputs that are sorted wrongly by a careless look, each with where it has to go:
//! the files of `tests/samples/sorting/` and more that are made here.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use supametas_sync::domain::media::{Media, ReasonKind, Sorted, default_lists, sort};
use supametas_sync::media::{Detected, detect};

use End::{Refused, To, Waits};
use Media::{Audio, Image, Text, Video};
use ReasonKind::{Binary, Cut, Empty, Locked, Nameless, PrivateKey, Unlisted, WrongName};

/// Where a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// To this import.
    To(Media),
    /// Nowhere, for this reason.
    Refused(ReasonKind),
    /// It waits for its end; when that does not come it is sent and marked (the
    /// import), or refused.
    Waits(Result<Media, ReasonKind>),
}

fn end_of(name: &str, bytes: &[u8]) -> End {
    let size = bytes.len() as u64;
    let Detected { content, is_cut } =
        detect(&mut Cursor::new(bytes), name.as_bytes(), size).unwrap();
    match sort(&content, name.as_bytes(), &default_lists()) {
        Sorted::Route { media, .. } if is_cut => Waits(Ok(media)),
        Sorted::Route { media, .. } => To(media),
        Sorted::Unsupported(reason) => Refused(reason.kind()),
        Sorted::Incomplete => Waits(Err(Cut)),
    }
}

/// The files, and where each goes.
const FILES: &[(&str, End)] = &[
    // Texts in the encodings of the world.
    ("text-ru-cp1251.txt", To(Text)),
    ("text-uk-cp1251.txt", To(Text)),
    ("text-en-cp1252.txt", To(Text)),
    ("text-fr-cp1252.txt", To(Text)),
    ("text-cs-cp852.txt", To(Text)),
    ("text-fr-cp850.txt", To(Text)),
    ("text-de-macroman.txt", To(Text)),
    ("text-el-cp737.txt", To(Text)),
    ("text-he-cp862.txt", To(Text)),
    ("text-sl-cp1250.txt", To(Text)),
    ("text-ru-koi8-r.txt", To(Text)),
    ("text-ja-shift-jis.txt", To(Text)),
    ("text-zh-gb18030.txt", To(Text)),
    ("text-ko-iso2022kr.txt", To(Text)),
    ("text-ja-utf-16-le.txt", To(Text)),
    ("text-zh-utf-16-be.txt", To(Text)),
    ("text-ko-utf-16-le.txt", To(Text)),
    ("text-ru-utf-16.txt", To(Text)),
    ("text-de-utf-32.txt", To(Text)),
    ("utf8-one-bad-byte-zh.txt", To(Text)),
    ("utf8-cut-at-end-zh.txt", To(Text)),
    ("text-vertical-tab.txt", To(Text)),
    ("json-del.json", To(Text)),
    ("json-html-error.json", Refused(WrongName)),
    ("json-xml.json", Refused(WrongName)),
    // Names behind which something else stands.
    ("access.log.1", Refused(Unlisted)),
    ("access.log-20240101", Refused(Unlisted)),
    ("data.csv_old", Refused(Unlisted)),
    ("server-key", Refused(PrivateKey)),
    // Word's other files.
    ("plain-word.docx", To(Text)),
    ("docm-without-vba.docm", Refused(Unlisted)),
    ("docm-vba-elsewhere.docx", Refused(WrongName)),
    ("template.dotx", Refused(Unlisted)),
    ("template-with-macros.dotm", Refused(Unlisted)),
    // PDFs with passwords, by each way of encrypting; with an empty user password
    // they open for everybody.
    ("pdf-user-password-40.pdf", Refused(Locked)),
    ("pdf-user-password-128-rc4.pdf", Refused(Locked)),
    ("pdf-user-password-128-aes.pdf", Refused(Locked)),
    ("pdf-user-password-256.pdf", Refused(Locked)),
    ("pdf-user-password-old-256.pdf", Refused(Locked)),
    ("pdf-user-password-streams.pdf", Refused(Locked)),
    ("pdf-user-password-linear.pdf", Refused(Locked)),
    ("pdf-owner-password-40.pdf", To(Text)),
    ("pdf-owner-password-128-rc4.pdf", To(Text)),
    ("pdf-owner-password-128-aes.pdf", To(Text)),
    ("pdf-owner-password-256.pdf", To(Text)),
    ("pdf-owner-password-old-256.pdf", To(Text)),
    ("pdf-owner-password-plain-metadata.pdf", To(Text)),
    ("pdf-owner-password-streams.pdf", To(Text)),
    ("pdf-owner-password-linear.pdf", To(Text)),
    ("pdf-cut-half.pdf", Waits(Ok(Text))),
    ("pdf-header-only.pdf", Refused(Empty)),
    ("invoice.pdf.p7m", Refused(Unlisted)),
    ("drawing.emf", Refused(Unlisted)),
    // Pictures.
    ("jpg-three-bytes.jpg", Refused(Empty)),
    ("png-mark-only.png", Refused(Empty)),
    ("jpg-ls.jls", Refused(Unlisted)),
    // A tag in front of another sound.
    ("id3-before.tta", Refused(Unlisted)),
    ("id3-before.ac3", Refused(Unlisted)),
    ("id3-before.ogg", Refused(Unlisted)),
    ("id3-before-ape.ape", Refused(Unlisted)),
    // Movies.
    ("phone-3gp-brand.mp4", To(Video)),
    ("mov-old-free-16.mov", To(Video)),
    ("mov-old-skip-wide.mov", To(Video)),
    ("mp4-cut-in-moov.mp4", Waits(Err(Cut))),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/sorting")
}

#[test]
fn every_file_goes_where_the_table_says() {
    let there = fs::read_dir(folder()).unwrap();
    let there = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.filter(|name| name != "make.py").collect();
    let table: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, table);
    let wrong = FILES.iter().filter_map(|(name, want)| {
        let got = end_of(name, &fs::read(folder().join(name)).unwrap());
        (got != *want).then(|| format!("{name}: {got:?}, not {want:?}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A whole sample under another file's name.
fn sample(name: &str) -> Vec<u8> {
    let path = folder().parent().unwrap().join(name);
    fs::read(&path).unwrap_or_else(|_| fs::read(folder().join(name)).unwrap())
}

/// An MP4 or QuickTime box.
fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], kind, body].concat()
}

/// A wave file of which the header says so many bytes of sound.
fn wave(says: u32, sound: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"RIFF....WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
    bytes[4..8].copy_from_slice(&says.saturating_add(36).to_le_bytes());
    bytes.extend(says.to_le_bytes());
    bytes.extend(sound);
    bytes
}

/// A tag of so many bytes, and what follows it.
fn tagged(len: u8, body: &[u8]) -> Vec<u8> {
    let head = [&b"ID3\x03\0\0\0\0\0"[..], &[len]].concat();
    [&head[..], &vec![0; usize::from(len)], body].concat()
}

fn made() -> Vec<(&'static str, Vec<u8>, End)> {
    let text = |s: &str| s.as_bytes().to_vec();
    let png = sample("gradient.png");
    let jpg = sample("gradient.jpg");
    let mp4 = sample("faststart.mp4");
    let rest = |bytes: &[u8], cut: usize| bytes[..bytes.len() - cut].to_vec();
    let mut control = text("words ").repeat(1000);
    control[3000] = 1;
    let mut controls = control.clone();
    controls[10..20].fill(2);
    let noise: Vec<u8> = (0..4000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1] | 1)
        .collect();
    let pdf = sample("plain.pdf");
    let mut long_pdf = pdf.clone();
    let end = long_pdf.split_off(pdf.len() - 200);
    long_pdf.extend(vec![b'%'; 200_000]);
    vec![
        // Text under a text's name is refused only for what no text can hold.
        ("one-control.txt", control.clone(), To(Text)),
        ("many-controls.txt", controls, Refused(Binary)),
        ("nul.txt", text("a text\0with a NUL"), Refused(Binary)),
        ("noise.txt", noise.clone(), Refused(Binary)),
        ("noise.md", noise.clone(), Refused(Binary)),
        ("noise.csv", noise.clone(), Refused(Binary)),
        ("nameless-control", control, Refused(Nameless)),
        (
            "all-bytes.txt",
            (0x80..=0xff).cycle().take(5000).collect(),
            To(Text),
        ),
        (
            "shifts.txt",
            text("\x0e8@G\x0f del \x7f back\x08 esc\x1b[1m ff\x0c vt\x0b"),
            To(Text),
        ),
        // Nothing in it.
        ("blank.txt", text(" \r\n\t\u{3000}\u{a0}\n"), Refused(Empty)),
        ("mark.txt", text("\u{feff}"), Refused(Empty)),
        ("mark-16.txt", b"\xff\xfe".to_vec(), Refused(Empty)),
        ("mark-32.txt", b"\xff\xfe\0\0".to_vec(), Refused(Empty)),
        ("blank-16.txt", b"\xfe\xff\0 \0\n".to_vec(), Refused(Empty)),
        ("blank.md", text("\n\n"), Refused(Empty)),
        ("blank", text("\n"), Refused(Empty)),
        ("list.json", text("[]\n"), Refused(Empty)),
        ("table.json", text(" { }"), Refused(Empty)),
        ("null.json", text("\u{feff}null"), Refused(Empty)),
        ("word.json", text("\"\""), Refused(Empty)),
        ("one.json", text("[0]"), To(Text)),
        ("number.json", text("-1.5e3"), To(Text)),
        ("true.json", text("\r\n true"), To(Text)),
        ("marked.json", text("\u{feff}{\"a\": 1}"), To(Text)),
        (
            "wide.json",
            b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0".to_vec(),
            To(Text),
        ),
        ("prose.json", text("not found"), Refused(WrongName)),
        ("script.json", text("#!/bin/sh\n"), Refused(WrongName)),
        ("page.json.1", text("<html></html>"), Refused(WrongName)),
        ("empty-picture.png", png[..33].to_vec(), Refused(Empty)),
        ("mark.jpeg", jpg[..20].to_vec(), Refused(Empty)),
        ("header.wav", wave(0, b""), Refused(Empty)),
        ("header-of-more.wav", wave(5000, b""), Refused(Empty)),
        ("tag.mp3", tagged(100, b""), Refused(Empty)),
        (
            "tag-and-old-tag.mp3",
            tagged(100, &[&b"TAG"[..], &[0; 125]].concat()),
            Refused(Empty),
        ),
        (
            "comments.pdf",
            text("%PDF-1.4\n%comment\n%%EOF\n"),
            Refused(Empty),
        ),
        // Behind an extension.
        ("app.env-prod", text("KEY=1\n"), Refused(Unlisted)),
        ("notes.txt.1", text("words\n"), To(Text)),
        ("photo.png.old", png.clone(), To(Image)),
        ("report.pdf-20240101", pdf.clone(), To(Text)),
        ("notes 1.2", text("words\n"), To(Text)),
        ("page.markdown", text("# words\n"), Refused(Unlisted)),
        ("any.bin", noise.clone(), Refused(Unlisted)),
        // Keys.
        (
            "note.md",
            text("Use this:\n```\n-----BEGIN EC PRIVATE KEY-----\nMHc\n"),
            Refused(PrivateKey),
        ),
        (
            "account.json",
            text("{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nMII\"}"),
            Refused(PrivateKey),
        ),
        (
            "id_ed25519",
            text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n"),
            Refused(PrivateKey),
        ),
        (
            "key.txt.bak",
            text("PuTTY-User-Key-File-3: ssh-rsa\n"),
            Refused(PrivateKey),
        ),
        (
            "cert.txt",
            text("-----BEGIN CERTIFICATE-----\nMII\n"),
            To(Text),
        ),
        // Behind a tag.
        (
            "id3-before.wv",
            tagged(100, b"wvpk\0\0\0\0\x10\x04"),
            Refused(Unlisted),
        ),
        (
            "id3-before-mpc.mpc",
            tagged(100, b"MP+\x07\x01\x02\x03\x04"),
            Refused(Unlisted),
        ),
        (
            "nameless-tag",
            tagged(100, b"MAC \x96\x0f\0\0"),
            Refused(Unlisted),
        ),
        ("odd.mp3", tagged(100, b"MAC \x96\x0f\0\0"), To(Audio)),
        // Ends.
        ("whole.png", png.clone(), To(Image)),
        (
            "more-behind.png",
            [&png[..], b"a note of the camera"].concat(),
            To(Image),
        ),
        ("cut.png", rest(&png, 12), Waits(Ok(Image))),
        ("cut.png.1", rest(&png, 12), Waits(Ok(Image))),
        ("whole.jpg", jpg.clone(), To(Image)),
        (
            "more-behind.jpg",
            [&jpg[..], &[7; 40_000]].concat(),
            To(Image),
        ),
        ("cut.jpg", rest(&jpg, 2), Waits(Ok(Image))),
        ("whole.wav", wave(8, &[1; 8]), To(Audio)),
        ("stream.wav", wave(u32::MAX - 36, &[1; 8]), To(Audio)),
        ("stopped.wav", wave(0, &[1; 4000]), To(Audio)),
        ("cut.wav", wave(4000, &[1; 1000]), Waits(Ok(Audio))),
        ("long.pdf", [&long_pdf[..], &end].concat(), To(Text)),
        ("cut.pdf", long_pdf, Waits(Ok(Text))),
        ("cut-faststart.mp4", rest(&mp4, 100), Waits(Ok(Video))),
        ("more-behind.mp4", [&mp4[..], &[0; 100]].concat(), To(Video)),
        (
            "half.docx",
            sample("plain-word.docx")[..300].to_vec(),
            Waits(Err(Cut)),
        ),
        (
            "half.pdf",
            sample("plain-word.docx")[..300].to_vec(),
            Refused(WrongName),
        ),
        // Movies by an unusual beginning.
        (
            "free-4k.mov",
            [
                boxed(b"free", &[0; 4096]),
                rest(&sample("mov-old-free-16.mov")[16..], 0),
            ]
            .concat(),
            To(Video),
        ),
        (
            "uuid-first.mp4",
            [boxed(b"uuid", &[9; 40]), mp4.clone()].concat(),
            To(Video),
        ),
        ("3gp.mov", sample("phone-3gp-brand.mp4"), To(Video)),
        (
            "phone.3gp",
            sample("phone-3gp-brand.mp4"),
            Refused(Unlisted),
        ),
    ]
}

#[test]
fn every_made_input_goes_where_the_table_says() {
    let wrong = made().into_iter().filter_map(|(name, bytes, want)| {
        let got = end_of(name, &bytes);
        (got != want).then(|| format!("{name}: {got:?}, not {want:?}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Samples that end early are held back, whole ones are not.
#[test]
fn whole_samples_are_not_taken_for_cut_ones() {
    for entry in fs::read_dir(folder().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() || name.starts_with("cut.") {
            continue;
        }
        let end = end_of(name, &fs::read(&path).unwrap());
        assert!(!matches!(end, Waits(_)), "{name}: {end:?}");
    }
}
