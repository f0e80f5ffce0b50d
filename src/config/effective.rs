//! The configuration as it is in force, as TOML that can be read back: every
//! key with its value, and whether that is the default or on which line of the
//! file it stands.
//!
//! Must not: show a key, or what may be one in a wrong place. Of a key only
//! where it comes from is shown, and only if that looks like a place.

use std::fs;
use std::path::Path;

use toml::Value;

use super::load::text_of;
use super::problem::{ConfigErrors, Plain};
use super::raw::{RawCustomKey, RawDataset, RawError, RawFolder, RawHook, RawHttp, RawRoute};
use super::source::{self, Lines, join};
use super::surroundings::{Machine, Surroundings};
use super::units::{show_size, show_time};
use super::valid::{By, Config, Folder, Hook, LogFormat, Patterns, ProxyChoice};
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::lifecycle::OnUnconfirmed;
use crate::domain::media::Media;
use crate::domain::naming::left_out;

impl Config {
    /// The file at `path` as it is in force. No key is read.
    ///
    /// # Errors
    /// It can't be used.
    pub fn effective(path: &Path) -> Result<String, ConfigErrors> {
        // What is wrong with it is said by the one that loads it.
        let config = Config::load_without_keys(path)?.config;
        let bytes = fs::read(path).unwrap_or_default();
        let text = text_of(path, &bytes).unwrap_or_default();
        Ok(written(path, text, &config, &Machine))
    }
}

/// `config` is what `text` amounts to.
fn written(path: &Path, text: &str, config: &Config, on: &dyn Surroundings) -> String {
    let Ok(source) = source::read(text) else {
        return String::new();
    };
    let (raw, lines) = (source.raw, source.lines);
    let mut out = Writer {
        text: format!(
            "# {} as it is in force: each key, its value, and where that is from.\n",
            Plain(path)
        ),
        lines: &lines,
        table: String::new(),
    };
    service(&mut out, config, &raw.service.allow_http_hosts);

    out.table("[daemon]", "daemon");
    let made = !lines.has("daemon.ledger") && on.var("STATE_DIRECTORY").is_some();
    out.from(
        "ledger",
        path_value(&config.ledger),
        made.then_some("systemd's state directory"),
    );
    out.key("shutdown_grace", show_time(config.shutdown_grace));
    out.key("rescan_every", show_time(config.rescan_every));
    out.key("poll_every", show_time(config.poll_every));

    // One for all folders, and there is one: a configuration has a folder.
    if let Some(policy) = config.folders.values().next().map(|f| &f.policy) {
        out.table("[retry]", "retry");
        out.key("backoff_base", show_time(policy.backoff.ceiling(1)));
        out.key("backoff_cap", show_time(policy.backoff.ceiling(u32::MAX)));
        out.key("give_up_after", show_time(policy.give_up_after));
        let times = config
            .folders
            .values()
            .find_map(|f| match f.policy.unconfirmed {
                OnUnconfirmed::Resend { times, first } => Some((times, first)),
                OnUnconfirmed::Hold => None,
            });
        match times {
            Some((times, first)) => {
                out.key("unconfirmed_resends", i64::from(times));
                out.key("unconfirmed_wait", show_time(first));
            }
            None => {
                let nowhere = "every folder holds";
                match raw.retry.unconfirmed_resends {
                    Some(times) => out.key("unconfirmed_resends", i64::from(times)),
                    None => out.unset("unconfirmed_resends", nowhere),
                }
                match &raw.retry.unconfirmed_wait {
                    Some(wait) => out.key("unconfirmed_wait", wait.clone()),
                    None => out.unset("unconfirmed_wait", nowhere),
                }
            }
        }
        out.table("[poll]", "poll");
        out.key("first", show_time(policy.poll.first));
        out.key("max", show_time(policy.poll.max));
    }

    out.table("[log]", "log");
    out.key("filter", config.log.filter.clone());
    let format = match config.log.format {
        LogFormat::Auto => "auto",
        LogFormat::Human => "human",
        LogFormat::Json => "json",
        LogFormat::Journald => "journald",
    };
    out.key("format", format);

    http(&mut out, config, &raw.http, on);
    for (at, raw) in raw.dataset.iter().enumerate() {
        dataset(&mut out, at + 1, raw, config, on);
    }
    for (at, raw) in raw.folder.iter().enumerate() {
        let name = FolderName(raw.name.clone().unwrap_or_default());
        if let Some(valid) = config.folders.get(&name) {
            folder(&mut out, at + 1, raw, valid);
        }
    }
    for (at, raw) in raw.error.iter().enumerate() {
        error(&mut out, at + 1, raw);
    }
    out.text
}

