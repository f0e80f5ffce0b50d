//! What the bytes of a file are, whatever its name says.
//!
//! The `media` adapter finds a [`Content`]; [`super::media::sort`] decides by
//! it. Each content knows three things: how a person would call it, the import
//! it belongs to when that is sure, and the file name extensions it may carry.
//! Must not: read files, know a library's type names, or know what the service
//! takes (that is the configured lists' business).

use std::borrow::Cow;

use super::kind::Media;

/// What the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Content {
    /// No bytes at all.
    Empty,
    /// Bytes that hold nothing: blanks, or a header without its content.
    Hollow(Hollow),
    /// Text that people read. Which *type* of text is left to the extension.
    Text {
        /// What the text starts with.
        kind: TextKind,
        /// How its characters are written.
        encoding: TextEncoding,
    },
    /// A file that holds nothing but an address.
    Link(LinkKind),
    /// A PDF document, also one with up to 1 KiB of junk in front.
    Pdf,
    /// A Word document (`[Content_Types].xml` and `word/`, no macros).
    Docx,
    /// A document the service does not document, `.doc` or `.xlsx` for example.
    OtherDocument(Named),
    /// A JPEG image.
    Jpeg,
    /// A PNG image.
    Png,
    /// An image the service does not document, HEIC or GIF for example.
    OtherImage(Named),
    /// MPEG audio layer III, with or without an ID3 tag.
    Mp3,
    /// A RIFF wave file, or its form for more than 4 GiB (RF64, BW64).
    Wav,
    /// A sound the service does not document, FLAC or M4A for example.
    OtherAudio(Named),
    /// An MP4 with a picture track.
    Mp4,
    /// A QuickTime movie.
    QuickTime,
    /// An MPEG-1 or MPEG-2 program or video stream.
    MpegVideo,
    /// A video the service does not document, Matroska or AVI for example.
    OtherVideo(Named),
    /// A program, of any system.
    Executable,
    /// An archive or a compressed file.
    Archive(Named),
    /// The beginning of a zip (so maybe of a `.docx`); the end is missing.
    IncompleteZip,
    /// The beginning of an MP4 or QuickTime movie; the end is missing.
    IncompleteMovie,
    /// Something the detection library has a name for.
    Other {
        /// The library's name of the format.
        what: String,
        /// The extension such a file usually has, lower case.
        extension: String,
        /// The media type, when the library names one.
        media: Option<Media>,
    },
    /// Bytes that nothing is known about.
    Unknown,
}

/// A format that is only told apart to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Named {
    /// How a person would call it, with its article: "a GIF image".
    pub what: &'static str,
    /// The extensions it may carry; the first is the usual one.
    pub extensions: &'static [&'static str],
}

/// What a text starts with. Only looked at where the extension doesn't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// Nothing special: prose, Markdown, CSV, a log.
    Plain,
    /// The same, and it begins as JSON does.
    Json,
    /// `[]`, `{}`, `null` or `""`: JSON without a content.
    EmptyJson,
    /// A web page.
    Html,
    /// XML, not a web page and not a drawing.
    Xml,
    /// An SVG drawing.
    Svg,
    /// A script: its first line names the program that runs it.
    Script,
    /// A private key stands in its first 4 KiB.
    PrivateKey,
}

/// What bytes without a content are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hollow {
    /// White space, or the mark of an encoding.
    Text,
    /// JSON without a value in it.
    Json,
    /// A PDF header.
    Pdf,
    /// The mark of a PNG, or that and its first header.
    Png,
    /// The mark of a JPEG, or that and its first header.
    Jpeg,
    /// A header of a wave file.
    Wav,
    /// An ID3 tag.
    Tag,
}

