#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn route(media: Media) -> Sorted {
    Sorted::Route {
        media,
        extension_fix: None,
    }
}

fn fixed(media: Media, fix: &'static str) -> Sorted {
    Sorted::Route {
        media,
        extension_fix: Some(fix.to_owned()),
    }
}

fn text(kind: TextKind) -> Content {
    Content::Text {
        kind,
        encoding: TextEncoding::Utf8,
    }
}

const LEGACY: Content = Content::Text {
    kind: TextKind::Plain,
    encoding: TextEncoding::Legacy,
};

#[test]
fn what_the_service_takes_is_routed() {
    use Media::*;
    let url = Content::Link(LinkKind::Url);
    let table: &[(&Content, &str, Sorted)] = &[
        (&Content::Pdf, "a.pdf", route(Text)),
        (&Content::Pdf, "报告.PDF", route(Text)),
        (&Content::Docx, "a.docx", route(Text)),
        (&Content::PLAIN, "a.txt", route(Text)),
        (&Content::PLAIN, "a.md", route(Text)),
        (&text(TextKind::Json), "a.json", route(Text)),
        (&text(TextKind::Json), "a.txt", route(Text)),
        (&text(TextKind::EmptyJson), "a.txt", route(Text)),
        (&text(TextKind::Json), "README", fixed(Text, "txt")),
        (&LEGACY, "a.txt", route(Text)),
        (&text(TextKind::Html), "a.md", route(Text)),
        (&Content::PLAIN, "README", fixed(Text, "txt")),
        (&Content::PLAIN, "notes 1.2", fixed(Text, "txt")),
        (&Content::Jpeg, "a.jpg", route(Image)),
        (&Content::Jpeg, "a.JPEG", route(Image)),
        (&Content::Jpeg, "a.jfif", fixed(Image, "jpg")),
        (&Content::Png, "photo.jpg", fixed(Image, "png")),
        (&Content::Png, "photo", fixed(Image, "png")),
        (&Content::Png, "notes.txt", fixed(Image, "png")),
        (&Content::Png, "x.url", fixed(Image, "png")),
        (&Content::Pdf, "x.docx", fixed(Text, "pdf")),
        (&Content::Mp3, "a.mp3", route(Audio)),
        (&Content::Mp3, "a.wav", fixed(Audio, "mp3")),
        (&Content::Wav, "a.wav", route(Audio)),
        (&Content::Mp4, "a.mp4", route(Video)),
        (&Content::Mp4, "a.mov", route(Video)),
        (&Content::Mp4, "a.mpv", route(Video)),
        (&Content::Mp4, "a.m4v", fixed(Video, "mp4")),
        (&Content::QuickTime, "a.mov", route(Video)),
        (&Content::QuickTime, "a.mp3", fixed(Video, "mov")),
        (&Content::MpegVideo, "a.mpv", route(Video)),
        (&Content::MKV, "a.mpv", route(Video)),
        (&Content::THREE_GP, "a.mp4", route(Video)),
        (&Content::THREE_GP, "a.mov", route(Video)),
        // Behind an extension stands what a rotation or a copy puts there.
        (&Content::PLAIN, "notes.txt.1", fixed(Text, "txt")),
        (&Content::PLAIN, "notes.md-20240101", fixed(Text, "md")),
        (&Content::PLAIN, "notes.md_old", fixed(Text, "md")),
        (&Content::Pdf, "a.pdf.bak", fixed(Text, "pdf")),
        (&Content::Pdf, "a.pdf-2024-01-31.2", fixed(Text, "pdf")),
        (&Content::PLAIN, "release-1.2-rc1", fixed(Text, "txt")),
        (&Content::PLAIN, "README.1", fixed(Text, "txt")),
        (&url, "a.url.1", route(Web)),
        (&url, "a.url", route(Web)),
        (&url, "a", route(Web)),
        (&url, "a.txt", route(Text)),
        (&Content::IncompleteZip, "a.docx", Sorted::Incomplete),
        (&Content::IncompleteMovie, "a.mp4", Sorted::Incomplete),
        (&Content::IncompleteMovie, "a.mpv", Sorted::Incomplete),
    ];
    let lists = default_lists();
    for (content, name, want) in table {
        assert_eq!(
            sort(content, name.as_bytes(), &lists),
            *want,
            "{content:?} as {name}"
        );
    }
}

