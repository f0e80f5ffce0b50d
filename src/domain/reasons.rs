//! Why files need a person, told once for many: by what they have in common, with
//! the one line of configuration that would end it, where there is one.
//!
//! Must not: look at a file, or know the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Code;
use super::ids::{FileId, FolderName};
use super::media::{TypeLists, extension};
use super::naming::shown;
use super::refusal::ReasonKind;
use super::state::{State, StateKind};

/// Extensions, and names, that are kept of a group, at most.
const KEPT: usize = 20;

/// What files have in common that need a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// Their folder.
    pub folder: FolderName,
    /// Their state.
    pub state: StateKind,
    /// Of what is unsupported: why.
    pub kind: Option<ReasonKind>,
    /// Of what the service has refused, or was tried as often as allowed: what it
    /// said.
    pub code: Option<Code>,
}

/// Files with the same reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// The one that changed last: its number, and its path in the folder.
    pub newest: Option<(FileId, Vec<u8>)>,
    /// The extensions of their names, some of them.
    pub extensions: BTreeSet<String>,
    /// Names without one, some of them.
    names: BTreeSet<Vec<u8>>,
    /// There are more than are kept.
    more: bool,
}

/// Puts files together. They are given those that changed last in front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups(BTreeMap<Reason, Group>);

impl Groups {
    /// One more file.
    pub fn add(&mut self, folder: &FolderName, id: FileId, path: &[u8], size: u64, state: &State) {
        let (kind, code) = match state {
            State::Unsupported { kind, .. } => (Some(*kind), None),
            State::Rejected { code } | State::Exhausted { code } => (None, Some(code.clone())),
            _ => (None, None),
        };
        let reason = Reason {
            folder: folder.clone(),
            state: state.kind(),
            kind,
            code,
        };
        let group = self.0.entry(reason).or_default();
        group.files += 1;
        group.bytes = group.bytes.saturating_add(size);
        group.newest.get_or_insert_with(|| (id, path.to_vec()));
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        let room = group.extensions.len() + group.names.len() < KEPT;
        // As it is written: a pattern heeds the case.
        let written = extension(name).map(|lower| {
            let at = name.len() - lower.len();
            String::from_utf8_lossy(&name[at..]).into_owned()
        });
        let new = match written {
            Some(extension) if room => group.extensions.insert(extension),
            Some(extension) => !group.extensions.contains(&extension),
            None if room => group.names.insert(name.to_vec()),
            None => !group.names.contains(name),
        };
        group.more |= new && !room;
    }

    /// The largest first.
    pub fn by_size(self) -> Vec<(Reason, Group)> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|(a, x), (b, y)| y.files.cmp(&x.files).then_with(|| a.cmp(b)));
        all
    }
}

impl Reason {
    /// In words, without the types.
    pub fn text(&self) -> String {
        let of_kind = |kind: ReasonKind| match kind {
            ReasonKind::Empty => "without a content",
            ReasonKind::Unlisted => "not a taken type",
            ReasonKind::WrongName => "another content than the name says",
            ReasonKind::Nameless => "no extension, and no sure type",
            ReasonKind::Binary => "called a text, and not readable as one",
            ReasonKind::PrivateKey => "holding a private key",
            ReasonKind::Locked => "locked by a password",
            ReasonKind::Cut => "cut off",
            ReasonKind::NoLink => "called a link, and holding none",
            ReasonKind::TooLarge => "larger than `max_size`",
            ReasonKind::ListsChanged => "of a type that is not taken any more",
        };
        match (self.kind, &self.code, self.state) {
            (Some(kind), ..) => of_kind(kind).to_owned(),
            (_, Some(code), StateKind::Exhausted) => format!("given up after {code}"),
            (_, Some(code), _) => format!("refused with {code}"),
            (_, _, StateKind::Submitted) => "task in a state that is not documented".to_owned(),
            (_, _, StateKind::Unconfirmed) => "may or may not have arrived".to_owned(),
            (_, _, StateKind::Lost) => "task unknown to the service".to_owned(),
            (_, _, StateKind::Untracked) => "taken, and no task named".to_owned(),
            (_, _, StateKind::Failed) => "task failed".to_owned(),
            (_, _, state) => state.to_string(),
        }
    }
}

impl Group {
    /// The types of the names, in words; empty: none has one.
    pub fn types(&self) -> String {
        let mut all: Vec<String> = self
            .extensions
            .iter()
            .map(|ext| format!(".{ext}"))
            .collect();
        all.extend(self.names.iter().map(|name| shown(name)));
        let more = if self.more { ", …" } else { "" };
        all.join(", ") + more
    }

