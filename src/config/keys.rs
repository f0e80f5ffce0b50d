//! Reading Access-Keys, and other secrets that are kept like them: from a file, from a variable, or from the directory of
//! systemd's credentials. Never from the configuration itself, which is read,
//! copied and pasted by more people than may know the key.
//!
//! Must not: show a key, or what was written where a key's place should be
//! (it is often the key).

use std::path::{Component, Path};

use super::surroundings::{MAX_KEY_FILE, Surroundings};
use crate::ports::AccessKey;

/// Whether the Access-Keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// They are, and one that can't be is an error.
    Read,
    /// They are, but for those that systemd alone can give: by hand these can't
    /// be known, which is noted.
    ReadByHand,
    /// They are not, and every dataset has an empty one: for commands that
    /// only look at the ledger. Their user may well not be allowed to read the
    /// keys, or have systemd's credentials.
    NotNeeded,
}

/// Where a key comes from; exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// `key_file`: an absolute path.
    File(&'a str),
    /// `key_env`: an environment variable.
    Env(&'a str),
    /// `credential`: a file below `$CREDENTIALS_DIRECTORY`.
    Credential(&'a str),
}

/// A key as it was read.
#[derive(Debug)]
pub struct ReadKey {
    /// The key.
    pub key: AccessKey,
    /// Any user of the machine can read the file that it is in.
    pub open_to_all: bool,
}

/// Why a key was not read. None of these holds the key or its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// `key_file` does not begin with `/`.
    #[error("is not an absolute path")]
    Relative,
    /// Not a variable's name.
    #[error("is not the name of an environment variable")]
    NotAVariable,
    /// The variable is not there.
    #[error("names an environment variable that is not set")]
    Unset,
    /// Not a plain file name.
    #[error("is not a plain file name")]
    NotAName,
    /// Not started by systemd with credentials.
    #[error("needs systemd's credentials, and $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// The file can't be read.
    #[error("names a file that can't be read: {0}")]
    Unreadable(String),
    /// Nothing in it.
    #[error("leads to nothing: it is empty")]
    Empty,
    /// Too long to be a key.
    #[error("leads to more than {MAX_KEY_FILE} bytes, which is no key")]
    TooLong,
    /// It begins with the mark of UTF-8.
    #[error("leads to a text that begins with a byte order mark, which is no part of a key")]
    Bom,
    /// It is UTF-16.
    #[error("leads to UTF-16 text, as some editors of Windows write it")]
    Utf16,
    /// A space or a tab, at this place from 1.
    #[error("leads to a key with a space or tab in it, at place {0}")]
    Space(usize),
    /// Quotes around it.
    #[error("leads to a key in quotes, which would be sent along")]
    Quoted,
    /// `NAME=` in front of it.
    #[error("leads to a line such as NAME=KEY, all of which would be sent as the key")]
    Assigned,
    /// A byte that can't be in a header, at this place from 1.
    #[error("leads to a character that can't be in a header, at place {0}")]
    Unsafe(usize),
}

impl KeyError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            KeyError::Relative => {
                "write the full path of the file that holds the key; if the key itself was written here, replace that key in the service's console, since it is in the backups of this file now"
            }
            KeyError::NotAVariable => {
                "write a name such as SUPAMETAS_KEY; if the key itself was written here, replace that key in the service's console, since it is in the backups of this file now"
            }
            KeyError::Unset => "set it where the daemon is started, or use `key_file`",
            KeyError::NotAName => {
                "write the name that `LoadCredential=` of the unit gives it; if the key itself was written here, replace that key in the service's console, since it is in the backups of this file now"
            }
            KeyError::NoCredentials => {
                "start the daemon by its systemd unit with `LoadCredential=`, or use `key_file`"
            }
            KeyError::Unreadable(_) => {
                "make sure that the file is there and the daemon's user may read it"
            }
            KeyError::Empty => "put the dataset's Access-Key there, from the service's console",
            KeyError::TooLong => "put the Access-Key alone there",
            KeyError::Bom | KeyError::Utf16 => {
                "save the file as plain UTF-8 or ASCII, without a byte order mark: `printf %s KEY > FILE` does"
            }
            KeyError::Quoted => "put the Access-Key alone there, without the quotes",
            KeyError::Assigned => {
                "put the Access-Key alone there: no shell and no systemd reads this file"
            }
            KeyError::Space(_) | KeyError::Unsafe(_) => {
                "put the Access-Key alone there, on one line, without spaces or quotes"
            }
        }
    }
}

