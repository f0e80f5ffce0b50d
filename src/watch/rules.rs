//! What a folder takes, by name alone: asked before anything is looked at.
//!
//! Must not: touch a file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::not_taken::NotTaken;
use super::settings::Watched;
use crate::domain::naming::{
    TemporaryKind, is_always_temporary, is_temporary_by_default, left_out,
};

/// A folder's rules on names.
#[derive(Debug, Clone)]
pub struct TakeRules {
    folder: Arc<Watched>,
    /// The directories that finished files are put into, relative to the
    /// folder, where they lie inside it.
    aside: Vec<Vec<u8>>,
}

impl TakeRules {
    /// Of a folder.
    pub fn new(folder: Arc<Watched>) -> TakeRules {
        let aside = folder
            .aside
            .iter()
            .filter_map(|dir| dir.strip_prefix(&folder.path).ok())
            .map(|rel| rel.as_os_str().as_bytes().to_vec())
            // The folder itself would mean to take nothing.
            .filter(|rel| !rel.is_empty())
            .collect();
        TakeRules { folder, aside }
    }

    /// Whether subfolders belong to the folder.
    pub fn recursive(&self) -> bool {
        self.folder.recursive
    }

    /// Whether a file at `rel` is taken, as far as its path tells: no component
    /// is a temporary name, `include` and `exclude` let it through, and it is
    /// in none of the folder's own places.
    pub fn taken_by_name(&self, rel: &[u8]) -> Result<(), NotTaken> {
        self.judged(rel).map_err(|refused| refused.why)
    }

    /// The same, and which part of the path it is that is refused.
    pub fn judged<'p>(&self, rel: &'p [u8]) -> Result<(), Refused<'p>> {
        if let Some(slash) = rel.iter().rposition(|b| *b == b'/') {
            self.judged_folder(&rel[..slash])?;
        }
        self.taken_in_walked(rel)
            .map_err(|why| Refused { at: rel, why })
    }

    /// The same for a file whose directory is known to be walked.
    pub(crate) fn taken_in_walked(&self, rel: &[u8]) -> Result<(), NotTaken> {
        self.excluded_by_default(rel)?;
        self.temporary(rel)?;
        let path = as_path(rel);
        if self.folder.exclude.is_match(path) {
            return Err(NotTaken::Excluded);
        }
        match &self.folder.include {
            Some(include) if !include.is_match(path) => Err(NotTaken::NotIncluded),
            _ => Ok(()),
        }
    }

    /// Whether the subfolder at `rel` is walked: it, and each one above it.
    pub fn walked(&self, rel: &[u8]) -> Result<(), NotTaken> {
        self.judged_folder(rel).map_err(|refused| refused.why)
    }

    /// The same, and which of them it is that is not walked.
    pub fn judged_folder<'p>(&self, rel: &'p [u8]) -> Result<(), Refused<'p>> {
        let slashes = rel.iter().enumerate().filter(|(_, b)| **b == b'/');
        for at in slashes.map(|(at, _)| at).chain([rel.len()]) {
            let at = &rel[..at];
            self.walked_in_walked(at)
                .map_err(|why| Refused { at, why })?;
        }
        Ok(())
    }

    /// The same for a subfolder of one that is known to be walked.
    pub(crate) fn walked_in_walked(&self, rel: &[u8]) -> Result<(), NotTaken> {
        if !self.folder.recursive {
            return Err(NotTaken::InSubfolder);
        }
        self.excluded_by_default(rel)?;
        self.temporary(rel)?;
        if self.aside.iter().any(|dir| dir == rel) {
            return Err(NotTaken::PutAside);
        }
        if self.folder.exclude.is_match(as_path(rel)) {
            return Err(NotTaken::Excluded);
        }
        Ok(())
    }

    /// Whether the last part of `rel` is a name of the default list. Asked before
    /// the rule on dotfiles, so that the reason names the pattern.
    fn excluded_by_default(&self, rel: &[u8]) -> Result<(), NotTaken> {
        let asked = self.folder.exclude_by_default;
        let pattern = asked
            .then(|| left_out::first_match(left_out::EXCLUDED, last_part(rel)))
            .flatten();
        pattern.map_or(Ok(()), |pattern| Err(NotTaken::ExcludedByDefault(pattern)))
    }

    fn temporary(&self, rel: &[u8]) -> Result<(), NotTaken> {
        let name = last_part(rel);
        let by_default = || {
            let asked = self.folder.temporary_by_default;
            asked.then(|| is_temporary_by_default(name)).flatten()
        };
        let configured = || {
            let matches = self.folder.temporary.is_match(as_path(rel));
            matches.then_some(TemporaryKind::Configured)
        };
        is_always_temporary(name)
            .or_else(by_default)
            .or_else(configured)
            .map_or(Ok(()), |kind| Err(NotTaken::Temporary(kind)))
    }

    /// Which of the folder's own patterns (`exclude`, then `exclude_also`) it is
    /// that matches, counted from 0 in the order in which they were given: the
    /// first of them.
    pub fn excluding(&self, rel: &[u8]) -> Option<usize> {
        self.folder.exclude.matches(as_path(rel)).into_iter().min()
    }

    /// The same of `temporary`, then `temporary_also`.
    pub fn calling_temporary(&self, rel: &[u8]) -> Option<usize> {
        let matches = self.folder.temporary.matches(as_path(rel));
        matches.into_iter().min()
    }
}

