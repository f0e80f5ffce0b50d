#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn url_file(address: &str) -> Vec<u8> {
    format!("[InternetShortcut]\r\nURL={address}\r\n").into_bytes()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn plist_of(value: &plist::Value, binary: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if binary {
        value.to_writer_binary(&mut out).unwrap();
    } else {
        value.to_writer_xml(&mut out).unwrap();
    }
    out
}

fn webloc(address: &str, binary: bool) -> Vec<u8> {
    let mut dictionary = plist::Dictionary::new();
    dictionary.insert(
        "A".to_owned(),
        plist::Value::Array(vec![1.into(), "x".into()]),
    );
    dictionary.insert("URL".to_owned(), address.into());
    plist_of(&plist::Value::Dictionary(dictionary), binary)
}

#[test]
fn every_form_gives_its_address() {
    let want = "https://example.com/a?b=1&c=2";
    let mut bom = b"\xef\xbb\xbf".to_vec();
    bom.extend(url_file(want));
    let mut utf16 = b"\xff\xfe".to_vec();
    utf16.extend(wide(
        "[InternetShortcut]\r\nurl = https://example.com/a?b=1&c=2\r\n",
    ));
    let bare_utf16 = wide("[InternetShortcut]\r\nURL=https://example.com/a?b=1&c=2\r\n");
    let latin = b"[Other]\nURL=https://no.example/\n[InternetShortcut]\nTitle=caf\xe9\n\
        URL=https://example.com/a?b=1&c=2";
    let desktop = "[Desktop Entry]\nType=Link\nName=x\nURL[$e]=https://example.com/a?b=1&c=2\n";
    let table: &[(&[u8], &str)] = &[
        (&url_file(want), "a.url"),
        (&bom, "a.URL"),
        (&utf16, "a.url"),
        (&bare_utf16, "a.url"),
        (latin, "a.url"),
        (&url_file(want), "no extension"),
        (desktop.as_bytes(), "a.desktop"),
        (desktop.as_bytes(), "no extension"),
        (&webloc(want, false), "a.webloc"),
        (&webloc(want, true), "a.webloc"),
        (&webloc(want, false), "a.url"),
        (&webloc(want, true), "a"),
    ];
    for (bytes, name) in table {
        assert_eq!(
            read_link(bytes, name.as_bytes()).as_deref(),
            Ok(want),
            "{name}"
        );
    }
}

#[test]
fn an_address_is_normalised() {
    let sent = read_link(&url_file("  HTTPS://例え.jp/ü x "), b"a.url").unwrap();
    assert_eq!(sent, "https://xn--r8jz45g.jp/%C3%BC%20x");
}

#[test]
fn what_is_not_a_plain_https_page_is_refused_in_words() {
    let long = format!("https://example.com/{}", "x".repeat(MAX_ADDRESS));
    let grows = format!("https://example.com/{}", "ü".repeat(800));
    let program = b"[Desktop Entry]\nType=Application\nURL=https://example.com/\n";
    let table: &[(&[u8], &str, LinkError)] = &[
        (
            &url_file("http://example.com/"),
            "a.url",
            LinkError::NotHttps("http".to_owned()),
        ),
        (
            &url_file("javascript:alert(1)"),
            "a.url",
            LinkError::NotHttps("javascript".to_owned()),
        ),
        (
            &url_file("file:///etc/passwd"),
            "a.url",
            LinkError::NotHttps("file".to_owned()),
        ),
        (
            &url_file("example.com"),
            "a.url",
            LinkError::NotAnAddress("example.com".to_owned()),
        ),
        (
            &url_file("https://"),
            "a.url",
            LinkError::NotAnAddress("https://".to_owned()),
        ),
        (
            &url_file("https://u:p@example.com/"),
            "a.url",
            LinkError::Credentials,
        ),
        (
            &url_file("https://u@example.com/"),
            "a.url",
            LinkError::Credentials,
        ),
        (
            &url_file("https://example.com/\u{1b}[31m"),
            "a.url",
            LinkError::ControlCharacters,
        ),
        (
            &url_file("https://example.com/\tx"),
            "a.url",
            LinkError::ControlCharacters,
        ),
        (&url_file(&long), "a.url", LinkError::TooLong),
        (&url_file(&grows), "a.url", LinkError::TooLong),
        (&url_file(""), "a.url", LinkError::NoAddress),
        (b"", "a.url", LinkError::NoAddress),
        (
            b"[Other]\nURL=https://example.com/\n",
            "a.url",
            LinkError::NoAddress,
        ),
        (program, "a.desktop", LinkError::NoAddress),
        (
            b"[Desktop Entry]\nType=Link\n",
            "a.desktop",
            LinkError::NoAddress,
        ),
        (b"bplist00", "a.webloc", LinkError::NoAddress),
        (
            b"<plist><dict><key>URL</key>",
            "a.webloc",
            LinkError::Malformed,
        ),
        (b"hello", "a.webloc", LinkError::NoAddress),
        (&[b'x'; MAX_LINK_FILE + 1], "a.url", LinkError::TooLarge),
    ];
    for (bytes, name, want) in table {
        let error = read_link(bytes, name.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            *want,
            "{}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
        );
        assert!(error.to_string().contains([';', ',']), "{error}");
    }
}

#[test]
fn a_property_list_made_to_hurt_is_refused() {
    let deep = format!(
        "<plist><dict><key>A</key>{}{}<key>URL</key><string>https://example.com/</string></dict></plist>",
        "<array>".repeat(4000),
        "</array>".repeat(4000),
    );
    assert_eq!(
        read_link(deep.as_bytes(), b"a.webloc"),
        Err(LinkError::Malformed)
    );
    // A dictionary whose key and value are itself.
    let mut itself = b"bplist00\xd1\x00\x00\x08".to_vec();
    itself.extend([0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [1_u64, 0, 11] {
        itself.extend(number.to_be_bytes());
    }
    assert_eq!(read_link(&itself, b"a.webloc"), Err(LinkError::NoAddress));
    // One that claims 2^64 - 1 pairs.
    let mut endless = b"bplist00\xdf\x13\xff\xff\xff\xff\xff\xff\xff\xff\x08".to_vec();
    endless.extend([0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [1_u64, 0, 18] {
        endless.extend(number.to_be_bytes());
    }
    assert_eq!(read_link(&endless, b"a.webloc"), Err(LinkError::NoAddress));
}

proptest! {
    #[test]
    fn only_https_addresses_come_out(
        start in proptest::sample::select(vec![
            &b""[..], b"[InternetShortcut]\nURL=", b"[InternetShortcut]\nURL=https://",
            b"[Desktop Entry]\nType=Link\nURL=", b"bplist00", b"\xff\xfe", b"<plist><dict>",
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        name in proptest::sample::select(vec!["a.url", "a.webloc", "a.desktop", "a"]),
    ) {
        let bytes = [start, &rest].concat();
        if let Ok(address) = read_link(&bytes, name.as_bytes()) {
            prop_assert!(address.starts_with("https://") && address.len() <= MAX_ADDRESS);
            prop_assert!(address.bytes().all(|b| b.is_ascii_graphic()), "{}", address);
            prop_assert!(Url::parse(&address).unwrap().username().is_empty());
        }
    }

    #[test]
    fn a_broken_binary_webloc_never_panics(at in 0_usize..200, with in any::<u8>()) {
        let mut bytes = webloc("https://example.com/", true);
        let at = at % bytes.len();
        bytes[at] = with;
        if let Ok(address) = read_link(&bytes, b"a.webloc") {
            prop_assert!(address.starts_with("https://"));
        }
    }
}
