//! Log lines for journald: the message carries name, state and reason, since
//! that is all that `journalctl` and `systemctl status` show; every value is a
//! field of its own, too, for `journalctl F_FILE=…` (docs/operations.md).
//!
//! Written here and not by tracing-journald, which sends an event's message as
//! it is: "queued", without a name. The protocol is systemd's "Native Journal
//! Protocol": one datagram an entry.
//!
//! Must not: let a value end a field early; lengths are sent, not line ends.

use std::fmt::{Debug, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Fields that the message says, in this order, in its parentheses.
const TOLD: [&str; 5] = ["state", "task", "code", "attempt", "ms"];

/// Sends each event.
pub struct Journal {
    socket: UnixDatagram,
    identifier: String,
}

impl Journal {
    /// To the system's journald.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open() -> io::Result<Journal> {
        Journal::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Journal {
            socket,
            identifier: env!("CARGO_PKG_NAME").to_owned(),
        })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let about = event.metadata();
        let mut entry = Vec::with_capacity(512);
        put(&mut entry, "PRIORITY", priority(*about.level()));
        put(&mut entry, "SYSLOG_IDENTIFIER", &self.identifier);
        put(&mut entry, "MESSAGE", &fields.message());
        put(&mut entry, "TARGET", about.target());
        for (name, value) in &fields.others {
            let name: String = name.chars().map(upper).collect();
            put(&mut entry, &format!("F_{name}"), value);
        }
        // Nobody is there to hear of it.
        let _ = self.socket.send(&entry);
    }
}

/// syslog(3). `info` is a notice, as `-p notice` is what people ask for.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "5",
        Level::DEBUG => "6",
        Level::TRACE => "7",
    }
}

/// journald takes capital letters, digits and underscores.
fn upper(c: char) -> char {
    match c.to_ascii_uppercase() {
        c @ ('A'..='Z' | '0'..='9') => c,
        _ => '_',
    }
}

fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'\n');
    entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

/// What an event holds.
#[derive(Default)]
struct Fields {
    said: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.said, "{value:?}");
        } else {
            self.others.push((field.name(), format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // As it is: `Debug` would put it in quotes.
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.others.iter().find(|(field, _)| *field == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// `FOLDER/FILE: what is said: ERROR (STATE, task …, …)`; nothing twice.
    fn message(&self) -> String {
        let mut message = String::new();
        match (self.get("folder"), self.get("file")) {
            (Some(folder), Some(file)) => {
                let _ = write!(message, "{folder}/{file}: ");
            }
            (None, Some(file)) => {
                let _ = write!(message, "{file}: ");
            }
            (Some(folder), None) if !says(&self.said, folder) => {
                let _ = write!(message, "folder {folder}: ");
            }
            _ => {}
        }
        message.push_str(&self.said);
        if let Some(error) = self.get("error").filter(|error| !self.said.contains(error)) {
            let _ = write!(message, ": {error}");
        }
        let about_file = self.get("file").is_some();
        let told: Vec<String> = self
            .others
            .iter()
            .filter(|(_, value)| !value.is_empty() && !says(&self.said, value))
            .filter_map(|(name, value)| match *name {
                "folder" | "file" | "error" => None,
                "state" => Some(value.clone()),
                "ms" => Some(format!("{value} ms")),
                name if !about_file || TOLD.contains(&name) => Some(format!("{name} {value}")),
                _ => None,
            })
            .collect();
        if !told.is_empty() {
            let _ = write!(message, " ({})", told.join(", "));
        }
        message
    }
}

/// Whether a text has a value as a word of its own: "/home" does not name the
/// folder "home". A number alone says nothing of what it counts.
fn says(text: &str, value: &str) -> bool {
    let edge =
        |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "\"'`()[]<>,;:.".contains(c));
    let number = value.bytes().all(|b| b.is_ascii_digit());
    let is_word = |(at, _): (usize, &str)| {
        edge(text[..at].chars().next_back()) && edge(text[at + value.len()..].chars().next())
    };
    !number && text.match_indices(value).any(is_word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;
    use tracing_subscriber::layer::SubscriberExt;

    /// An entry as journald reads it.
    fn parsed(mut entry: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !entry.is_empty() {
            let end = entry.iter().position(|b| *b == b'\n').unwrap();
            let (name, rest) = entry.split_at(end);
            let (length, rest) = rest[1..].split_first_chunk::<8>().unwrap();
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            fields.insert(text(name), text(&rest[..length]));
            entry = &rest[length + 1..];
        }
        fields
    }

    fn heard(say: impl FnOnce()) -> BTreeMap<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(&path).unwrap();
        let subscriber = tracing_subscriber::registry().with(journal);
        tracing::subscriber::with_default(subscriber, say);
        let mut entry = [0; 4096];
        let length = journald.recv(&mut entry).unwrap();
        parsed(&entry[..length])
    }

    #[test]
    fn the_message_has_name_state_and_reason_and_the_fields_stay() {
        let entry = heard(|| {
            tracing::warn!(
                file = "a.txt",
                id = 7,
                folder = "inbox",
                state = "queued",
                code = "HTTP-503",
                "to be sent again: {}",
                "overloaded"
            );
        });
        assert_eq!(
            entry["MESSAGE"],
            "inbox/a.txt: to be sent again: overloaded (queued, code HTTP-503)"
        );
        assert_eq!(entry["PRIORITY"], "4");
        assert_eq!((&*entry["F_FILE"], &*entry["F_ID"]), ("a.txt", "7"));
        assert_eq!(entry["SYSLOG_IDENTIFIER"], "supametas-sync");
    }

    #[test]
    fn an_error_in_a_field_is_in_the_message() {
        let entry = heard(|| tracing::error!(error = "disk full", "the time can't be recorded"));
        assert_eq!(entry["MESSAGE"], "the time can't be recorded: disk full");
        let entry = heard(|| tracing::warn!(folder = "nas", "it does not answer"));
        assert_eq!(entry["MESSAGE"], "folder nas: it does not answer");
        // What only looks like the folder's name does not name it.
        let entry = heard(|| tracing::warn!(folder = "tmp", "there is nothing at /var/tmp"));
        assert_eq!(entry["MESSAGE"], "folder tmp: there is nothing at /var/tmp");
        let entry = heard(|| tracing::info!(folder = "nas", "paused: folder nas"));
        assert_eq!(entry["MESSAGE"], "paused: folder nas");
        let entry = heard(|| tracing::info!(file = "a", attempt = 1, "again in 1 min"));
        assert_eq!(entry["MESSAGE"], "a: again in 1 min (attempt 1)");
        let entry = heard(|| tracing::info!(folders = 2, "running"));
        assert_eq!(entry["MESSAGE"], "running (folders 2)");
    }

    #[test]
    fn a_value_can_not_begin_another_field() {
        let entry = heard(|| tracing::info!(file = "a\nPRIORITY=0", "queued"));
        assert_eq!(entry["F_FILE"], "a\nPRIORITY=0");
        assert_eq!(entry["PRIORITY"], "5");
    }
}
