//! The five imports of the service, by name.
//!
//! Must not: know what belongs to which (that is `media`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The service's imports, one endpoint each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// `/file-task`: documents and plain text.
    Text,
    /// `/image-task`.
    Image,
    /// `/audio-task`.
    Audio,
    /// `/video-task`.
    Video,
    /// `/web-task`: a link file's address; no file is sent.
    Web,
}

impl Media {
    /// All five, in the order that people read them.
    pub const ALL: [Media; 5] = [
        Media::Text,
        Media::Image,
        Media::Audio,
        Media::Video,
        Media::Web,
    ];

    /// The name used in the configuration, the ledger and the logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Media::Text => "text",
            Media::Image => "image",
            Media::Audio => "audio",
            Media::Video => "video",
            Media::Web => "web",
        }
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Media {
    type Err = UnknownMedia;
    fn from_str(text: &str) -> Result<Media, UnknownMedia> {
        Media::ALL
            .into_iter()
            .find(|m| m.as_str() == text)
            .ok_or_else(|| UnknownMedia(text.to_owned()))
    }
}

/// A word that is not one of the five media types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a media type: use text, image, audio, video or web")]
pub struct UnknownMedia(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_words_are_read_as_they_are_written() {
        for media in Media::ALL {
            assert_eq!(media.to_string().parse(), Ok(media));
        }
        for other in ["", "Text", "texts", "pdf"] {
            assert_eq!(other.parse::<Media>(), Err(UnknownMedia(other.to_owned())));
        }
    }
}
