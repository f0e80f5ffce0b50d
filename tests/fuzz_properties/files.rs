//! What may lie in a drop folder: names, contents and link files.

use std::convert::Infallible;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use futures_util::{FutureExt, stream};
use percent_encoding::percent_decode;
use reqwest::Url;
use serde_json::{Map, Value};
use supametas_sync::api::multipart::frame;
use supametas_sync::domain::media::{
    Content, Media, Sorted, default_lists, extension, sort, still_incomplete,
};
use supametas_sync::domain::naming::{is_temporary, shown, upload_name};
use supametas_sync::media::link::read_link;
use supametas_sync::media::{HEAD, MAX_READ, detect};

use super::{assert_shown, chunks, first_line, steers};

/// `NAME/FIX/CONTENT`: a file's name, the extension that is appended (or
/// nothing) and its content.
///
/// - The name that is sent is short and harmless, and says what the file is
///   called.
/// - In a request, an independent reader finds exactly two parts, the file
///   under just that name, with its content, and no header more.
/// - Shown to a person, the name is harmless.
pub fn name(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |b| *b == b'/');
    let name = parts.next().unwrap_or_default();
    let fix = parts.next().and_then(|f| std::str::from_utf8(f).ok());
    let plain = |f: &&str| extension(format!("x.{f}").as_bytes()) == Some(f.to_lowercase());
    let fix = fix.filter(plain);
    let content = parts.next().unwrap_or_default();

    let sent = upload_name(name, fix);
    assert!((1..=255).contains(&sent.len()), "{sent:?}");
    assert_shown(&sent, 255);
    assert!(!sent.contains(['"', '/', '\\']), "{sent:?}");
    assert!(sent != "." && sent != "..");
    assert_eq!(upload_name(sent.as_bytes(), None), sent, "sent as it is");
    let whole = sent.len() < 240;
    if let Some(fix) = fix {
        let end = format!(".{fix}").to_lowercase();
        assert!(sent.to_lowercase().ends_with(&end), "{sent:?}");
    } else if let Some(extension) = extension(name) {
        let end = format!(".{extension}");
        assert!(sent.to_lowercase().ends_with(&end), "{sent:?}");
    } else if whole && !name.is_empty() && !name.contains(&b'%') {
        let back: Vec<u8> = percent_decode(sent.as_bytes()).collect();
        assert_eq!(back, name, "{sent:?}");
    }

    assert_shown(&shown(name), 4097);
    if let Some(why) = is_temporary(name) {
        assert_shown(&why.to_string(), 200);
    }
    in_a_request(&sent, content);
}

fn in_a_request(sent: &str, content: &[u8]) {
    let mut options = Map::new();
    options.insert("title".to_owned(), Value::from(sent));
    let frame = frame(sent, &options);
    let request = [&frame.head[..], content, &frame.tail[..]].concat();
    for whole in [true, false] {
        let pieces: Vec<Result<Vec<u8>, Infallible>> = if whole {
            vec![Ok(request.clone())]
        } else {
            chunks(&request).map(|chunk| Ok(chunk.to_vec())).collect()
        };
        let boundary = multer::parse_boundary(&frame.content_type).unwrap();
        let mut parts = multer::Multipart::new(stream::iter(pieces), boundary);
        // All of it is there, so nothing is waited for.
        let mut next = || parts.next_field().now_or_never().unwrap().unwrap();

        let data = next().unwrap();
        assert_eq!((data.name(), data.file_name()), (Some("data"), None));
        assert_eq!(data.headers().len(), 2);
        let data = data.bytes().now_or_never().unwrap().unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&data).unwrap(),
            Value::Object(options.clone())
        );

        let file = next().unwrap();
        assert_eq!((file.name(), file.file_name()), (Some("file"), Some(sent)));
        let mut headers: Vec<&str> = file.headers().keys().map(|k| k.as_str()).collect();
        headers.sort_unstable();
        assert_eq!(headers, ["content-disposition", "content-type"]);
        let file = file.bytes().now_or_never().unwrap().unwrap();
        assert_eq!(&file[..], content);

        assert!(next().is_none(), "a third part");
    }
}