impl Hollow {
    /// How a person would call it, with its article.
    pub const fn what(self) -> &'static str {
        match self {
            Hollow::Text => "a text of blanks",
            Hollow::Json => "JSON without a value in it",
            Hollow::Pdf => "the header of a PDF without a page",
            Hollow::Png => "the header of a PNG without a picture",
            Hollow::Jpeg => "the header of a JPEG without a picture",
            Hollow::Wav => "the header of a wave file without a sound",
            Hollow::Tag => "an ID3 tag without a sound",
        }
    }
}

/// How the characters of a text are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextEncoding {
    /// ASCII or UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16 or UTF-32 in either order.
    Utf16,
    /// One of the old encodings (Latin-1, GBK, Big5, Shift-JIS, …). Which one
    /// can't be told for sure, nor can it be told for sure to be text.
    Legacy,
}

/// The forms of link files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// `.url`: an INI file with `[InternetShortcut]`.
    Url,
    /// `.webloc` as an XML property list.
    WeblocXml,
    /// `.webloc` as a binary property list.
    WeblocBinary,
    /// `.desktop` with `Type=Link`.
    Desktop,
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $variant:ident $what:literal [$($ext:literal),+];)*) => {
        impl Content {
            $($(#[$doc])* pub const $name: Content = Content::$variant(Named {
                what: $what,
                extensions: &[$($ext),+],
            });)*
            /// Every content that is only told apart to be named.
            pub const NAMED: &'static [Content] = &[$(Content::$name),*];
        }
    };
}

