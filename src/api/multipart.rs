//! The body of an import, `multipart/form-data`: a part `data`, then the part
//! `file`.
//!
//! The order has a purpose. With the file last, its last chunk, which is held
//! back until the ledger knows about it, is also the last of the request but
//! for the closing boundary: without it the service has no whole request.
//!
//! The library's own multipart is not used: it escapes backslashes in names,
//! and puts its parts into eleven small chunks. Here all that comes before the
//! content is one chunk.
//!
//! Must not: read the file, or change its name (it is safe for a header but
//! for what is quoted here).

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use bytes::Bytes;
use serde_json::{Map, Value};

/// What surrounds a file's content.
pub struct Frame {
    /// The request's `Content-Type`.
    pub content_type: String,
    /// All bytes before the content.
    pub head: Bytes,
    /// All bytes after it.
    pub tail: Bytes,
}

/// The frame for a file of this name, with these options.
pub fn frame(name: &str, options: &Map<String, Value>) -> Frame {
    frame_with(&boundary(), name, options)
}

fn frame_with(boundary: &str, name: &str, options: &Map<String, Value>) -> Frame {
    let data = Value::Object(options.clone());
    let kind = content_type(name);
    let name = quoted(name);
    let head = format!(
        "--{boundary}\r\n\
         Content-Disposition: form-data; name=\"data\"\r\n\
         Content-Type: application/json\r\n\r\n\
         {data}\r\n\
         --{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: {kind}\r\n\r\n"
    );
    Frame {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        head: head.into(),
        tail: format!("\r\n--{boundary}--\r\n").into(),
    }
}

/// 128 bits that who wrote the file can't have foreseen: a content that holds
/// its own boundary could add parts to the request.
fn boundary() -> String {
    // The standard library seeds these keys from the system.
    let draw = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", draw(), draw())
}

/// A name as browsers send it (the WHATWG's form encoding): raw UTF-8, with
/// quotes and line breaks percent-encoded. So are other controls, which have
/// no business in a header.
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '"' || c.is_ascii_control() {
            // Writing into a String can't fail.
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The content type by the name's extension.
fn content_type(name: &str) -> &'static str {
    let extension = Path::new(name)
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "json" => "application/json",
        "csv" => "text/csv",
        "htm" | "html" => "text/html",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "m4a" => "audio/mp4",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "mpv" | "mpg" | "mpeg" => "video/mpeg",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_exactly_this() {
        let mut options = Map::new();
        options.insert("getDemandFormat".into(), "1".into());
        options.insert("title".into(), 1.into());
        let frame = frame_with("B", "a.pdf", &options);
        assert_eq!(frame.content_type, "multipart/form-data; boundary=B");
        assert_eq!(
            std::str::from_utf8(&frame.head).unwrap(),
            "--B\r\nContent-Disposition: form-data; name=\"data\"\r\n\
             Content-Type: application/json\r\n\r\n\
             {\"getDemandFormat\":\"1\",\"title\":1}\r\n\
             --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
             Content-Type: application/pdf\r\n\r\n"
        );
        assert_eq!(&frame.tail[..], b"\r\n--B--\r\n");
    }

    #[test]
    fn names_go_out_as_browsers_send_them() {
        for (name, sent) in [
            ("plain.txt", "plain.txt"),
            ("报告 ü 😀.pdf", "报告 ü 😀.pdf"),
            ("a\"b.txt", "a%22b.txt"),
            ("back\\slash.txt", "back\\slash.txt"),
            ("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1"),
            ("nul\0del\u{7f}", "nul%00del%7F"),
            ("100%.txt", "100%.txt"),
        ] {
            assert_eq!(quoted(name), sent);
        }
    }

    #[test]
    fn types_by_extension() {
        assert_eq!(content_type("A.JPEG"), "image/jpeg");
        assert_eq!(content_type("a.tar.json"), "application/json");
        assert_eq!(content_type("none"), "application/octet-stream");
        assert_eq!(content_type(".txt"), "application/octet-stream");
    }

    #[test]
    fn boundaries_differ() {
        let (a, b) = (boundary(), boundary());
        assert_ne!(a, b);
        assert_eq!(a.len(), 32);
        assert_ne!(a[..16], a[16..]);
    }
}