    /// The whole line: "9 × not a taken type: .csv, .xlsx".
    pub fn line(&self, reason: &Reason) -> String {
        let types = self.types();
        let colon = if types.is_empty() { "" } else { ": " };
        format!("{} × {}{colon}{types}", self.files, reason.text())
    }

    /// The patterns under which nobody would hear of such files again: of extensions
    /// that no import takes, and of names without one. Empty: no pattern says just
    /// that, or the files are not ones that are only in the way.
    pub fn patterns(&self, reason: &Reason, types: &TypeLists) -> Vec<String> {
        let litter = matches!(
            reason.kind,
            Some(ReasonKind::Unlisted | ReasonKind::Nameless | ReasonKind::ListsChanged)
        );
        let taken = |ext: &String| {
            let lower = ext.to_ascii_lowercase();
            types.values().any(|list| list.contains(&lower))
        };
        if !litter || self.extensions.iter().any(taken) {
            return Vec::new();
        }
        let extensions = self.extensions.iter().map(|ext| format!("*.{ext}"));
        let plain = |name: &&Vec<u8>| {
            name.iter()
                .all(|b| b.is_ascii_graphic() && !b"*?[]{}!\\\"".contains(b))
        };
        if self.names.iter().filter(plain).count() < self.names.len() {
            return Vec::new();
        }
        let names = self
            .names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        extensions.chain(names).collect()
    }
}

/// The line of a folder's configuration with these patterns beside those that it
/// has.
pub fn exclude_also(has: &[String], patterns: &[String]) -> String {
    let mut all: Vec<&String> = has.iter().collect();
    all.extend(patterns.iter().filter(|pattern| !has.contains(pattern)));
    let quoted: Vec<String> = all.iter().map(|pattern| format!("{pattern:?}")).collect();
    format!("exclude_also = [{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::default_lists;

    fn unsupported(kind: ReasonKind) -> State {
        State::Unsupported {
            kind,
            reason: "words".into(),
        }
    }

    #[test]
    fn files_with_the_same_reason_are_one_line_with_the_line_that_ends_it() {
        let mut groups = Groups::default();
        let inbox = FolderName("inbox".into());
        for (n, path) in ["a.XLSX", "sub/b.csv", "c.csv", "Makefile"]
            .iter()
            .enumerate()
        {
            let id = FileId(9 - i64::try_from(n).unwrap_or(0));
            let state = unsupported(ReasonKind::Unlisted);
            groups.add(&inbox, id, path.as_bytes(), 10, &state);
        }
        let rejected = State::Rejected {
            code: Code::http(413),
        };
        groups.add(&inbox, FileId(1), b"large.pdf", 10, &rejected);
        let all = groups.by_size();
        assert_eq!(all.len(), 2);
        let (reason, group) = &all[0];
        assert_eq!(
            group.line(reason),
            "4 × not a taken type: .XLSX, .csv, Makefile"
        );
        assert_eq!(
            (group.bytes, &group.newest),
            (40, &Some((FileId(9), b"a.XLSX".to_vec())))
        );
        let patterns = group.patterns(reason, &default_lists());
        assert_eq!(
            exclude_also(&["*.tmp".into(), "*.csv".into()], &patterns),
            r#"exclude_also = ["*.tmp", "*.csv", "*.XLSX", "Makefile"]"#
        );
        let (reason, group) = &all[1];
        assert_eq!(group.line(reason), "1 × refused with HTTP-413: .pdf");
        assert!(group.patterns(reason, &default_lists()).is_empty());
    }

    #[test]
    fn no_pattern_would_leave_out_what_is_taken() {
        let inbox = FolderName("inbox".into());
        for (path, kind) in [
            (&b"empty.txt"[..], ReasonKind::Empty),
            (b"a.pdf", ReasonKind::Unlisted),
            (b"secret", ReasonKind::PrivateKey),
            (b"odd*name", ReasonKind::Nameless),
        ] {
            let mut groups = Groups::default();
            groups.add(&inbox, FileId(1), path, 1, &unsupported(kind));
            let all = groups.by_size();
            let (reason, group) = &all[0];
            let patterns = group.patterns(reason, &default_lists());
            assert!(patterns.is_empty(), "{patterns:?}");
        }
    }

    #[test]
    fn many_types_are_told_in_part() {
        let inbox = FolderName("inbox".into());
        let mut groups = Groups::default();
        for n in 0..100 {
            let path = format!("file.x{n}");
            let state = unsupported(ReasonKind::Unlisted);
            groups.add(&inbox, FileId(n), path.as_bytes(), 1, &state);
        }
        let all = groups.by_size();
        assert_eq!(all[0].1.files, 100);
        assert!(all[0].1.types().ends_with(", …"), "{}", all[0].1.types());
    }
}