struct Writer<'l> {
    text: String,
    lines: &'l Lines,
    /// The key of the table that is being written.
    table: String,
}

impl Writer<'_> {
    fn table(&mut self, head: &str, key: impl Into<String>) {
        self.text.push_str(&format!("\n{head}\n"));
        self.table = key.into();
    }

    fn key(&mut self, name: &str, value: impl Into<Value>) {
        self.from(name, value, None);
    }

    /// `from`: where it is from, if neither from the file nor a default.
    fn from(&mut self, name: &str, value: impl Into<Value>, from: Option<&str>) {
        let at = join(&self.table, name);
        let from = match (self.lines.has(&at), from) {
            (true, _) => self.line(&at),
            (false, Some(from)) => from.to_owned(),
            (false, None) => "default".to_owned(),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let name = if !name.is_empty() && name.bytes().all(plain) {
            name.to_owned()
        } else {
            Value::from(name).to_string()
        };
        self.text
            .push_str(&format!("{name} = {}  # {from}\n", value.into()));
    }

    fn line(&self, at: &str) -> String {
        match self.lines.of(at) {
            Some(line) => format!("line {line}"),
            None => "the file".to_owned(),
        }
    }

    /// A file or directory that belongs to a secret. A secret that was pasted in
    /// its place leads nowhere, and is not shown.
    fn secret(&mut self, name: &str, place: &Option<String>, unset: &str, on: &dyn Surroundings) {
        match place {
            Some(place) if is_place("key_file", place, on) => self.key(name, place.as_str()),
            Some(_) => {
                let line = self.line(&join(&self.table, name));
                self.text.push_str(&format!(
                    "#{name} =  # {line}: hidden, since nothing is found there by this user\n"
                ));
            }
            None => self.unset(name, unset),
        }
    }

    /// A key without a value.
    fn unset(&mut self, name: &str, what: &str) {
        self.text
            .push_str(&format!("#{name} =  # default: {what}\n"));
    }
}

