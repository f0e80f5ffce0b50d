//! `[[folder.hook]]`: who is told of what, and how.
//!
//! Must not: show an address behind its host, or a secret: both are what lets
//! somebody speak to the receiver. Must not run anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{HOUR, Report, service};
use crate::config::keys::Keys;
use crate::config::raw::{RawFolder, RawHook};
use crate::config::surroundings::{Program, Surroundings};
use crate::config::valid::{By, Dataset, Hook, Receiver};
use crate::domain::notice::{HookName, Occasion};
use crate::domain::spelling::did_you_mean;
use crate::ports::Secret;

/// How long a try may take if nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Hooks of a folder, at most: each has places of its own.
const MOST: usize = 16;

const SECRET_REMEDY: &str = "write the full path of a file that holds the receiver's secret alone, and that the daemon's user may read";

/// What hooks are checked with.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    pub keys: Keys,
    /// Hosts that plain http may be spoken to.
    pub plain_hosts: &'a [String],
    /// Whose keys no secret may be.
    pub datasets: &'a [Dataset],
}

/// The hooks of the folder at `here` that can be used.
pub(super) fn check(
    here: &str,
    raw: &RawFolder,
    with: With<'_>,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Vec<Arc<Hook>> {
    let mut hooks: Vec<Arc<Hook>> = Vec::new();
    if raw.hook.len() > MOST {
        to.error(
            &format!("{here}.hook"),
            "is more than can be told",
            format!("use at most {MOST} hooks for a folder; one can be told of several things"),
        );
    }
    for (n, raw) in (1..).zip(&raw.hook) {
        let here = format!("{here}.hook[{n}]");
        let name = match raw.name {
            None => Some(n.to_string()),
            Some(_) => to.name(&format!("{here}.name"), &raw.name),
        };
        let name = HookName(name.unwrap_or_default());
        if hooks.iter().any(|other| other.name == name) {
            to.error(
                &format!("{here}.name"),
                "is the name, or the number, of another hook of the folder",
                "give each hook of a folder a name of its own",
            );
        }
        let timeout = to.time(
            &format!("{here}.timeout"),
            &raw.timeout,
            TIMEOUT,
            Duration::from_secs(1),
            HOUR,
        );
        let on_what = occasions(&format!("{here}.on"), &raw.on, to);
        if let Some(by) = by(&here, raw, with, on, to) {
            hooks.push(Arc::new(Hook {
                name,
                on: on_what,
                by,
                timeout,
            }));
        }
    }
    hooks
}

/// The files that hold secrets, with the key that names each.
pub(super) fn secret_files(folders: &[RawFolder]) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for (at, folder) in (1..).zip(folders) {
        for (n, hook) in (1..).zip(&folder.hook) {
            if let Some(path) = hook.secret_file.as_deref().filter(|p| p.starts_with('/')) {
                let key = format!("folder[{at}].hook[{n}].secret_file");
                files.push((key, PathBuf::from(path)));
            }
        }
    }
    files
}

fn occasions(key: &str, words: &[String], to: &mut Report<'_>) -> BTreeSet<Occasion> {
    if words.is_empty() {
        to.error(
            key,
            "is missing: nothing says what the hook is told of",
            "write a list such as [\"succeeded\", \"failed\", \"rejected\", \"paused\"]",
        );
    }
    let mut found = BTreeSet::new();
    for (n, word) in (1..).zip(words) {
        match Occasion::meant_by(word) {
            Some(meant) => found.extend(meant),
            None => {
                let all = || Occasion::words().collect::<Vec<_>>().join(", ");
                let remedy = match did_you_mean(word, Occasion::words()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("write one of {}", all()),
                };
                to.error(
                    &format!("{key}[{n}]"),
                    "is nothing that a hook is told of",
                    remedy,
                );
            }
        }
    }
    found
}

fn by(
    here: &str,
    raw: &RawHook,
    with: With<'_>,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Option<By> {
    match (raw.command.is_empty(), &raw.url) {
        (false, None) => {
            if raw.secret_file.is_some() {
                to.error(
                    &format!("{here}.secret_file"),
                    "belongs to a `url`; a command is given no secret",
                    "leave it out, and have the command read its own",
                );
            }
            command(&format!("{here}.command"), &raw.command, on, to)
        }
        (true, Some(url)) => {
            let url = address(&format!("{here}.url"), url, with.plain_hosts, to);
            let secret = secret(&format!("{here}.secret_file"), raw, with, on, to);
            Some(By::Post(Receiver { url: url?, secret }))
        }
        _ => {
            to.error(
                here,
                "needs one way to tell",
                "write either `command` (a list: the program's full path and its arguments) or `url`",
            );
            None
        }
    }
}

fn command(key: &str, argv: &[String], on: &dyn Surroundings, to: &mut Report<'_>) -> Option<By> {
    let program = Path::new(argv.first()?);
    if !program.is_absolute() || argv.iter().any(|arg| arg.contains('\0')) {
        to.error(
            key,
            "does not begin with the full path of a program",
            "write a list such as [\"/usr/local/bin/tell\", \"an argument\"]; no shell reads it",
        );
        return None;
    }
    // Warnings: it may be installed later, and the files go on meanwhile.
    match on.program(program) {
        Program::Fine => {}
        Program::Missing => to.warning(
            key,
            "names a program that is not there, or not for this user",
            "install it, or correct the path; until then the hook fails, and the files go on",
        ),
        Program::NotAFile => to.warning(
            key,
            "names something that is not a file",
            "name the program itself; until then the hook fails, and the files go on",
        ),
        Program::NotExecutable => to.warning(
            key,
            "names a file that this user can't run",
            "chmod 755 the file; until then the hook fails, and the files go on",
        ),
        Program::Writable => to.warning(
            key,
            "names a program that every user of this machine can change",
            "chmod o-w the file and its directory: whoever changes it runs as the daemon's user",
        ),
    }
    Some(By::Command(argv.to_vec()))
}