named! {
    /// A Word document with macros: services refuse these under `.docx`.
    DOCM = OtherDocument "a Word document with macros" ["docm"];
    /// A Word template, with macros or without: programs refuse these as a document.
    DOTX = OtherDocument "a Word template" ["dotx", "dotm"];
    /// A PDF that only opens with a password.
    LOCKED_PDF = OtherDocument "a PDF locked with a password" ["pdf"];
    /// Excel.
    XLSX = OtherDocument "an Excel workbook" ["xlsx", "xlsm", "xltx"];
    /// PowerPoint.
    PPTX = OtherDocument "a PowerPoint presentation" ["pptx", "pptm", "ppsx", "potx"];
    /// OpenDocument text.
    ODT = OtherDocument "an OpenDocument text" ["odt", "ott"];
    /// OpenDocument spreadsheet.
    ODS = OtherDocument "an OpenDocument spreadsheet" ["ods", "ots"];
    /// OpenDocument presentation.
    ODP = OtherDocument "an OpenDocument presentation" ["odp", "otp"];
    /// EPUB.
    EPUB = OtherDocument "an EPUB book" ["epub"];
    /// Word 97 to 2003.
    OLD_WORD = OtherDocument "an old Word document" ["doc", "dot"];
    /// Excel 97 to 2003.
    OLD_EXCEL = OtherDocument "an old Excel workbook" ["xls", "xlt"];
    /// PowerPoint 97 to 2003.
    OLD_POWERPOINT = OtherDocument "an old PowerPoint presentation" ["ppt", "pps", "pot"];
    /// Some other file in Microsoft's compound format.
    OLD_OFFICE = OtherDocument "a file in the old Office format" ["doc", "xls", "ppt", "msg", "msi", "vsd", "pub", "mpp", "wps"];
    /// An encrypted docx, xlsx or pptx: no longer a zip.
    LOCKED_OFFICE = OtherDocument "an Office document locked with a password" ["docx", "xlsx", "pptx"];
    /// RTF.
    RTF = OtherDocument "an RTF document" ["rtf"];
    /// PostScript.
    POSTSCRIPT = OtherDocument "a PostScript document" ["ps", "eps"];
    /// GIF.
    GIF = OtherImage "a GIF image" ["gif"];
    /// WebP.
    WEBP = OtherImage "a WebP image" ["webp"];
    /// HEIC, as phones write it, often named `.jpg`.
    HEIC = OtherImage "a HEIC image" ["heic", "heif", "hif"];
    /// AVIF.
    AVIF = OtherImage "an AVIF image" ["avif"];
    /// BMP.
    BMP = OtherImage "a BMP image" ["bmp", "dib"];
    /// TIFF, and the camera formats that are built on it.
    TIFF = OtherImage "a TIFF or camera raw image" ["tiff", "tif", "dng", "nef", "cr2", "cr3", "arw"];
    /// Windows icon.
    ICON = OtherImage "an icon" ["ico", "cur"];
    /// JPEG-LS: another compression behind the same mark.
    JPEG_LS = OtherImage "a JPEG-LS image" ["jls"];
    /// Photoshop.
    PSD = OtherImage "a Photoshop image" ["psd", "psb"];
    /// JPEG 2000.
    JPEG_2000 = OtherImage "a JPEG 2000 image" ["jp2", "j2k", "jpx"];
    /// JPEG XL.
    JPEG_XL = OtherImage "a JPEG XL image" ["jxl"];
    /// MP4 without a picture.
    M4A = OtherAudio "an MP4 with sound only" ["m4a", "m4b", "m4p"];
    /// FLAC.
    FLAC = OtherAudio "a FLAC sound" ["flac"];
    /// Ogg without video.
    OGG = OtherAudio "an Ogg sound" ["ogg", "oga", "opus", "spx"];
    /// A sound behind an ID3 tag that is no MPEG audio.
    TAGGED = OtherAudio "a sound behind an ID3 tag that is no MP3" ["tta", "wv", "ac3", "ape", "mpc", "dsf", "tak", "ofr"];
    /// Raw AAC.
    AAC = OtherAudio "an AAC sound" ["aac"];
    /// MPEG audio layer I or II.
    MP2 = OtherAudio "an MPEG layer II sound" ["mp2", "mpa"];
    /// AIFF.
    AIFF = OtherAudio "an AIFF sound" ["aiff", "aif", "aifc"];
    /// Apple's CAF.
    CAF = OtherAudio "a CAF sound" ["caf"];
    /// Sony Wave64: not a RIFF file, so not read as `.wav` everywhere.
    W64 = OtherAudio "a Wave64 sound" ["w64"];
    /// MIDI.
    MIDI = OtherAudio "a MIDI file" ["mid", "midi"];
    /// AMR.
    AMR = OtherAudio "an AMR sound" ["amr", "awb"];
    /// Windows Media without video.
    WMA = OtherAudio "a Windows Media sound" ["wma", "asf"];
    /// WebM without video.
    WEBM_AUDIO = OtherAudio "a WebM with sound only" ["weba", "webm"];
    /// Matroska without video.
    MKA = OtherAudio "a Matroska with sound only" ["mka", "mkv"];
    /// WebM.
    WEBM = OtherVideo "a WebM video" ["webm"];
    /// Matroska.
    MKV = OtherVideo "a Matroska video" ["mkv", "mk3d"];
    /// AVI.
    AVI = OtherVideo "an AVI video" ["avi"];
    /// Windows Media.
    WMV = OtherVideo "a Windows Media video" ["wmv", "asf"];
    /// Flash.
    FLV = OtherVideo "a Flash video" ["flv"];
    /// Ogg with video.
    OGV = OtherVideo "an Ogg video" ["ogv", "ogg"];
    /// MPEG transport stream.
    MPEG_TS = OtherVideo "an MPEG transport stream" ["ts", "m2ts", "mts"];
    /// Phones' older form of MP4.
    THREE_GP = OtherVideo "a 3GP video" ["3gp", "3g2"];
    /// H.264 or H.265 without a container.
    H26X = OtherVideo "a bare H.264 or H.265 stream" ["h264", "264", "h265", "265", "hevc"];
    /// Zip that is none of the documents above.
    ZIP = Archive "a zip archive" ["zip", "jar", "apk", "war", "kmz", "xpi", "cbz"];
    /// 7-Zip.
    SEVEN_ZIP = Archive "a 7-Zip archive" ["7z"];
    /// RAR.
    RAR = Archive "a RAR archive" ["rar", "cbr"];
    /// tar.
    TAR = Archive "a tar archive" ["tar"];
    /// gzip.
    GZIP = Archive "a gzip file" ["gz", "tgz"];
    /// bzip2.
    BZIP2 = Archive "a bzip2 file" ["bz2", "tbz2"];
    /// xz.
    XZ = Archive "an xz file" ["xz", "txz"];
    /// Zstandard.
    ZSTD = Archive "a Zstandard file" ["zst", "tzst"];
    /// Cabinet.
    CAB = Archive "a cabinet archive" ["cab"];
}