/// A path that is not taken by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused<'p> {
    /// The part of the path that is refused: all of it, or a folder on the way.
    pub at: &'p [u8],
    /// Why.
    pub why: NotTaken,
}

fn last_part(rel: &[u8]) -> &[u8] {
    rel.rsplit(|b| *b == b'/').next().unwrap_or(rel)
}

fn as_path(rel: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(rel))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{folder, globs};
    use super::*;

    fn rules(change: impl FnOnce(&mut Watched)) -> TakeRules {
        TakeRules::new(folder(Path::new("/in"), change))
    }

    #[test]
    fn names_decide() {
        let r = rules(|f| {
            f.include = Some(globs(&["**/*.txt"]));
            f.exclude = globs(&["private", "**/no*.txt"]);
        });
        assert_eq!(r.taken_by_name(b"a.txt"), Ok(()));
        assert_eq!(r.taken_by_name(b"x/y/a.txt"), Ok(()));
        assert_eq!(r.taken_by_name(b"x/\xff\n.txt"), Ok(()));
        assert_eq!(r.taken_by_name(b"a.pdf"), Err(NotTaken::NotIncluded));
        assert_eq!(r.taken_by_name(b"x/not.txt"), Err(NotTaken::Excluded));
        assert_eq!(r.taken_by_name(b"private/a.txt"), Err(NotTaken::Excluded));
        for aside in [&b"done/a.txt"[..], b"rejected/x/a.txt"] {
            assert_eq!(r.taken_by_name(aside), Err(NotTaken::PutAside));
        }
        assert_eq!(r.taken_by_name(b"x/done/a.txt"), Ok(()));
        for temporary in [&b".a.txt"[..], b"x/~$a.txt", b".git/a.txt", b"x.part/a.txt"] {
            let why = r.taken_by_name(temporary);
            assert!(matches!(why, Err(NotTaken::Temporary(_))), "{why:?}");
        }
    }

    #[test]
    fn the_default_lists_hold_unless_the_folder_has_its_own() {
        let r = rules(|f| f.temporary = globs(&["**/*.writing"]));
        for (rel, pattern) in [
            (&b"@eaDir/p.jpg/SYNOPHOTO_THUMB_XL.jpg"[..], "@eaDir"),
            (b"x/#recycle/secret.pdf", "#recycle"),
            (b"$RECYCLE.BIN/S-1/$RABC.jpg", "$RECYCLE.BIN"),
            (b".Trash-1000/files/a.pdf", ".Trash-*"),
            (b"x/Thumbs.db", "Thumbs.db"),
            (b"#a.txt#", "#*#"),
        ] {
            let why = Err(NotTaken::ExcludedByDefault(pattern));
            assert_eq!(r.taken_by_name(rel), why, "{rel:?}");
        }
        assert!(r.walked(b"x/@eaDir").is_err() && r.walked(b"lost+found").is_err());
        for temporary in [&b"a.pdf.!qB"[..], b"a.pdf.writing", b"x.opdownload/a.pdf"] {
            let why = r.taken_by_name(temporary);
            assert!(matches!(why, Err(NotTaken::Temporary(_))), "{why:?}");
        }
        assert_eq!(r.calling_temporary(b"x/a.writing"), Some(0));
        let own = rules(|f| {
            f.exclude_by_default = false;
            f.temporary_by_default = false;
        });
        for taken in [&b"@eaDir/a.jpg"[..], b"Thumbs.db", b"a.pdf.part"] {
            assert_eq!(own.taken_by_name(taken), Ok(()), "{taken:?}");
        }
        assert!(own.taken_by_name(b".Trash-1000/a.pdf").is_err(), "hidden");
    }

    #[test]
    fn the_part_that_is_refused_is_named() {
        let r = rules(|f| f.exclude = globs(&["**/*.bak", "**/private", "**/secret*"]));
        let at = |rel: &'static [u8]| r.judged(rel).unwrap_err().at;
        assert_eq!(at(b"x/private/y/a.txt"), b"x/private");
        assert_eq!(at(b"x/a.bak"), b"x/a.bak");
        assert_eq!(at(b"x/.git/b/a.txt"), b"x/.git");
        assert_eq!(r.judged_folder(b"done/x").unwrap_err().at, b"done");
        assert_eq!(r.excluding(b"x/private"), Some(1));
        assert_eq!(r.excluding(b"a/secret.bak"), Some(0));
        assert_eq!(r.excluding(b"a/b.txt"), None);
    }

    #[test]
    fn a_flat_folder_takes_no_subfolder() {
        let r = rules(|f| f.recursive = false);
        assert_eq!(r.taken_by_name(b"a.txt"), Ok(()));
        assert_eq!(r.taken_by_name(b"x/a.txt"), Err(NotTaken::InSubfolder));
        assert_eq!(r.walked(b"x"), Err(NotTaken::InSubfolder));
    }
}