#[test]
fn what_it_does_not_take_says_what_it_is_and_what_to_do() {
    let other = |media| Content::Other {
        what: "Blender".to_owned(),
        extension: "blend".to_owned(),
        media,
    };
    let webloc = Content::Link(LinkKind::WeblocBinary);
    let table: &[(Content, &str, &[&str])] = &[
        (Content::Empty, "a.pdf", &["empty", "nothing to import"]),
        (Content::Empty, "a", &["nothing to import"]),
        (
            Content::OLD_WORD,
            "a.doc",
            &[
                "an old Word document",
                "convert it to .docx or .pdf",
                "add \"doc\" to the text types",
            ],
        ),
        (
            Content::OLD_WORD,
            "a.docx",
            &["ends in .docx", "an old Word document"],
        ),
        (
            Content::LOCKED_OFFICE,
            "a.docx",
            &["password", "save it without a password"],
        ),
        (
            Content::LOCKED_PDF,
            "a.pdf",
            &["save it without a password"],
        ),
        (Content::LOCKED_PDF, "a", &["save it without a password"]),
        (Content::DOCM, "a.docm", &["macros", "save it as .docx"]),
        (Content::DOCM, "a.docx", &["macros", "save it as .docx"]),
        (Content::DOTX, "a.dotx", &["template", "save it as .docx"]),
        (Content::DOTX, "a.docx", &["template", "save it as .docx"]),
        (Content::JPEG_LS, "a.jls", &["convert it to .jpg or .png"]),
        (Content::WEBP, "a.jpg", &["convert it to .jpg or .png"]),
        (Content::M4A, "a.m4a", &["convert it to .mp3 or .wav"]),
        (Content::XLSX, "a.xlsx", &["convert it to .pdf"]),
        (Content::THREE_GP, "a.3gp", &["rename it to .mp4"]),
        (Content::TAGGED, "a.tta", &["convert it to .mp3 or .wav"]),
        (Content::PLAIN, "a.markdown", &["rename it to .md"]),
        (Content::PLAIN, "access.log.1", &[".log is on no"]),
        (Content::PLAIN, "access.log-20240101", &[".log is on no"]),
        (Content::PLAIN, "data.csv_old", &[".csv is on no"]),
        (Content::PLAIN, "data.csv.bak.2", &[".csv is on no"]),
        (Content::PLAIN, "app.env-prod", &[".env is on no"]),
        (Content::PLAIN, "a.json", &["no JSON begins with"]),
        (
            text(TextKind::Html),
            "a.json",
            &["a web page", "no JSON begins with"],
        ),
        (text(TextKind::EmptyJson), "a.json", &["nothing to import"]),
        (
            Content::Hollow(Hollow::Png),
            "a.png",
            &["nothing to import"],
        ),
        (
            text(TextKind::PrivateKey),
            "notes.txt",
            &["private key", "move it out"],
        ),
        (
            Content::Unknown,
            "a.csv",
            &[
                "not readable as text: save it as UTF-8",
                "under the extension .txt",
            ],
        ),
        (Content::ZIP, "a.zip", &["a zip archive", "unpack"]),
        (Content::ZIP, "a", &["a zip archive", "unpack"]),
        (Content::ZIP, "a.docx", &["ends in .docx", "a zip archive"]),
        (
            Content::HEIC,
            "a.heic",
            &["a HEIC image", "add \"heic\" to the image types"],
        ),
        (Content::HEIC, "a.jpg", &["ends in .jpg", "a HEIC image"]),
        (
            Content::MpegVideo,
            "a.mpg",
            &["add \"mpg\" to the video types"],
        ),
        (Content::M4A, "a.mp4", &["sound only", "ends in .mp4"]),
        (Content::Executable, "a.pdf", &["ends in .pdf", "a program"]),
        (Content::Executable, "a.exe", &["a program"]),
        (Content::Executable, "a", &["a program"]),
        (
            Content::PLAIN,
            "a.log",
            &["rename it to .txt", "add \"log\" to the text types"],
        ),
        (Content::PLAIN, "a.csv", &["add \"csv\""]),
        (
            Content::PLAIN,
            "a.pdf",
            &["ends in .pdf", "plain text", "rename it to .txt"],
        ),
        (
            text(TextKind::Html),
            "a.pdf",
            &["ends in .pdf", "a web page"],
        ),
        (text(TextKind::Html), "a", &["no extension", "a web page"]),
        (text(TextKind::PrivateKey), "id_rsa", &["a private key"]),
        (LEGACY, "a", &["no extension"]),
        (Content::PLAIN, "a.url", &["not a link"]),
        (webloc, "a.txt", &["ends in .txt", "a link file"]),
        (
            Content::Unknown,
            "a.txt",
            &["ends in .txt", "not readable as text: save it as UTF-8"],
        ),
        (Content::Unknown, "a.mp4", &["ends in .mp4"]),
        (Content::Unknown, "a", &["no extension"]),
        (
            Content::Unknown,
            "a.xyz",
            &["no format that is known", "leave it out"],
        ),
        (Content::Unknown, "a.desktop", &["not a link"]),
        (other(None), "a.blend", &["Blender"]),
        (
            other(Some(Media::Image)),
            "a.blend",
            &["add \"blend\" to the image types"],
        ),
        (
            other(Some(Media::Image)),
            "a",
            &["add \"blend\" to the image types"],
        ),
        // Half a movie is no type that could be added.
        (Content::IncompleteMovie, "a.qt", &["; leave it out"]),
        (
            Content::IncompleteZip,
            "a.pdf",
            &["ends in .pdf", "its end is missing"],
        ),
        (Content::IncompleteZip, "a.zip", &["its end is missing"]),
        (Content::IncompleteMovie, "a.jpg", &["its end is missing"]),
    ];
    let lists = default_lists();
    for (content, name, words) in table {
        let Sorted::Unsupported(why) = sort(content, name.as_bytes(), &lists) else {
            panic!("{content:?} as {name} is taken");
        };
        let why = why.to_string();
        for word in *words {
            assert!(why.contains(word), "{content:?} as {name}: {why}");
        }
    }
    for (content, name) in [
        (Content::Unknown, "a.bin"),
        (Content::HEIC, "a.jpg"),
        (Content::Executable, "a.pdf"),
    ] {
        let Sorted::Unsupported(why) = sort(&content, name.as_bytes(), &lists) else {
            panic!("{name} is taken");
        };
        let why = why.to_string();
        assert!(!why.contains("to the text types"), "{why}");
        assert!(!why.contains("give it the name"), "{why}");
    }
    let why = still_incomplete(&Content::IncompleteZip).to_string();
    assert!(
        why.contains("its end is missing") && why.contains("copy"),
        "{why}"
    );
}