/// Extensions whose bytes we can tell surely, beside those of the named ones:
/// under such a name, other bytes are a contradiction.
const SURE: &[&str] = &[
    "pdf", "docx", "jpg", "jpeg", "jpe", "jfif", "png", "apng", "mp3", "wav", "wave", "rf64",
    "mp4", "m4v", "mov", "qt", "mpg", "mpeg", "m1v", "m2v", "vob", "mpv", "exe", "dll", "elf",
    "so",
];

/// Extensions of texts: under such a name, bytes that aren't text are a
/// contradiction.
const TEXTUAL: &[&str] = &[
    "txt", "text", "md", "markdown", "json", "jsonl", "csv", "tsv", "log", "html", "htm", "xhtml",
    "xml", "svg", "yaml", "yml", "toml", "ini", "cfg", "conf", "rst", "adoc", "tex", "srt", "vtt",
    "ics", "vcf", "eml", "sql", "css", "js", "py", "sh", "rs", "c", "h", "cpp", "java", "go",
];

/// Extensions of link files.
const LINKS: &[&str] = &["url", "webloc", "desktop"];

/// Extensions that stand for a text as well as for a binary format: TypeScript
/// and MPEG, gettext and PowerPoint, Graphviz and Word. They promise nothing.
const AMBIGUOUS: &[&str] = &["ts", "mts", "pot", "dot", "pub", "msg"];

/// What is known about an extension, before any file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// A format with bytes of its own, which the detection knows.
    Binary,
    /// Text.
    Textual,
    /// A link file.
    Link,
    /// Never heard of it: an operator who lists it is believed.
    Unheard,
}

/// What an extension (lower case, no dot) promises about the bytes.
pub fn nature(extension: &str) -> Nature {
    if TEXTUAL.contains(&extension) {
        Nature::Textual
    } else if LINKS.contains(&extension) {
        Nature::Link
    } else if AMBIGUOUS.contains(&extension) {
        Nature::Unheard
    } else if SURE.contains(&extension)
        || Content::NAMED
            .iter()
            .any(|c| c.extensions().contains(&extension))
    {
        Nature::Binary
    } else {
        Nature::Unheard
    }
}

impl Content {
    /// Plain text in UTF-8, the commonest text.
    pub const PLAIN: Content = Content::Text {
        kind: TextKind::Plain,
        encoding: TextEncoding::Utf8,
    };

