//! What `check` says of rights: who else may change what the daemon relies on, and who may put another directory in the place of a folder.
//!
//! Must not: change a right, or repeat what is in a file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::config::Severity;
use crate::config::valid::{By, Config};
use crate::domain::lifecycle::{AfterSuccess, OnReject};
use crate::files::{Dir, exposed};
use crate::limited::Calls;

/// Keys of the configuration that name a file which the daemon believes. That
/// nobody else may read such a file the configuration's own check says.
const FILES: [&str; 6] = [
    "key_file",
    "token_file",
    "read_token_file",
    "secret_file",
    "webhook_path_file",
    "ca_file",
];

/// All of it. `path`: the configuration's own.
pub fn findings(path: &Path, config: &Config) -> Vec<Finding> {
    let mut found = file("the configuration", path);
    for named in named_files(path) {
        found.extend(file("a file that the configuration names", &named));
    }
    for hook in config.folders.values().flat_map(|folder| &folder.hooks) {
        if let By::Command(words) = &hook.by
            && let Some(program) = words.first()
        {
            found.extend(file("the program of a hook", Path::new(program)));
        }
    }
    found.extend(ledger(&config.ledger));
    for folder in config.folders.values() {
        let name = &folder.name;
        let path = folder.path.clone();
        let above = Calls::of_process().ask(&folder.path, move || exposed::above(&path));
        if let Some(why) = above.ok().and_then(|above| exposed::told(&above)) {
            found.push(warning(format!("folder {name}: {why}")));
        }
        let after = folder.policy.after == AfterSuccess::Move;
        let reject = folder.policy.on_reject == OnReject::Move;
        let targets = [
            ("done_dir", after, &folder.done_dir),
            ("rejected_dir", reject, &folder.rejected_dir),
        ];
        for (key, _, dir) in targets.into_iter().filter(|(_, used, _)| *used) {
            found.extend(target(&format!("folder {name}: `{key}`"), dir));
        }
    }
    for dataset in config.datasets.values() {
        if let Some(pushes) = &dataset.pushes {
            let what = format!("dataset {}: `results`", dataset.name);
            found.extend(target(&what, &pushes.results));
        }
    }
    found
}

/// The files that the configuration names, wherever in it.
fn named_files(path: &Path) -> Vec<PathBuf> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_start_matches('\u{feff}');
    let Ok(table) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let mut left = vec![toml::Value::Table(table)];
    let mut found = Vec::new();
    while let Some(value) = left.pop() {
        match value {
            toml::Value::Array(values) => left.extend(values),
            toml::Value::Table(table) => {
                for (key, value) in table {
                    match value {
                        toml::Value::String(text) if FILES.contains(&key.as_str()) => {
                            found.push(PathBuf::from(text));
                        }
                        value => left.push(value),
                    }
                }
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a file can be moved there.
fn target(what: &str, dir: &Path) -> Option<Finding> {
    let asked = dir.to_owned();
    let looked = Calls::of_process().ask(dir, move || Dir::may_be_private(&asked));
    let refused = looked.ok()?.err().filter(|why| why.is_refused_target())?;
    Some(warning(format!(
        "{what}: {refused}. Until then nothing is put there, and files stay where they are"
    )))
}

fn ledger(path: &Path) -> Option<Finding> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let meta = fs::metadata(dir).ok()?;
    // One that others may write to is refused when the ledger is opened.
    (meta.mode() & 0o005 != 0).then(|| {
        Finding::new(
            Severity::Note,
            format!("others may list the ledger's directory {}", dir.display()),
            "`chmod 700` closes it; the ledger itself is its owner's alone",
        )
    })
}

fn file(what: &str, path: &Path) -> Vec<Finding> {
    let Ok(meta) = fs::metadata(path) else {
        // Whoever reads it says so.
        return Vec::new();
    };
    let at = path.display();
    let (mode, me) = (meta.mode() & 0o7777, rustix::process::geteuid().as_raw());
    let mut found = Vec::new();
    // Root looks on behalf of a daemon whose user it does not know.
    if meta.uid() != 0 && meta.uid() != me && me != 0 {
        let uid = meta.uid();
        found.push(warning(format!(
            "{what}, {at}, belongs to uid {uid}, who may change it"
        )));
    }
    if mode & 0o022 != 0 {
        found.push(warning(format!(
            "{what}, {at}, can be changed by others (mode {mode:04o}): `chmod go-w`"
        )));
    }
    let replaceable = exposed::above(path).into_iter();
    found.extend(replaceable.map(|exposure| warning(format!("{what}, {at}: {exposure}"))));
    found
}

fn warning(text: String) -> Finding {
    Finding::new(Severity::Warning, text, "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_may_change_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "").unwrap();
        let said = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = file("it", &path);
            let texts: Vec<String> = found.into_iter().map(|found| found.text).collect();
            texts.join("; ")
        };
        assert_eq!(said(0o644), "");
        assert!(said(0o664).contains("changed by others"));
        assert!(said(0o602).contains("changed by others"));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(said(0o600).contains("every user may rename or replace"));
    }

    #[test]
    fn the_files_are_found_wherever_they_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let text = "[http]\ntoken_file = '/t'\n[[dataset]]\nname = 'd'\nkey_file = '/k'\n\
                    [[folder]]\npath = '/in'\n[[folder.hook]]\nsecret_file = '/s'\n";
        fs::write(&path, text).unwrap();
        assert_eq!(named_files(&path), ["/k", "/s", "/t"].map(PathBuf::from));
    }

    #[test]
    fn a_target_that_would_be_refused_is_named_beforehand() {
        let dir = tempfile::tempdir().unwrap();
        let done = dir.path().join("done");
        assert!(target("it", &done).is_none(), "it will be made");
        fs::create_dir(&done).unwrap();
        assert!(target("it", &done).is_none());
        fs::set_permissions(&done, fs::Permissions::from_mode(0o775)).unwrap();
        let found = target("it", &done).unwrap();
        assert!(found.text.contains("chmod go-w"), "{}", found.text);
        std::os::unix::fs::symlink(&done, dir.path().join("link")).unwrap();
        assert!(target("it", &dir.path().join("link")).is_some());
    }
}
