//! `webhook_path_file` and `results_dir` of a dataset: how the service's pushes
//! are taken.
//!
//! Must not: show the path that they come by: it is all that keeps others out.

use super::Report;
use crate::config::keys::Keys;
use crate::config::raw::RawDataset;
use crate::config::surroundings::{Look, Surroundings};
use crate::config::valid::{Dataset, Http, Pushes};
use crate::ports::Secret;

/// Characters of the secret part of the path, at least.
const SHORTEST: usize = 16;

const MAKE_ONE: &str = "put one long random word of a-z, A-Z, 0-9, - and _ there, alone, such as `openssl rand -hex 32` makes";

/// How the dataset at `here` takes pushes, if it does.
pub(super) fn check(
    here: &str,
    raw: &RawDataset,
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Option<Pushes> {
    let (at, dir) = (
        format!("{here}.webhook_path_file"),
        format!("{here}.results_dir"),
    );
    match (&raw.webhook_path_file, &raw.results_dir) {
        (None, None) => return None,
        (Some(_), None) => {
            to.error(
                &dir,
                "is missing: nothing says where pushes are put",
                "write the full path of a directory, or take `webhook_path_file` out",
            );
            return None;
        }
        (None, Some(_)) => {
            to.error(
                &at,
                "is missing: pushes have no path to come by",
                "name a file that holds the secret part of the path, or take `results_dir` out",
            );
            return None;
        }
        (Some(_), Some(_)) => {}
    }
    let results = to.path(&dir, &raw.results_dir)?;
    let hint = "create it, and let the daemon's user write there; under systemd name it in `ReadWritePaths=`, too. Pushes are refused until then";
    match on.look(&results) {
        Look::Missing => to.warning(&dir, "does not exist", hint),
        Look::Refused(why) => to.warning(&dir, format!("can't be looked at: {why}"), hint),
        Look::NoAnswer => to.warning(&dir, "does not answer: its file system hangs", hint),
        Look::NotADirectory => to.warning(&dir, "is not a directory", hint),
        Look::Directory { writable, .. } if !writable => {
            to.warning(&dir, "can't be written by this user", hint);
        }
        Look::Directory { .. } => {}
    }
    if keys == Keys::NotNeeded {
        return Some(Pushes {
            secret: Secret::new(String::new()),
            results,
        });
    }
    let path = raw.webhook_path_file.as_deref()?;
    let word = to.secret_file(&at, path, on, |_| MAKE_ONE)?;
    let word = word.expose();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if word.len() < SHORTEST || !word.bytes().all(plain) {
        to.error(
            &at,
            "leads to no word that can be the secret part of a path",
            MAKE_ONE,
        );
        return None;
    }
    Some(Pushes {
        secret: Secret::new(word.to_owned()),
        results,
    })
}

/// Whether there is a door that pushes can come in by.
pub(super) fn can_come(datasets: &[Dataset], http: &Http, to: &mut Report<'_>) {
    if http.listen.is_none() && datasets.iter().any(|d| d.pushes.is_some()) {
        to.warning(
            "http.listen",
            "is not set, so no push can come in",
            "write \"127.0.0.1:8398\", and let a reverse proxy with HTTPS lead there (docs/hooks.md)",
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::surroundings::Look;
    use crate::config::testing::{BASE, Fake, load_on, machine, problems};

    const SECRET: &str = "path-4f1d0c77a2b94e6d";

    fn on() -> Fake {
        machine()
            .key("/etc/path", SECRET)
            .key("/etc/short", "abc")
            .key("/etc/odd", "0123456789abcdef/x")
    }

    fn text(dataset: &str) -> String {
        let head = "[http]\nlisten = '127.0.0.1:1'\n";
        let keys = format!("key_file = '/etc/key'\n{dataset}");
        format!("{head}{}", BASE.replace("key_file = '/etc/key'", &keys))
    }

    #[test]
    fn what_can_be_used_and_what_cannot() {
        let good = "webhook_path_file = '/etc/path'\nresults_dir = '/srv/results'";
        let config = load_on(&text(good), &on()).unwrap().config;
        let dataset = config.datasets.values().next().unwrap();
        assert!(dataset.pushes.as_ref().unwrap().secret.is(SECRET));
        assert!(!format!("{config:?}").contains(SECRET));
        for (dataset, wanted) in [
            ("webhook_path_file = '/etc/path'", "nothing says where"),
            ("results_dir = '/srv/results'", "no path to come by"),
            (
                "webhook_path_file = '/etc/short'\nresults_dir = '/srv/results'",
                "no word",
            ),
            (
                "webhook_path_file = '/etc/odd'\nresults_dir = '/srv/results'",
                "no word",
            ),
            (
                "webhook_path_file = '/etc/path'\nresults_dir = '/srv/drop/results'",
                "would be uploaded",
            ),
            (
                "webhook_path_file = '/srv/drop/path'\nresults_dir = '/srv/results'",
                "can't be read",
            ),
        ] {
            let said = problems(&text(dataset), &on()).join("\n");
            assert!(
                said.contains(wanted) && !said.contains(SECRET),
                "{dataset}\n{said}"
            );
        }
        let missing = on().look("/srv/results", Look::Missing);
        assert!(problems(&text(good), &missing)[0].contains("warning"));
        let deaf = text(good).replace("listen = '127.0.0.1:1'", "");
        assert!(problems(&deaf, &on())[0].contains("no push can come in"));
    }
}