    /// How a person would call it, with its article.
    pub fn what(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Content::Empty => "an empty file",
            Content::Hollow(hollow) => hollow.what(),
            Content::Text { kind, encoding } => match (kind, encoding) {
                (TextKind::Html, _) => "a web page (HTML)",
                (TextKind::Xml, _) => "an XML file",
                (TextKind::Svg, _) => "an SVG drawing",
                (TextKind::Script, _) => "a script",
                (TextKind::PrivateKey, _) => "a private key",
                (_, TextEncoding::Legacy) => "probably text, not in UTF-8",
                (TextKind::Plain | TextKind::Json | TextKind::EmptyJson, _) => "plain text",
            },
            Content::Link(_) => "a link file",
            Content::Pdf => "a PDF document",
            Content::Docx => "a Word document",
            Content::Jpeg => "a JPEG image",
            Content::Png => "a PNG image",
            Content::Mp3 => "an MP3 sound",
            Content::Wav => "a WAV sound",
            Content::Mp4 => "an MP4 video",
            Content::QuickTime => "a QuickTime movie",
            Content::MpegVideo => "an MPEG video",
            Content::OtherDocument(n)
            | Content::OtherImage(n)
            | Content::OtherAudio(n)
            | Content::OtherVideo(n)
            | Content::Archive(n) => n.what,
            Content::Executable => "a program",
            Content::IncompleteZip => "the beginning of a zip or Office file, its end is missing",
            Content::IncompleteMovie => "the beginning of a movie, its end is missing",
            Content::Other { what, .. } => return Cow::Owned(format!("of the format \"{what}\"")),
            Content::Unknown => "of no format that is known here",
        })
    }

    /// The import it belongs to, where the bytes leave no doubt. Text has
    /// none: `.md`, `.svg` and `.csv` are told apart by name only.
    pub fn sure_media(&self) -> Option<Media> {
        match self {
            Content::Pdf | Content::Docx | Content::OtherDocument(_) => Some(Media::Text),
            Content::Jpeg | Content::Png | Content::OtherImage(_) => Some(Media::Image),
            Content::Mp3 | Content::Wav | Content::OtherAudio(_) => Some(Media::Audio),
            Content::Mp4
            | Content::QuickTime
            | Content::MpegVideo
            | Content::OtherVideo(_)
            | Content::IncompleteMovie => Some(Media::Video),
            Content::Link(_) => Some(Media::Web),
            Content::Other { media, .. } => *media,
            Content::Empty
            | Content::Hollow(_)
            | Content::Text { .. }
            | Content::Executable
            | Content::Archive(_)
            | Content::IncompleteZip
            | Content::Unknown => None,
        }
    }

    /// The extensions it may carry, lower case; the first is the usual one.
    /// Empty where the bytes say nothing about the name.
    pub fn extensions(&self) -> &'static [&'static str] {
        match self {
            Content::Pdf => &["pdf"],
            Content::Docx => &["docx"],
            Content::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            Content::Png => &["png", "apng"],
            Content::Mp3 => &["mp3"],
            Content::Wav => &["wav", "wave", "rf64"],
            // Cameras and converters swap these two; every reader takes both.
            Content::Mp4 => &["mp4", "m4v", "mov"],
            Content::QuickTime | Content::IncompleteMovie => &["mov", "qt", "mp4", "m4v"],
            Content::MpegVideo => &["mpg", "mpeg", "m1v", "m2v", "vob"],
            Content::Executable => &["exe", "dll", "elf", "so"],
            Content::OtherDocument(n)
            | Content::OtherImage(n)
            | Content::OtherAudio(n)
            | Content::OtherVideo(n)
            | Content::Archive(n) => n.extensions,
            Content::Link(LinkKind::Url) => &["url"],
            Content::Link(LinkKind::WeblocXml | LinkKind::WeblocBinary) => &["webloc"],
            Content::Link(LinkKind::Desktop) => &["desktop"],
            Content::IncompleteZip => &[
                "docx", "docm", "dotx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "zip",
            ],
            Content::Empty
            | Content::Hollow(_)
            | Content::Text { .. }
            | Content::Other { .. }
            | Content::Unknown => &[],
        }
    }

    /// Whether a file of this content may be called `….extension`.
    ///
    /// `.mpv` stands in the service's guide and nowhere else: presumably MPEG
    /// video, so any video may be called so. Phones write 3GP as `.mp4` or `.mov`,
    /// and every player takes it; it is not renamed to that.
    pub fn may_carry(&self, extension: &str) -> bool {
        self.extensions().contains(&extension)
            || (extension == "mpv" && self.sure_media() == Some(Media::Video))
            || (*self == Content::THREE_GP && matches!(extension, "mp4" | "m4v" | "mov"))
            || matches!(self, Content::Other { extension: e, .. } if e == extension)
    }
}
