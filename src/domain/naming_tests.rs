#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

#[test]
fn upload_names() {
    let table: &[(&[u8], Option<&str>, &str)] = &[
        (b"report.pdf", None, "report.pdf"),
        ("报告.pdf".as_bytes(), None, "报告.pdf"),
        (b"photo.jpg", Some("png"), "photo.jpg.png"),
        (b"photo.PNG", Some("png"), "photo.PNG"),
        (b"notes", Some("txt"), "notes.txt"),
        (b"notes.", Some("txt"), "notes.txt"),
        (b".txt", Some("txt"), ".txt.txt"),
        (b"", None, "file"),
        (b"", Some("txt"), "file.txt"),
        (b".", None, "%2E"),
        (b"..", None, "%2E%2E"),
        (b"a\"b\r\nc\\d/e.md", None, "a%22b%0D%0Ac%5Cd%2Fe.md"),
        (b"caf\xe9.txt", None, "caf%E9.txt"),
        (b"100%.txt", None, "100%.txt"),
        ("a\u{202e}fdp.exe".as_bytes(), None, "a%E2%80%AEfdp.exe"),
        (b"a\0b\x7f", None, "a%00b%7F"),
    ];
    for (name, fix, want) in table {
        assert_eq!(upload_name(name, *fix), *want, "{:?}", shown(name));
    }
}

#[test]
fn a_long_name_keeps_its_extension_and_whole_characters() {
    let name = format!("{}.docx", "报".repeat(200));
    let cut = upload_name(name.as_bytes(), None);
    assert!(
        cut.len() <= MAX_UPLOAD_NAME && cut.ends_with("报.docx"),
        "{cut}"
    );
    let cut = upload_name(name.as_bytes(), Some("pdf"));
    assert!(
        cut.len() <= MAX_UPLOAD_NAME && cut.ends_with(".pdf"),
        "{cut}"
    );
    let cut = upload_name(&[0xff; 400], None);
    assert_eq!(cut, "%FF".repeat(85));
}

#[test]
fn shown_names() {
    let table: &[(&[u8], &str)] = &[
        ("报告 1.pdf".as_bytes(), "报告 1.pdf"),
        (b"a\nb\tc\r", "a\\nb\\tc\\r"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        (b"\xff.txt", "\\xff.txt"),
        (b"a\\xff", "a\\\\xff"),
        ("\u{202e}\u{9b}".as_bytes(), "\\u{202e}\\u{9b}"),
    ];
    for (name, want) in table {
        assert_eq!(shown(name), *want);
    }
    assert_eq!(shown(&[b'a'; 5000]).chars().count(), MAX_SHOWN + 1);
}

#[test]
fn service_text_is_cut_at_whole_escapes() {
    assert_eq!(shown_text("quota\nused \\ up", 99), "quota\\nused \\ up");
    assert_eq!(shown_text("abcdef", 6), "abcdef");
    assert_eq!(shown_text("abcdefg", 6), "abcdef…");
    assert_eq!(shown_text("abcde\u{1b}", 6), "abcde…");
    assert_eq!(shown_text("x", 0), "…");
    assert_eq!(shown_text("", 0), "");
}

#[test]
fn temporary_names() {
    use TemporaryKind::*;
    let table: &[(&str, Option<TemporaryKind>)] = &[
        ("a.part", Some(Pattern("*.part"))),
        ("a.pdf.CRDOWNLOAD", Some(Pattern("*.crdownload"))),
        ("a.Download", Some(Pattern("*.download"))),
        ("a.filepart", Some(Pattern("*.filepart"))),
        ("a.partial", Some(Pattern("*.partial"))),
        ("a.tmp", Some(Pattern("*.tmp"))),
        ("a.temp", Some(Pattern("*.temp"))),
        ("a.txt.swp", Some(Pattern("*.swp"))),
        ("a.txt~", Some(Backup)),
        ("~$report.docx", Some(OfficeLock)),
        (".report.pdf.x8Ab2Z", Some(Rsync)),
        (".report.pdf", Some(Dotfile)),
        (".DS_Store", Some(Dotfile)),
        (".abcdef", Some(Dotfile)),
        (".", Some(Dotfile)),
        ("a.tmp.pdf", None),
        ("part", None),
        ("tmp", None),
        ("a.parts", None),
        ("~home.txt", None),
        ("", None),
        ("报告.pdf", None),
    ];
    for (name, want) in table {
        assert_eq!(is_temporary(name.as_bytes()), *want, "{name}");
    }
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..600),
        any::<String>().prop_map(String::into_bytes),
        "[a-z.\\\\\"\n\u{202e}报]{0,400}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn an_upload_name_breaks_nothing(
        name in any_name(),
        fix in proptest::option::of(prop_oneof![Just("png"), Just("txt")]),
    ) {
        let sent = upload_name(&name, fix);
        prop_assert!((1..=MAX_UPLOAD_NAME).contains(&sent.len()));
        prop_assert!(sent != "." && sent != "..");
        prop_assert!(!sent.contains(['"', '/', '\\', '\r', '\n', '\0']));
        prop_assert!(!sent.chars().any(is_unsafe));
        if let Some(fix) = fix {
            let end = format!(".{fix}");
            prop_assert!(sent.to_ascii_lowercase().ends_with(&end));
        }
    }

    #[test]
    fn a_plain_name_is_sent_as_it_is(name in "[a-z报é %]{1,40}\\.[a-z]{1,5}") {
        prop_assert_eq!(upload_name(name.as_bytes(), None), name.clone());
        prop_assert_eq!(shown(name.as_bytes()), name);
    }

    #[test]
    fn what_is_shown_is_one_safe_line(name in any_name(), max in 0_usize..300) {
        let text = String::from_utf8_lossy(&name).into_owned();
        for line in [shown(&name), shown_text(&text, max)] {
            prop_assert!(!line.chars().any(is_unsafe), "{:?}", line);
        }
        prop_assert!(shown_text(&text, max).chars().count() <= max + 1);
    }

    #[test]
    fn different_names_are_shown_differently(a in any_name(), b in any_name()) {
        prop_assert_eq!(a == b, shown(&a) == shown(&b));
    }

    #[test]
    fn is_temporary_is_total_and_caseless(name in any_name()) {
        let kind = is_temporary(&name);
        prop_assert_eq!(kind, is_temporary(&name.to_ascii_uppercase()));
    }
}

