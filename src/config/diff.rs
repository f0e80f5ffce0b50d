//! What a reload changed, in words.
//!
//! Must not: show a key or an option's value; that they changed is enough.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use super::problem::Plain;
use super::units;
use super::valid::{Config, Dataset, Folder, ProxyChoice};
use crate::domain::media::Media;
use crate::domain::policy::OnUnconfirmed;

/// One line for each thing that is different in `new`; none if all is as it
/// was. The ledger's place and the log settings are listed too, though they
/// take effect at the next start only, and say so.
pub fn diff(old: &Config, new: &Config) -> Vec<String> {
    let mut said = Vec::new();
    service(old, new, &mut said);
    let mut top = Lines {
        said: &mut said,
        of: String::new(),
    };
    for said in at_restart(old, new) {
        top.say(said);
    }
    top.time("shutdown_grace", old.shutdown_grace, new.shutdown_grace);
    top.time("rescan_every", old.rescan_every, new.rescan_every);
    top.time("poll_every", old.poll_every, new.poll_every);
    for (key, old, new) in [
        ("token_file", &old.http.token, &new.http.token),
        (
            "read_token_file",
            &old.http.read_token,
            &new.http.read_token,
        ),
    ] {
        let same = match (old, new) {
            (Some(old), Some(new)) => old.same(new),
            (None, None) => true,
            _ => false,
        };
        if !same {
            top.say(format!("the token of http.{key} changed"));
        }
    }
    top.plain(
        "webhook_max_size",
        units::show_size(old.http.push_max as u64),
        units::show_size(new.http.push_max as u64),
    );
    if old.errors != new.errors {
        top.say("the error table changed: `supametas-sync errors` shows it".to_owned());
    }
    each("dataset", &old.datasets, &new.datasets, &mut said, dataset);
    each("folder", &old.folders, &new.folders, &mut said, folder);
    said
}

/// Those of the lines of [`diff`] that take effect at the next start only.
pub fn at_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut said = Vec::new();
    if old.ledger != new.ledger {
        let (a, b) = (Plain(&old.ledger), Plain(&new.ledger));
        said.push(format!(
            "the ledger moved from {a} to {b}: takes effect at the next start"
        ));
    }
    if old.log != new.log {
        said.push("the log settings changed: they take effect at the next start".to_owned());
    }
    if old.http.listen != new.http.listen {
        said.push("http.listen changed: it takes effect at the next start".to_owned());
    }
    said
}

struct Lines<'s> {
    said: &'s mut Vec<String>,
    of: String,
}

impl Lines<'_> {
    fn say(&mut self, text: String) {
        self.said.push(format!("{}{text}", self.of));
    }

    fn time(&mut self, name: &str, old: Duration, new: Duration) {
        if old != new {
            let (old, new) = (units::show_time(old), units::show_time(new));
            self.say(format!("{name} changed from {old} to {new}"));
        }
    }

    fn plain<T: PartialEq + Display>(&mut self, name: &str, old: T, new: T) {
        if old != new {
            self.say(format!("{name} changed from {old} to {new}"));
        }
    }

    /// For enums of our own, whose `Debug` is the word that is written.
    fn word<T: PartialEq + Debug>(&mut self, name: &str, old: T, new: T) {
        if old != new {
            let (old, new) = (format!("{old:?}"), format!("{new:?}"));
            self.say(format!(
                "{name} changed from {} to {}",
                old.to_lowercase(),
                new.to_lowercase()
            ));
        }
    }

    fn limit<T: PartialEq + Display>(&mut self, name: &str, old: Option<T>, new: Option<T>) {
        let word = |limit: Option<T>| limit.map_or("no limit".to_owned(), |l| l.to_string());
        self.plain(name, word(old), word(new));
    }
}

fn service(old: &Config, new: &Config, said: &mut Vec<String>) {
    let (old, new) = (&old.service, &new.service);
    let mut to = Lines {
        said,
        of: "service: ".to_owned(),
    };
    // Neither can hold a user name or password: that is refused.
    to.plain("base_url", &old.base_url, &new.base_url);
    for media in Media::ALL {
        let path = |s: &super::valid::Service| s.paths.get(&media).cloned().unwrap_or_default();
        to.plain(&format!("paths.{media}"), path(old), path(new));
    }
    to.plain("paths.query", &old.query_path, &new.query_path);
    to.plain("paths.delete", &old.delete_path, &new.delete_path);
    to.plain("paths.webhook", &old.webhook_path, &new.webhook_path);
    to.plain(
        "acknowledge_assumed_paths",
        old.acknowledge_assumed_paths,
        new.acknowledge_assumed_paths,
    );
    if old.authorities != new.authorities {
        to.say("the certificate authorities of ca_file changed".to_owned());
    }
    let way = |proxy: &ProxyChoice| match proxy {
        ProxyChoice::Environment => "what the environment says".to_owned(),
        ProxyChoice::Straight => "none".to_owned(),
        ProxyChoice::Named(proxy) => proxy.url.to_string(),
    };
    to.plain("proxy", way(&old.proxy), way(&new.proxy));
    let login = |proxy: &ProxyChoice| match proxy {
        ProxyChoice::Named(proxy) => proxy.login.as_ref().map(|l| l.expose().to_owned()),
        _ => None,
    };
    if login(&old.proxy) != login(&new.proxy) {
        to.say("the proxy's log-in changed".to_owned());
    }
    to.time("connect_timeout", old.connect_timeout, new.connect_timeout);
    to.time("stall_timeout", old.stall_timeout, new.stall_timeout);
    to.time("answer_timeout", old.answer_timeout, new.answer_timeout);
    to.time("idle_timeout", old.idle_timeout, new.idle_timeout);
}

