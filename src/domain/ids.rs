//! Names and numbers that identify things, each a type of its own so that a
//! file's id can't be passed where an attempt's is due.
//!
//! Must not: look anything up, or know how an id is stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::media::Media;

/// One *version* of a file: a row of the ledger. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId(pub i64);

/// One try at uploading a file: a row of the ledger's attempts. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptId(pub i64);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The configured name of a `[[folder]]`: `[a-z0-9_-]`, 1 to 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FolderName(pub String);

/// The configured name of a `[[dataset]]`: `[a-z0-9_-]`, 1 to 64 bytes. It
/// stands for one Access-Key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatasetName(pub String);

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A route: what one folder's files of one media type go through together.
/// They share an endpoint, a dataset and the import options, so they also
/// share what is wrong with those.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// The folder the files come from.
    pub folder: FolderName,
    /// The import they go to.
    pub media: Media,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.media)
    }
}

/// The service's name for an import task, as it came in `taskId`.
///
/// It comes from outside, so it is bounded and holds printable ASCII only:
/// it can be logged, shown and sent back without further care.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct TaskId(String);

/// Longest `taskId` that is believed, in bytes. The service's samples show
/// about 30.
pub const MAX_TASK_ID: usize = 256;

impl TaskId {
    /// Takes 1 to [`MAX_TASK_ID`] bytes of printable ASCII without spaces;
    /// `None` for anything else, which counts as "no task ID".
    pub fn new(text: &str) -> Option<TaskId> {
        let fits = (1..=MAX_TASK_ID).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| TaskId(text.to_owned()))
    }

    /// The text, as it goes into `query-task`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_is_short_and_printable() {
        assert!(TaskId::new("1848302845201").is_some());
        for bad in ["", "a b", "a\n", "\u{1b}[31m", "é"] {
            assert_eq!(TaskId::new(bad), None, "{bad:?}");
        }
        assert!(TaskId::new(&"x".repeat(MAX_TASK_ID)).is_some());
        assert!(TaskId::new(&"x".repeat(MAX_TASK_ID + 1)).is_none());
    }

    #[test]
    fn a_task_id_goes_back_to_the_service_as_it_came() {
        let task = TaskId::new("184-83_02").map(|t| (t.as_str().to_owned(), t.to_string()));
        assert_eq!(task, Some(("184-83_02".to_owned(), "184-83_02".to_owned())));
    }

    #[test]
    fn people_are_shown_the_number_that_commands_take() {
        assert_eq!(FileId(17).to_string(), "17");
        assert_eq!(AttemptId(-4).to_string(), "-4");
    }
}