/// Reads the key that `from` leads to.
pub fn read(from: KeySource<'_>, on: &dyn Surroundings) -> Result<ReadKey, KeyError> {
    match from {
        KeySource::File(path) => {
            let path = Path::new(path);
            if !path.is_absolute() {
                return Err(KeyError::Relative);
            }
            read_file(path, on)
        }
        KeySource::Env(name) => {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || !name.bytes().all(word) {
                return Err(KeyError::NotAVariable);
            }
            let value = on.var(name).ok_or(KeyError::Unset)?;
            Ok(ReadKey {
                key: checked(value.into_bytes())?,
                open_to_all: false,
            })
        }
        KeySource::Credential(name) => {
            let mut parts = Path::new(name).components();
            if !matches!(
                (parts.next(), parts.next()),
                (Some(Component::Normal(_)), None)
            ) {
                return Err(KeyError::NotAName);
            }
            let directory = on
                .var("CREDENTIALS_DIRECTORY")
                .ok_or(KeyError::NoCredentials)?;
            // systemd's own directory is closed to others whatever the file's
            // mode says.
            let read = read_file(&Path::new(&directory).join(name), on)?;
            Ok(ReadKey {
                open_to_all: false,
                ..read
            })
        }
    }
}

fn read_file(path: &Path, on: &dyn Surroundings) -> Result<ReadKey, KeyError> {
    let file = on
        .key_file(path)
        .map_err(|e| KeyError::Unreadable(e.kind_or_text()))?;
    Ok(ReadKey {
        key: checked(file.content)?,
        open_to_all: file.open_to_all,
    })
}

/// An I/O error in words that hold no path: the path may be a pasted key.
trait KindOrText {
    fn kind_or_text(&self) -> String;
}

impl KindOrText for std::io::Error {
    fn kind_or_text(&self) -> String {
        match self.raw_os_error() {
            // The library's own word for it is "entity not found".
            Some(_) if self.kind() == std::io::ErrorKind::NotFound => "no such file".to_owned(),
            Some(_) => self.kind().to_string(),
            None => self.to_string(),
        }
    }
}

/// What is around an Access-Key that a service issues, and no part of it: quotes,
/// or a line that a shell or an `EnvironmentFile=` would take apart.
pub fn wrapped(key: &AccessKey) -> Option<KeyError> {
    let key = key.expose();
    let in_quotes = |quote: char| key.len() > 1 && key.starts_with(quote) && key.ends_with(quote);
    if in_quotes('"') || in_quotes('\'') {
        return Some(KeyError::Quoted);
    }
    let (name, value) = key.split_once('=')?;
    let word = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    // Base64 has its `=` at the end.
    let is_name = name.len() > 2 && name.contains('_') && name.bytes().all(word);
    (is_name && !value.trim_start_matches('=').is_empty()).then_some(KeyError::Assigned)
}