fn each<K: Ord + Display, V>(
    kind: &str,
    old: &BTreeMap<K, Arc<V>>,
    new: &BTreeMap<K, Arc<V>>,
    said: &mut Vec<String>,
    changes: impl Fn(&V, &V, &mut Lines<'_>),
) {
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        said.push(format!("{kind} {name}: removed"));
    }
    for (name, value) in new {
        match old.get(name) {
            None => said.push(format!("{kind} {name}: added")),
            Some(before) => {
                let of = format!("{kind} {name}: ");
                changes(before, value, &mut Lines { said, of });
            }
        }
    }
}

fn dataset(old: &Dataset, new: &Dataset, to: &mut Lines<'_>) {
    if old.key.fingerprint() != new.key.fingerprint() {
        to.say("the Access-Key changed".to_owned());
    }
    let way = |d: &Dataset| {
        let pushes = d.pushes.as_ref();
        pushes.map(|p| (p.secret.expose().to_owned(), p.results.clone()))
    };
    if way(old) != way(new) {
        to.say("the way of its pushes changed".to_owned());
    }
    to.plain("concurrency", old.concurrency, new.concurrency);
    to.plain("max_concurrent", old.max_concurrent, new.max_concurrent);
    to.plain(
        "polls_per_second",
        old.polls_per_second,
        new.polls_per_second,
    );
    to.limit(
        "requests_per_second",
        old.requests_per_second,
        new.requests_per_second,
    );
    to.limit(
        "bytes_per_second",
        old.bytes_per_second,
        new.bytes_per_second,
    );
}

fn folder(old: &Folder, new: &Folder, to: &mut Lines<'_>) {
    let moved = |name: &str, a: &std::path::Path, b: &std::path::Path, to: &mut Lines<'_>| {
        if a != b {
            to.say(format!("{name} changed from {} to {}", Plain(a), Plain(b)));
        }
    };
    moved("path", &old.path, &new.path, to);
    moved("done_dir", &old.done_dir, &new.done_dir, to);
    moved("rejected_dir", &old.rejected_dir, &new.rejected_dir, to);
    to.plain("dataset", &old.dataset, &new.dataset);
    to.plain("recursive", old.recursive, new.recursive);
    to.plain("one_file_system", old.one_file_system, new.one_file_system);
    to.plain("owner_sign", old.owner_sign, new.owner_sign);
    to.plain("watch", old.watch, new.watch);
    to.plain(
        "max_size",
        units::show_size(old.max_size),
        units::show_size(new.max_size),
    );
    to.plain("writers", old.writers, new.writers);
    to.time("quiet", old.quiet, new.quiet);
    to.time("quiet_unsure", old.quiet_unsure, new.quiet_unsure);
    to.time("unclosed_wait", old.unclosed_wait, new.unclosed_wait);
    to.time("incomplete_wait", old.incomplete_wait, new.incomplete_wait);
    let after = |folder: &Folder| folder.policy.reimport_after;
    to.time("reimport_after", after(old), after(new));
    to.word("duplicates", old.duplicates, new.duplicates);
    if old.patterns != new.patterns {
        to.say("the patterns of names (include, exclude, temporary) changed".to_owned());
    }
    let (a, b) = (&old.policy, &new.policy);
    to.word("after", a.after, b.after);
    to.word("on_reject", a.on_reject, b.on_reject);
    to.plain("resubmit_failed", a.resubmit_failed, b.resubmit_failed);
    unconfirmed(to, a.unconfirmed, b.unconfirmed);
    to.time("poll.first", a.poll.first, b.poll.first);
    to.time("poll.max", a.poll.max, b.poll.max);
    to.time("give_up_after", a.give_up_after, b.give_up_after);
    to.time("backoff_base", a.backoff.ceiling(1), b.backoff.ceiling(1));
    to.time(
        "backoff_cap",
        a.backoff.ceiling(u32::MAX),
        b.backoff.ceiling(u32::MAX),
    );
    if old.hooks != new.hooks {
        to.say("its hooks changed".to_owned());
    }
    for media in Media::ALL {
        if old.types.get(&media) != new.types.get(&media) {
            to.say(format!("the extensions of {media} changed"));
        }
        if old.options_fingerprint(media) != new.options_fingerprint(media) {
            to.say(format!("the options of {media} changed"));
        }
    }
}

/// `unconfirmed`, and with `resend` the two keys of `[retry]` about it.
fn unconfirmed(to: &mut Lines<'_>, old: OnUnconfirmed, new: OnUnconfirmed) {
    let word = |it| match it {
        OnUnconfirmed::Resend { .. } => "resend",
        OnUnconfirmed::Hold => "hold",
    };
    to.plain("unconfirmed", word(old), word(new));
    if let (
        OnUnconfirmed::Resend {
            times: a,
            first: wait_a,
        },
        OnUnconfirmed::Resend {
            times: b,
            first: wait_b,
        },
    ) = (old, new)
    {
        to.plain("unconfirmed_resends", a, b);
        to.time("unconfirmed_wait", wait_a, wait_b);
    }
}