#[test]
fn what_is_cut_says_so_however_wide_its_characters_are() {
    for c in ["a", "é", "资", "😀"] {
        let longest = c.repeat(MAX_SHOWN);
        assert_eq!(shown(longest.as_bytes()), longest);
        for more in [1, 2, 900] {
            let long = c.repeat(MAX_SHOWN + more);
            assert_eq!(
                shown(long.as_bytes()),
                format!("{longest}…"),
                "{c} and {more}"
            );
        }
    }
}

#[test]
fn a_control_character_is_not_taken_for_a_byte_that_is_no_text() {
    assert_eq!(shown("\u{80}".as_bytes()), "\\u{80}");
    assert_eq!(shown(b"\x80"), "\\x80");
    assert_eq!(shown(b"\x7f"), "\\x7f");
}

#[test]
fn why_a_name_is_temporary_is_said_in_words() {
    for (name, words) in [
        ("film.PART", "ends in .part"),
        ("notes.txt~", "ends in ~"),
        ("~$a.docx", "starts with ~$"),
        (".a.pdf.Xy12ab", "rsync"),
        (".profile", "starts with a dot"),
        // rsync puts the file's name between its two dots.
        ("..Xy12ab", "starts with a dot"),
    ] {
        let why = is_temporary(name.as_bytes()).map(|why| why.to_string());
        assert!(
            why.as_ref().is_some_and(|w| w.contains(words)),
            "{name}: {why:?}"
        );
    }
}

#[test]
fn the_name_that_a_temporary_one_leads_to() {
    for (path, wanted) in [
        ("a.pdf.part", Some("a.pdf")),
        ("sub/a.pdf.CRDOWNLOAD", Some("sub/a.pdf")),
        ("m.mp4.part-Frag7", Some("m.mp4")),
        ("f.pdf.sb-1a2b3c4d-abcDEF", Some("f.pdf")),
        ("notes.txt~", Some("notes.txt")),
        (".notes.txt", Some("notes.txt")),
        (".a.pdf.Xy12ab", Some("a.pdf")),
        // Nothing is left, or it is temporary again.
        (".part", None),
        ("~", None),
        ("~$a.docx", None),
        ("a.pdf", None),
        ("sub.part/a.pdf", None),
    ] {
        let finished = finished_path(path.as_bytes());
        let finished = finished.map(|path| String::from_utf8(path).unwrap_or_default());
        assert_eq!(finished.as_deref(), wanted, "{path}");
    }
}