fn path_value(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn number(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

fn list(texts: &[String]) -> Value {
    Value::Array(
        texts
            .iter()
            .map(|text| Value::from(text.as_str()))
            .collect(),
    )
}

fn service(out: &mut Writer<'_>, config: &Config, http_hosts: &[String]) {
    let service = &config.service;
    out.table("[service]", "service");
    out.key("base_url", service.base_url.as_str().trim_end_matches('/'));
    out.key("allow_http_hosts", list(http_hosts));
    match &service.authorities {
        Some(authorities) => out.key("ca_file", path_value(&authorities.path)),
        None => out.unset("ca_file", "the system's alone"),
    }
    let mut login = None;
    match &service.proxy {
        ProxyChoice::Environment => out.unset("proxy", "as the environment says"),
        ProxyChoice::Straight => out.key("proxy", "none"),
        ProxyChoice::Named(proxy) => {
            out.key("proxy", proxy.url.as_str().trim_end_matches('/'));
            login = proxy.login_file.as_ref();
        }
    }
    match login {
        Some(path) => out.key("proxy_login_file", path_value(path)),
        None => out.unset("proxy_login_file", "no log-in"),
    }
    out.key("connect_timeout", show_time(service.connect_timeout));
    out.key("stall_timeout", show_time(service.stall_timeout));
    out.key("answer_timeout", show_time(service.answer_timeout));
    out.key("idle_timeout", show_time(service.idle_timeout));
    out.key(
        "acknowledge_assumed_paths",
        service.acknowledge_assumed_paths,
    );
    out.table("[service.paths]", "service.paths");
    for (media, path) in &service.paths {
        out.key(media.as_str(), path.as_str());
    }
    out.key("query", service.query_path.as_str());
    out.key("delete", service.delete_path.as_str());
    out.key("webhook", service.webhook_path.as_str());
}

fn http(out: &mut Writer<'_>, config: &Config, raw: &RawHttp, on: &dyn Surroundings) {
    out.table("[http]", "http");
    match &config.http.listen {
        Some(address) => out.key("listen", address.to_string()),
        None => out.unset("listen", "the socket alone"),
    }
    out.secret(
        "token_file",
        &raw.token_file,
        "nothing can be done by TCP",
        on,
    );
    out.secret(
        "read_token_file",
        &raw.read_token_file,
        "who can connect may look",
        on,
    );
    let most = u64::try_from(config.http.push_max).unwrap_or(u64::MAX);
    out.key("webhook_max_size", show_size(most));
}

fn dataset(
    out: &mut Writer<'_>,
    n: usize,
    raw: &RawDataset,
    config: &Config,
    on: &dyn Surroundings,
) {
    let name = DatasetName(raw.name.clone().unwrap_or_default());
    let Some(valid) = config.datasets.get(&name) else {
        return;
    };
    out.table("[[dataset]]", format!("dataset[{n}]"));
    out.key("name", name.0.as_str());
    for (key, place) in [
        ("key_file", &raw.key_file),
        ("key_env", &raw.key_env),
        ("credential", &raw.credential),
    ] {
        match place {
            None => {}
            Some(place) if is_place(key, place, on) => out.key(key, place.as_str()),
            Some(_) => {
                let line = out.line(&join(&out.table, key));
                out.text.push_str(&format!(
                    "#{key} =  # {line}: hidden, since no key is found there by this user\n"
                ));
            }
        }
    }
    out.key("concurrency", number(valid.concurrency));
    out.key("max_concurrent", number(valid.max_concurrent));
    out.key("polls_per_second", valid.polls_per_second);
    match valid.requests_per_second {
        Some(rate) => out.key("requests_per_second", rate),
        None => out.unset("requests_per_second", "no limit"),
    }
    match valid.bytes_per_second {
        Some(rate) => out.key("bytes_per_second", show_size(rate)),
        None => out.unset("bytes_per_second", "no limit"),
    }
    for (key, path) in [
        ("webhook_path_file", &raw.webhook_path_file),
        ("results_dir", &raw.results_dir),
    ] {
        out.secret(key, path, "pushes are not taken", on);
    }
}

/// Whether something is where a key should be. A key that was pasted in place
/// of its place leads nowhere.
fn is_place(key: &str, place: &str, on: &dyn Surroundings) -> bool {
    match key {
        "key_file" => Path::new(place)
            .parent()
            .is_some_and(|dir| dir.is_absolute() && dir.parent().is_some() && dir.is_dir()),
        "key_env" => on.var(place).is_some(),
        _ => on
            .var("CREDENTIALS_DIRECTORY")
            .is_some_and(|dir| !place.contains('/') && Path::new(&dir).join(place).exists()),
    }
}

fn folder(out: &mut Writer<'_>, n: usize, raw: &RawFolder, valid: &Folder) {
    let here = format!("folder[{n}]");
    let word = |word: String| word.to_lowercase();
    out.table("[[folder]]", here.as_str());
    out.key("name", valid.name.0.as_str());
    out.key("path", path_value(&valid.path));
    out.key("dataset", valid.dataset.0.as_str());
    out.key("recursive", valid.recursive);
    let Patterns {
        include,
        exclude,
        exclude_also,
        temporary,
        temporary_also,
    } = &valid.patterns;
    let or = |own: &Option<Vec<String>>, default: &[&str]| match own {
        Some(own) => list(own),
        None => Value::Array(default.iter().copied().map(Value::from).collect()),
    };
    out.key("include", list(include));
    out.key("exclude", or(exclude, left_out::EXCLUDED));
    out.key("exclude_also", list(exclude_also));
    out.key("temporary", or(temporary, left_out::TEMPORARY));
    out.key("temporary_also", list(temporary_also));
    out.key("watch", valid.watch.to_string());
    out.key("one_file_system", valid.one_file_system);
    out.key("owner_sign", valid.owner_sign);
    out.key("max_size", show_size(valid.max_size));
    out.key("writers", valid.writers.to_string());
    out.key("quiet", show_time(valid.quiet));
    out.key("quiet_unsure", show_time(valid.quiet_unsure));
    out.key("unclosed_wait", show_time(valid.unclosed_wait));
    out.key("incomplete_wait", show_time(valid.incomplete_wait));
    out.key("reimport_after", show_time(valid.policy.reimport_after));
    out.key("duplicates", word(format!("{:?}", valid.duplicates)));
    let unconfirmed = match valid.policy.unconfirmed {
        OnUnconfirmed::Resend { .. } => "resend",
        OnUnconfirmed::Hold => "hold",
    };
    out.key("unconfirmed", unconfirmed);
    out.key("resubmit_failed", i64::from(valid.policy.resubmit_failed));
    out.key("after", word(format!("{:?}", valid.policy.after)));
    out.key("on_reject", word(format!("{:?}", valid.policy.on_reject)));
    out.key("done_dir", path_value(&valid.done_dir));
    out.key("rejected_dir", path_value(&valid.rejected_dir));
    for (media, raw) in [
        (Media::Text, &raw.text),
        (Media::Image, &raw.image),
        (Media::Audio, &raw.audio),
        (Media::Video, &raw.video),
        (Media::Web, &raw.web),
    ] {
        route(out, &format!("{here}.{media}"), media, raw, valid);
    }
    for (at, (raw, valid)) in (1..).zip(raw.hook.iter().zip(&valid.hooks)) {
        hook(out, &format!("{here}.hook[{at}]"), raw, valid);
    }
}

fn hook(out: &mut Writer<'_>, here: &str, raw: &RawHook, valid: &Hook) {
    out.table("[[folder.hook]]", here);
    out.key("name", valid.name.0.as_str());
    out.key("on", list(&raw.on));
    match &valid.by {
        By::Command(argv) => {
            out.key("command", list(argv));
            out.unset("url", "a command is run in its place");
        }
        By::Post(to) => {
            out.unset("command", "a POST is sent in its place");
            // What is behind the host may be all that lets one speak there.
            let line = out.line(&join(here, "url"));
            let origin = to.url.origin().ascii_serialization();
            out.text.push_str(&format!(
                "#url =  # {line}: hidden but for its host, {origin}\n"
            ));
        }
    }
    out.secret("secret_file", &raw.secret_file, "none", &Machine);
    out.key("timeout", show_time(valid.timeout));
}

fn route(out: &mut Writer<'_>, here: &str, media: Media, raw: &RawRoute, valid: &Folder) {
    out.table(&format!("[folder.{media}]"), here);
    out.key(
        "format",
        raw.format.clone().unwrap_or_else(|| "json".to_owned()),
    );
    match media {
        Media::Text => {
            out.key("title", raw.title.unwrap_or(true));
            out.key("content_details", raw.content_details.unwrap_or(true));
        }
        Media::Image => out.key("get_image_text", raw.get_image_text.unwrap_or(true)),
        _ => {}
    }
    let custom = raw.custom_keys.iter().map(custom_key).collect();
    out.key("custom_keys", Value::Array(custom));
    let added = out.lines.has(&join(here, "extra_extensions"));
    let taken = valid
        .types
        .get(&media)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let from = added.then(|| {
        format!(
            "{}, with `extra_extensions`",
            out.line(&join(here, "extra_extensions"))
        )
    });
    out.from("extensions", list(taken), from.as_deref());
    out.unset("extra_extensions", "they are among `extensions`");
    if !raw.extra.is_empty() {
        out.table(&format!("[folder.{media}.extra]"), format!("{here}.extra"));
        for (name, value) in &raw.extra {
            out.key(name, value.clone());
        }
    }
}

fn custom_key(raw: &RawCustomKey) -> Value {
    let text = |text: &Option<String>| Value::from(text.clone().unwrap_or_default());
    let mut table = toml::Table::new();
    table.insert("key".to_owned(), text(&raw.key));
    table.insert("desc".to_owned(), text(&raw.desc));
    Value::Table(table)
}

/// As it is written: what is left out stays as the row has it.
fn error(out: &mut Writer<'_>, n: usize, raw: &RawError) {
    out.table("[[error]]", format!("error[{n}]"));
    let RawError {
        on,
        calls,
        verdict,
        limit,
        then,
        pause,
        pause_first,
        pause_max,
        pause_after,
    } = raw;
    let texts = [
        ("on", on),
        ("calls", calls),
        ("verdict", verdict),
        ("then", then),
        ("pause", pause),
        ("pause_first", pause_first),
        ("pause_max", pause_max),
    ];
    for (name, value) in texts {
        match value {
            Some(value) => out.key(name, value.as_str()),
            None => out.unset(name, "as `explain-code` says"),
        }
    }
    for (name, value) in [("limit", limit), ("pause_after", pause_after)] {
        match value {
            Some(value) => out.key(name, i64::from(*value)),
            None => out.unset(name, "as `explain-code` says"),
        }
    }
}

#[cfg(test)]
#[path = "effective_tests.rs"]
mod tests;