#[test]
fn the_operator_adds_and_removes_types() {
    let mut lists = default_lists();
    for (media, more) in [
        (Media::Text, &["csv", "doc", "ts", "dwg", "zip"][..]),
        (Media::Image, &["heic", "svg"]),
        (Media::Video, &["mpg"]),
    ] {
        lists
            .get_mut(&media)
            .unwrap()
            .extend(more.iter().map(|e| (*e).to_owned()));
    }
    lists.get_mut(&Media::Image).unwrap().retain(|e| e != "png");
    use Media::*;
    let table: &[(Content, &str, Sorted)] = &[
        (Content::PLAIN, "a.csv", route(Text)),
        (Content::OLD_WORD, "a.doc", route(Text)),
        (Content::OLD_WORD, "a.docx", fixed(Text, "doc")),
        (Content::PLAIN, "a.ts", route(Text)),
        (Content::Unknown, "a.dwg", route(Text)),
        (Content::ZIP, "a.zip", route(Text)),
        (Content::HEIC, "a.heic", route(Image)),
        (Content::HEIC, "a.jpg", fixed(Image, "heic")),
        (text(TextKind::Svg), "a.svg", route(Image)),
        (Content::MpegVideo, "a.mpg", route(Video)),
        (Content::MpegVideo, "a.mov", fixed(Video, "mpg")),
    ];
    for (content, name, want) in table {
        assert_eq!(
            sort(content, name.as_bytes(), &lists),
            *want,
            "{content:?} as {name}"
        );
    }
    for (content, name) in [
        (Content::Png, "a.png"),
        (Content::PLAIN, "a.heic"),
        (Content::Unknown, "a.heic"),
        (Content::Unknown, "a.csv"),
        (Content::Executable, "a.csv"),
    ] {
        let sorted = sort(&content, name.as_bytes(), &lists);
        assert!(
            matches!(sorted, Sorted::Unsupported(_)),
            "{content:?} as {name}: {sorted:?}"
        );
    }
    // Without link types no link is taken, whatever it is called.
    lists.insert(Web, Vec::new());
    for name in ["a", "a.url"] {
        let sorted = sort(&Content::Link(LinkKind::Url), name.as_bytes(), &lists);
        assert!(
            matches!(sorted, Sorted::Unsupported(_)),
            "{name}: {sorted:?}"
        );
    }
    // Only links go to the web import, whatever its list says.
    lists.insert(Web, vec!["log".to_owned()]);
    assert!(matches!(
        sort(&Content::PLAIN, b"a.log", &lists),
        Sorted::Unsupported(_)
    ));
    assert!(matches!(
        sort(&Content::Jpeg, b"a.jpg", &TypeLists::new()),
        Sorted::Unsupported(_)
    ));
}

