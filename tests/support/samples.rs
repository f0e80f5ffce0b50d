//! The sample files of `tests/samples/` and what is expected of each: shared by
//! the tests of the sorting and those of the whole program.
#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part"
)]

use std::path::{Path, PathBuf};

use supametas_sync::domain::media::Media;

/// What is expected of one sample.
pub enum Want {
    /// Routed, and uploaded under this name.
    To(Media, &'static str),
    /// A link to this page.
    Page(&'static str),
    /// Unsupported; the reason contains this.
    No(&'static str),
    /// The end is missing.
    Incomplete,
}

use Media::{Audio, Image, Text, Video};
use Want::{Incomplete, No, Page, To};

/// Every sample, and what becomes of it.
pub const TABLE: &[(&str, Want)] = &[
    ("text-utf8.txt", To(Text, "text-utf8.txt")),
    ("text-latin1.txt", To(Text, "text-latin1.txt")),
    ("text-utf16.txt", To(Text, "text-utf16.txt")),
    ("text-gbk.txt", To(Text, "text-gbk.txt")),
    ("text-ansi.txt", To(Text, "text-ansi.txt")),
    ("notes.md", To(Text, "notes.md")),
    ("data.json", To(Text, "data.json")),
    ("README-plain", To(Text, "README-plain.txt")),
    ("pandoc.docx", To(Text, "pandoc.docx")),
    ("python-docx.docx", To(Text, "python-docx.docx")),
    ("plain.pdf", To(Text, "plain.pdf")),
    ("报告.pdf", To(Text, "报告.pdf")),
    ("leading-junk.pdf", To(Text, "leading-junk.pdf")),
    ("gradient.jpg", To(Image, "gradient.jpg")),
    ("gradient.jpeg", To(Image, "gradient.jpeg")),
    ("gradient.png", To(Image, "gradient.png")),
    ("png-named.jpg", To(Image, "png-named.jpg.png")),
    ("id3.mp3", To(Audio, "id3.mp3")),
    ("bare.mp3", To(Audio, "bare.mp3")),
    ("tone.wav", To(Audio, "tone.wav")),
    ("rf64.wav", To(Audio, "rf64.wav")),
    ("bars.mp4", To(Video, "bars.mp4")),
    ("faststart.mp4", To(Video, "faststart.mp4")),
    ("fragmented.mp4", To(Video, "fragmented.mp4")),
    ("bars.mov", To(Video, "bars.mov")),
    ("program-stream.mpv", To(Video, "program-stream.mpv")),
    ("video-stream.mpv", To(Video, "video-stream.mpv")),
    ("mp4-named.mpv", To(Video, "mp4-named.mpv")),
    ("link.url", Page("https://example.com/report?id=7")),
    ("link-utf16.url", Page("https://example.com/utf16")),
    (
        "link-xml.webloc",
        Page("https://example.com/report?id=7&x=1"),
    ),
    (
        "link-binary.webloc",
        Page("https://example.com/report?id=7&x=1"),
    ),
    ("link.desktop", Page("https://example.com/report")),
    ("cut.docx", Incomplete),
    ("cut.mp4", Incomplete),
    ("empty.pdf", No("empty")),
    ("program.pdf", No("a program")),
    ("old.doc", No("an old Word document")),
    ("letter.rtf", No("an RTF document")),
    ("open.odt", No("an OpenDocument text")),
    ("book.xlsx", No("an Excel workbook")),
    ("page.html", No("rename it to .txt")),
    ("table.csv", No("\"csv\" to the text types")),
    ("archive.zip", No("a zip archive")),
    ("stored-pdf.zip", No("a zip archive")),
    ("files.tar", No("a tar archive")),
    ("notes.md.gz", No("a gzip file")),
    ("script-without-extension", No("a script")),
    ("program.desktop", No("not a link")),
    ("gradient.gif", No("a GIF image")),
    ("gradient.heic", No("\"heic\" to the image types")),
    ("heic-named.jpg", No("convert it to .jpg or .png")),
    ("tone.w64", No("a Wave64 sound")),
    ("tone.caf", No("a CAF sound")),
    ("tone.flac", No("a FLAC sound")),
    ("tone.m4a", No("convert it to .mp3 or .wav")),
    ("sound-only.mp4", No("sound only")),
    ("sound-only.webm", No("a WebM with sound only")),
    ("tone.ogg", No("an Ogg sound")),
    ("bars.webm", No("a WebM video")),
    ("bars.mkv", No("a Matroska video")),
    ("bars.ts", No("an MPEG transport stream")),
    ("program-stream.mpg", No("\"mpg\" to the video types")),
];

/// Files beside the samples that are none.
pub const BESIDE: &[&str] = &["README.md", "make.sh", "sorting"];

/// Where they are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}