fn address(key: &str, text: &str, plain_hosts: &[String], to: &mut Report<'_>) -> Option<Url> {
    let hint = "write the full address, such as \"https://chat.example.com/hooks/…\"";
    let Ok(url) = Url::parse(text) else {
        to.error(key, "is not an address", hint);
        return None;
    };
    let instead = "leave them out, and name a file with `secret_file`: what is in it goes along as a bearer token";
    if !to.without_log_in(key, &url, instead) {
        return None;
    }
    match url.scheme() {
        "https" => Some(url),
        "http" if service::plain_is_fine(&url, plain_hosts) => Some(url),
        "http" => {
            to.error(
                key,
                "would send names of files unencrypted",
                "use https, or name the host in `service.allow_http_hosts` if the network between is yours",
            );
            None
        }
        _ => {
            to.error(key, "is neither https nor http", hint);
            None
        }
    }
}

fn secret(
    key: &str,
    raw: &RawHook,
    with: With<'_>,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Option<Secret> {
    let path = raw.secret_file.as_deref()?;
    if with.keys == Keys::NotNeeded {
        return None;
    }
    let read = to.secret_file(key, path, on, |_| SECRET_REMEDY)?;
    let same = |dataset: &&Dataset| dataset.key.fingerprint() == read.fingerprint();
    if let Some(dataset) = with.datasets.iter().find(same) {
        to.error(
            key,
            format!("leads to the Access-Key of the dataset {}", dataset.name),
            "an Access-Key goes to the service and nowhere else: use a secret of the receiver's",
        );
        return None;
    }
    Some(Secret::new(read.expose().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::testing::{BASE, machine, problems, with};

    const HEAD: &str = "[[folder.hook]]\n";

    fn said(hook: &str, on: &crate::config::testing::Fake) -> String {
        problems(&format!("{BASE}{HEAD}{hook}\n"), on).join("\n")
    }

    #[test]
    fn what_can_be_used() {
        let config = with(
            "[[folder.hook]]\non = ['attention', 'succeeded']\ncommand = ['/bin/tell', 'a b']\n\
             [[folder.hook]]\nname = 'chat'\non = ['paused']\nurl = 'https://c.example/x?y'\ntimeout = '5s'\n",
        );
        let hooks = &config.folders.values().next().unwrap().hooks;
        let names: Vec<_> = hooks.iter().map(|hook| hook.name.0.as_str()).collect();
        assert_eq!(names, ["1", "chat"]);
        assert_eq!((hooks[0].timeout, hooks[0].on.len()), (TIMEOUT, 8));
        assert_eq!(hooks[1].timeout, Duration::from_secs(5));
        let shown = format!("{hooks:?}");
        assert!(
            shown.contains("https://c.example…") && !shown.contains("x?y"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_refused_and_what_is_warned_of() {
        let on = || machine().key("/etc/s", "sssh\n");
        for (hook, wanted) in [
            (
                "command = ['/bin/x']",
                "is missing: nothing says what the hook",
            ),
            (
                "on = ['suceeded']\ncommand = ['/bin/x']",
                "did you mean \"succeeded\"?",
            ),
            (
                "on = ['queued']\ncommand = ['/bin/x']",
                "nothing that a hook is told of",
            ),
            ("on = ['failed']", "needs one way to tell"),
            (
                "on = ['failed']\ncommand = ['/x']\nurl = 'https://x'",
                "needs one way to tell",
            ),
            (
                "on = ['failed']\ncommand = ['tell']",
                "full path of a program",
            ),
            (
                "on = ['failed']\ncommand = ['/bin/x']\nsecret_file = '/etc/s'",
                "given no secret",
            ),
            ("on = ['failed']\nurl = 'http://c.example/'", "unencrypted"),
            (
                "on = ['failed']\nurl = 'ftp://c.example/'",
                "neither https nor http",
            ),
            (
                "on = ['failed']\nurl = 'https://u:p@c.example/'",
                "user name",
            ),
            (
                "on = ['failed']\nurl = 'https://c/'\nsecret_file = '/etc/key'",
                "Access-Key of the dataset main",
            ),
            (
                "on = ['failed']\nurl = 'https://c/'\nsecret_file = '/no'",
                "can't be read",
            ),
            (
                "on = ['failed']\ncommand = ['/bin/x']\ntimeout = '0s'",
                "too short",
            ),
        ] {
            let said = said(hook, &on());
            assert!(said.contains(wanted), "{hook}\n{said}");
        }
        assert_eq!(
            said("on = ['failed']\nurl = 'http://127.0.0.1:1/'", &on()),
            ""
        );
        assert_eq!(
            said(
                "on = ['failed']\nurl = 'https://c/'\nsecret_file = '/etc/s'",
                &on()
            ),
            ""
        );
        for (program, wanted) in [
            (Program::Missing, "not there"),
            (Program::NotAFile, "not a file"),
            (Program::NotExecutable, "can't run"),
            (Program::Writable, "can change"),
        ] {
            let on = machine().program("/bin/x", program);
            let said = said("on = ['failed']\ncommand = ['/bin/x']", &on);
            assert!(said.contains(wanted) && said.contains("warning"), "{said}");
        }
    }

    #[test]
    fn two_hooks_of_one_name_are_refused() {
        let two = "on = ['failed']\ncommand = ['/bin/x']\n[[folder.hook]]\nname = '1'\non = ['failed']\ncommand = ['/bin/x']";
        assert!(said(two, &machine()).contains("another hook"), "{two}");
    }
}