/// A key that can go into a header: printable ASCII without spaces. The line
/// end that editors put behind it is not part of it.
fn checked(mut bytes: Vec<u8>) -> Result<AccessKey, KeyError> {
    if bytes.len() > MAX_KEY_FILE {
        return Err(KeyError::TooLong);
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(KeyError::Bom);
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(KeyError::Utf16);
    }
    while let Some(b'\n' | b'\r') = bytes.last() {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(KeyError::Empty);
    }
    if let Some(at) = bytes.iter().position(|b| !b.is_ascii_graphic()) {
        return Err(match bytes.get(at) {
            Some(b' ' | b'\t') => KeyError::Space(at + 1),
            _ => KeyError::Unsafe(at + 1),
        });
    }
    let key = String::from_utf8(bytes).map_err(|_| KeyError::Unsafe(1))?;
    Ok(AccessKey::new(key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::testing::Fake;

    #[test]
    fn from_each_place() {
        let on = Fake::default()
            .var("K", "from-env")
            .var("CREDENTIALS_DIRECTORY", "/run/creds")
            .key("/run/creds/inbox", "from-systemd\r\n")
            .key("/etc/k", "from-file\n")
            .open_key("/etc/open", "k");
        let get = |from| read(from, &on).map(|r| (r.key.expose().to_owned(), r.open_to_all));
        assert_eq!(
            get(KeySource::File("/etc/k")),
            Ok(("from-file".into(), false))
        );
        assert_eq!(get(KeySource::File("/etc/open")), Ok(("k".into(), true)));
        assert_eq!(get(KeySource::Env("K")), Ok(("from-env".into(), false)));
        assert_eq!(
            get(KeySource::Credential("inbox")),
            Ok(("from-systemd".into(), false))
        );
    }

    #[test]
    fn a_key_file_that_changed_on_disk_is_noticed() {
        use crate::config::testing::{BASE, load_on, machine};
        let config = load_on(BASE, &machine()).unwrap().config;
        let dataset = config.datasets.values().next().unwrap();
        assert!(!dataset.key_has_changed(&machine()));
        let other = Fake::default().key("/etc/key", "k-other\n");
        assert!(dataset.key_has_changed(&other));
        // One that is away is none, and a restart says so.
        assert!(!dataset.key_has_changed(&Fake::default()));
    }

    #[test]
    fn by_hand_a_credential_is_noted_and_nothing_else_is() {
        use crate::config::load::Loaded;
        use crate::config::valid::Config;
        let by_hand = |place: &str, on: &Fake| -> Result<Loaded, _> {
            let text = crate::config::testing::BASE.replace("key_file = '/etc/key'", place);
            Config::read(Path::new("c"), &text, Keys::ReadByHand, on)
        };
        let nobody = Fake::default();
        let loaded = by_hand("credential = 'inbox'", &nobody).unwrap();
        let said = loaded.warnings.iter().map(ToString::to_string);
        let said = said.collect::<Vec<_>>().join("\n");
        assert!(said.contains("given by systemd"), "{said}");
        assert!(by_hand("credential = '../x'", &nobody).is_err());
        assert!(by_hand("key_file = '/etc/key'", &nobody).is_err());
    }

    #[test]
    fn what_is_around_a_key_is_told_from_the_key() {
        for (key, why) in [
            ("\"sk-1\"", Some(KeyError::Quoted)),
            ("'sk-1'", Some(KeyError::Quoted)),
            ("SUPAMETAS_KEY=sk-1", Some(KeyError::Assigned)),
            ("c2stMQ==", None),
            ("ABC_DEF==", None),
            ("a=b", None),
            ("\"", None),
            ("sk-1", None),
        ] {
            assert_eq!(wrapped(&AccessKey::new(key.to_owned())), why, "{key}");
        }
    }

    #[test]
    fn refused() {
        let long = "k".repeat(MAX_KEY_FILE + 1);
        let on = Fake::default()
            .var("EMPTY", "")
            .key("/empty", "\n")
            .key("/long", &long)
            .key("/two", "one\ntwo\n")
            .key("/space", "sk-1 ")
            .key("/bom", "\u{feff}sk-1")
            .bytes("/utf16", b"\xff\xfes\0k\0");
        for (from, why) in [
            (KeySource::File("etc/k"), KeyError::Relative),
            (KeySource::File("/empty"), KeyError::Empty),
            (KeySource::File("/long"), KeyError::TooLong),
            (KeySource::File("/two"), KeyError::Unsafe(4)),
            (KeySource::File("/space"), KeyError::Space(5)),
            (KeySource::File("/bom"), KeyError::Bom),
            (KeySource::File("/utf16"), KeyError::Utf16),
            (KeySource::Env("sk-not-a-name"), KeyError::NotAVariable),
            (KeySource::Env("UNSET"), KeyError::Unset),
            (KeySource::Env("EMPTY"), KeyError::Empty),
            (KeySource::Credential("../x"), KeyError::NotAName),
            (KeySource::Credential("/x"), KeyError::NotAName),
            (KeySource::Credential(".."), KeyError::NotAName),
            (KeySource::Credential("inbox"), KeyError::NoCredentials),
        ] {
            let got = read(from, &on).unwrap_err();
            assert_eq!(got, why, "{from:?}");
            assert!(!got.remedy().is_empty());
        }
        let missing = read(KeySource::File("/sk-secret"), &on).unwrap_err();
        assert!(matches!(missing, KeyError::Unreadable(_)));
        assert!(!missing.to_string().contains("sk-secret"), "{missing}");
    }
}