#[test]
fn extensions_of_names() {
    for (name, want) in [
        ("a.PDF", Some("pdf")),
        ("a.tar.gz", Some("gz")),
        ("报告.docx", Some("docx")),
        ("a.7z", Some("7z")),
        (".profile", None),
        ("a.", None),
        ("a", None),
        ("notes 1.2", None),
        ("Dr. Who", None),
        ("a.b c", None),
        ("a.文", None),
    ] {
        assert_eq!(extension(name.as_bytes()).as_deref(), want, "{name}");
    }
}

fn any_content() -> impl Strategy<Value = Content> {
    use Content::*;
    let mut all = Content::NAMED.to_vec();
    all.extend([
        Empty,
        Pdf,
        Docx,
        Jpeg,
        Png,
        Mp3,
        Wav,
        Mp4,
        QuickTime,
        MpegVideo,
        Executable,
        IncompleteZip,
        IncompleteMovie,
        Unknown,
        Hollow(super::Hollow::Text),
        Hollow(super::Hollow::Pdf),
    ]);
    all.extend(
        [
            LinkKind::Url,
            LinkKind::WeblocXml,
            LinkKind::WeblocBinary,
            LinkKind::Desktop,
        ]
        .map(Link),
    );
    for kind in [
        TextKind::Plain,
        TextKind::Json,
        TextKind::EmptyJson,
        TextKind::Html,
        TextKind::Xml,
        TextKind::Svg,
        TextKind::Script,
        TextKind::PrivateKey,
    ] {
        for encoding in [
            TextEncoding::Utf8,
            TextEncoding::Utf16,
            TextEncoding::Legacy,
        ] {
            all.push(Text { kind, encoding });
        }
    }
    for media in [None, Some(Media::Image), Some(Media::Text)] {
        all.push(Other {
            what: "x".to_owned(),
            extension: "blend".to_owned(),
            media,
        });
    }
    proptest::sample::select(all)
}

const EXTENSIONS: &[&str] = &[
    "pdf", "docx", "doc", "txt", "md", "csv", "log", "jpg", "png", "heic", "svg", "mp3", "wav",
    "mp4", "mov", "mpv", "url", "webloc", "desktop", "exe", "zip", "ts", "xyz", "blend",
];

fn any_lists() -> impl Strategy<Value = TypeLists> {
    let list = proptest::sample::subsequence(EXTENSIONS, 0..8);
    proptest::collection::vec(list, 5).prop_map(|lists| {
        let lists = lists
            .into_iter()
            .map(|l| l.into_iter().map(str::to_owned).collect());
        Media::ALL.into_iter().zip(lists).collect()
    })
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::sample::select(EXTENSIONS).prop_map(|e| format!("a.{e}").into_bytes()),
        Just(b"a".to_vec()),
    ]
}

proptest! {
    /// Whatever is routed leaves under an extension of the list it goes to;
    /// whatever is not, says why in words.
    #[test]
    fn what_is_routed_is_listed(
        content in any_content(),
        name in any_name(),
        lists in any_lists(),
    ) {
        match sort(&content, &name, &lists) {
            Sorted::Route { media: Media::Web, extension_fix } => {
                prop_assert!(matches!(content, Content::Link(_)));
                prop_assert_eq!(extension_fix, None);
            }
            Sorted::Route { media, extension_fix } => {
                let sent = extension_fix.or(extension(&name)).unwrap();
                prop_assert!(lists[&media].contains(&sent));
                prop_assert!(!matches!(content, Content::Empty | Content::Hollow(_)));
            }
            Sorted::Unsupported(why) => {
                let why = why.to_string();
                prop_assert!(why.len() > 20 && why.contains([';', ',']), "{}", why);
            }
            Sorted::Incomplete => prop_assert!(
                matches!(content, Content::IncompleteZip | Content::IncompleteMovie)
            ),
        }
    }

    /// A program never leaves under a name that isn't a program's.
    #[test]
    fn a_program_is_never_a_document(name in any_name()) {
        let sorted = sort(&Content::Executable, &name, &default_lists());
        prop_assert!(matches!(sorted, Sorted::Unsupported(_)));
    }
}