/// A line with the file's name, then its content.
///
/// - However the reads are cut, the answer is the same, and little is read.
/// - What is there counts, whatever size was said.
/// - The reason for not taking a file is harmless to show.
/// - A file is right under the name that it is sent with, and is found to be the same
///   there. A link has none: its address is sent.
pub fn media(bytes: &[u8]) {
    let (name, bytes) = first_line(bytes);
    let size = bytes.len() as u64;
    let look = |bytes: &[u8], size: u64| detect(&mut Cursor::new(bytes), name, size).unwrap();
    let detected = look(bytes, size);
    let mut drops = Drops::new(bytes);
    assert_eq!(detect(&mut drops, name, size).unwrap(), detected);
    let content = &detected.content;
    assert!(drops.read <= MAX_READ as u64, "{} bytes", drops.read);
    assert_eq!(*content == Content::Empty, bytes.is_empty());
    if bytes.len() < HEAD {
        assert_eq!(look(bytes, size + 1 + size % 7), detected, "it shrank");
    }
    let half = bytes.len() / 2;
    assert_eq!(
        look(bytes, half as u64),
        look(&bytes[..half], half as u64),
        "it grew"
    );

    let lists = default_lists();
    assert_shown(&still_incomplete(content).to_string(), 300);
    match sort(content, name, &lists) {
        Sorted::Unsupported(why) => assert_shown(&why.to_string(), 500),
        Sorted::Incomplete => {}
        // Of a link its address is sent, and no name. (Cut to what is sent of a name,
        // that of a link could end in an extension that it did not have.)
        Sorted::Route {
            media: Media::Web,
            extension_fix,
        } => assert_eq!(extension_fix, None),
        Sorted::Route {
            media,
            extension_fix,
        } => {
            let sent = upload_name(name, extension_fix.as_deref());
            let right = Sorted::Route {
                media,
                extension_fix: None,
            };
            let again = detect(&mut Cursor::new(bytes), sent.as_bytes(), size).unwrap();
            for content in [content, &again.content] {
                let sorted = sort(content, sent.as_bytes(), &lists);
                assert_eq!(sorted, right, "{content:?} as {sent:?}");
            }
        }
    }
}

/// A line with the file's name, then its content.
///
/// - An address that is taken is a plain `https://` one, short and in its
///   normal form; saved as a link again it is the same one.
/// - The reason for taking none is harmless to show.
pub fn link(bytes: &[u8]) {
    let (name, bytes) = first_line(bytes);
    let page = match read_link(bytes, name) {
        Ok(page) => page,
        Err(why) => return assert_shown(&why.to_string(), 800),
    };
    assert!(page.starts_with("https://") && page.len() <= 2048, "{page}");
    assert!(page.is_ascii() && !page.chars().any(steers), "{page}");
    let url = Url::parse(&page).unwrap();
    assert_eq!(url.as_str(), page);
    assert!(
        url.host_str().is_some_and(|host| !host.is_empty()),
        "{page}"
    );
    assert_eq!((url.username(), url.password()), ("", None), "{page}");
    let saved = format!("[InternetShortcut]\r\nURL={page}\r\n");
    assert_eq!(read_link(saved.as_bytes(), b"a.url").as_deref(), Ok(&*page));
}

/// A file that gives out its bytes in drops, and counts them.
struct Drops<'a> {
    bytes: Cursor<&'a [u8]>,
    read: u64,
}

impl<'a> Drops<'a> {
    fn new(bytes: &'a [u8]) -> Drops<'a> {
        Drops {
            bytes: Cursor::new(bytes),
            read: 0,
        }
    }
}

impl Read for Drops<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let drop = (self.read % 97 + 1) as usize;
        let len = into.len().min(drop);
        let read = self.bytes.read(&mut into[..len])?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Seek for Drops<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}
