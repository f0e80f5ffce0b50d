//! The reference of the configuration: what may stand at each key, what holds
//! without it, and when a change of it is in force.
//!
//! Nothing is said twice: what a key means, and its default, stand in
//! `config.example.toml` (see [`super::example`]); here is what a comment can't
//! be asked for. `reference_tests` holds it against the checker and `diff`.
//!
//! Must not: decide whether a value is good; `check` does.

use std::time::Duration;

use super::units::show_time;

/// What may stand at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text, in words.
    Text(&'static str),
    /// A time, from and up to.
    Time(Duration, Duration),
    /// A size, at least this many bytes.
    Size(u64),
    /// A whole number, from and up to.
    Count(u32, Option<u32>),
    /// A number a second.
    Rate,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// When a change is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// After `systemctl reload` (SIGHUP).
    Reload,
    /// After a restart of the daemon.
    Restart,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// When a change is in force.
    pub force: Force,
    /// What holds without it, where that is not the example's value.
    pub without: Option<&'static str>,
}

/// One table, or several with the same keys.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// As it is written in the example, without its brackets.
    pub names: &'static [&'static str],
    /// It can be there several times: `[[folder]]`.
    pub list: bool,
    /// Its keys, in the order of the example.
    pub keys: &'static [Key],
}

/// Everything.
pub const TABLES: [Table; 12] = [
    table(&["service"], SERVICE),
    table(&["service.paths"], PATHS),
    table(&["daemon"], DAEMON),
    table(&["retry"], RETRY),
    table(&["poll"], POLL),
    table(&["log"], LOG),
    table(&["http"], HTTP),
    table(&["dataset"], DATASET).many(),
    table(&["folder"], FOLDER).many(),
    table(
        &[
            "folder.text",
            "folder.image",
            "folder.audio",
            "folder.video",
            "folder.web",
        ],
        MEDIA,
    ),
    table(&["folder.hook"], HOOK).many(),
    table(&["error"], ERROR).many(),
];

const SERVICE: &[Key] = &[
    key("base_url", Kind::Text("URL")),
    key("allow_http_hosts", Kind::Text("list of host names")),
    key("ca_file", PATH),
    key("proxy", Kind::Text("URL, or `\"none\"`")).without("as the environment says"),
    key("proxy_login_file", PATH).without("no log-in"),
    key("connect_timeout", Kind::Time(secs(1), HOUR)),
    key("stall_timeout", Kind::Time(secs(1), DAY)),
    key("answer_timeout", Kind::Time(secs(1), DAY)),
    key("idle_timeout", Kind::Time(secs(0), HOUR)),
    key("acknowledge_assumed_paths", Kind::Flag),
];

const ENDPOINT: Kind = Kind::Text("path with a slash in front");

const PATHS: &[Key] = &[
    key("text", ENDPOINT),
    key("image", ENDPOINT),
    key("audio", ENDPOINT),
    key("video", ENDPOINT),
    key("web", ENDPOINT),
    key("query", ENDPOINT),
    key("delete", ENDPOINT),
    key("webhook", ENDPOINT),
];

const DAEMON: &[Key] = &[
    key("ledger", PATH).at_restart(),
    key("shutdown_grace", Kind::Time(secs(0), DAY)),
    key("rescan_every", Kind::Time(secs(1), days(7))),
    key("poll_every", Kind::Time(secs(1), DAY)),
];

const RETRY: &[Key] = &[
    key("backoff_base", Kind::Time(ms(1), DAY)),
    key("backoff_cap", Kind::Time(ms(1), days(7))),
    key("give_up_after", Kind::Time(secs(60), days(3650))),
    key("unconfirmed_resends", Kind::Count(0, Some(100))),
    key("unconfirmed_wait", Kind::Time(ms(10), DAY)),
];

const POLL: &[Key] = &[
    key("first", Kind::Time(ms(10), HOUR)),
    key("max", Kind::Time(ms(10), DAY)),
];

const LOG: &[Key] = &[
    key("filter", Kind::Text("level, or list of levels")).at_restart(),
    key("format", Kind::Word(&["auto", "human", "json", "journald"])).at_restart(),
];

const HTTP: &[Key] = &[
    key(
        "listen",
        Kind::Text("address of this machine with a port, or full path of a socket"),
    )
    .without("no port")
    .at_restart(),
    key("token_file", PATH).without("nobody may"),
    key("read_token_file", PATH).without("no token"),
    key("webhook_max_size", Kind::Size(1)),
];

const ONE_OF_THREE: &str = "exactly one of `key_file`, `credential` and `key_env` must be given";

const DATASET: &[Key] = &[
    key("name", NAME),
    key("key_file", PATH).without(ONE_OF_THREE),
    key("credential", Kind::Text("name of a credential"))
        .without(ONE_OF_THREE)
        .at_restart(),
    key("key_env", Kind::Text("name of a variable"))
        .without(ONE_OF_THREE)
        .at_restart(),
    key("concurrency", Kind::Count(1, Some(64))),
    key("max_concurrent", Kind::Count(1, Some(64))),
    key("polls_per_second", Kind::Rate),
    key("requests_per_second", Kind::Rate).without("no limit"),
    key("bytes_per_second", Kind::Size(1024)).without("no limit"),
    key("webhook_path_file", PATH).without("pushes are not taken"),
    key("results_dir", PATH).without("must be given with `webhook_path_file`"),
];

const FOLDER: &[Key] = &[
    key("name", NAME),
    key("path", PATH),
    key("dataset", Kind::Text("`name` of a dataset")),
    key("recursive", Kind::Flag),
    key("include", PATTERNS),
    key("exclude", PATTERNS),
    key("exclude_also", PATTERNS),
    key("temporary", PATTERNS),
    key("temporary_also", PATTERNS),
    key("watch", Kind::Word(&["auto", "events", "poll"])),
    key("one_file_system", Kind::Flag),
    key("owner_sign", Kind::Flag),
    key("max_size", Kind::Size(1)),
    key("writers", Kind::Word(&["local", "scanner", "share"])),
    key("quiet", Kind::Time(secs(0), HOUR)),
    key("quiet_unsure", Kind::Time(secs(0), DAY)),
    key("unclosed_wait", Kind::Time(secs(1), days(30))),
    key("incomplete_wait", Kind::Time(secs(0), DAY)),
    key("reimport_after", Kind::Time(secs(0), days(30))),
    key("duplicates", Kind::Word(&["skip", "upload"])),
    key("unconfirmed", Kind::Word(&["resend", "hold"])),
    key("resubmit_failed", Kind::Count(0, Some(100))),
    key("after", Kind::Word(&["keep", "move", "delete"])),
    key("on_reject", Kind::Word(&["keep", "move"])),
    key("done_dir", PATH).without("`.supametas-done` in the folder"),
    key("rejected_dir", PATH).without("`.supametas-rejected` in the folder"),
];

const MEDIA: &[Key] = &[
    key("format", Kind::Word(&["json", "markdown"])),
    key("title", Kind::Flag),
    key("content_details", Kind::Flag),
    key("get_image_text", Kind::Flag),
    key("custom_keys", Kind::Text("list of `{ key, desc }`")).without("none"),
    key("extensions", EXTENSIONS),
    key("extra_extensions", EXTENSIONS),
    key("extra", Kind::Text("table")).without("nothing more is sent"),
];

const HOOK: &[Key] = &[
    key("name", NAME).without("its number"),
    key(
        "on",
        Kind::Text("list of states, `\"attention\"`, `\"paused\"`"),
    )
    .without("must be given"),
    key(
        "command",
        Kind::Text("list: a program's full path, and its arguments"),
    )
    .without("`command` or `url` must be given"),
    key("timeout", Kind::Time(secs(1), HOUR)),
    key("url", Kind::Text("URL")).without("`command` or `url` must be given"),
    key("secret_file", PATH).without("no secret is sent"),
];

const AS_TABLE: &str = "as the error table has it";

const ERROR: &[Key] = &[
    key(
        "on",
        Kind::Text("status, code, class, word, or `message: ` and a part of it"),
    )
    .without("must be given"),
    key("calls", Kind::Word(&["any", "upload", "query"])).without("`\"any\"`"),
    key(
        "verdict",
        Kind::Word(&["retry", "reject", "hold", "unconfirmed", "done", "quota"]),
    )
    .without(AS_TABLE),
    key("limit", Kind::Count(0, None)).without("as long as `give_up_after` allows"),
    key("then", Kind::Word(&["rejected", "exhausted", "lost"]))
        .without("`\"rejected\"`, for queries `\"lost\"`"),
    key(
        "pause",
        Kind::Word(&["file", "route", "dataset", "service"]),
    )
    .without(AS_TABLE),
    key("pause_first", Kind::Time(ms(10), days(30)))
        .without("as the error table has it, else `\"30s\"`"),
    key("pause_max", Kind::Time(ms(10), days(30)))
        .without("as the error table has it, else `\"1h\"`"),
    key("pause_after", Kind::Count(1, Some(1000))).without("as the error table has it, else 1"),
];

const NAME: Kind = Kind::Text("1 to 64 of a-z, 0-9, - and _");
const PATH: Kind = Kind::Text("full path");
const PATTERNS: Kind = Kind::Text("list of patterns");
const EXTENSIONS: Kind = Kind::Text("list of extensions");

const HOUR: Duration = secs(3600);
const DAY: Duration = days(1);

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 3600)
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        force: Force::Reload,
        without: None,
    }
}

impl Key {
    const fn at_restart(self) -> Key {
        Key {
            force: Force::Restart,
            ..self
        }
    }

    const fn without(self, holds: &'static str) -> Key {
        Key {
            without: Some(holds),
            ..self
        }
    }
}

const fn table(names: &'static [&'static str], keys: &'static [Key]) -> Table {
    Table {
        names,
        list: false,
        keys,
    }
}

impl Table {
    const fn many(self) -> Table {
        Table { list: true, ..self }
    }
}

impl std::fmt::Display for Kind {
    /// For people, with what is to be typed between backticks.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Text(words) => f.write_str(words),
            Kind::Time(min, max) => {
                let (min, max) = (show_time(*min), show_time(*max));
                write!(f, "time, `\"{min}\"` to `\"{max}\"`")
            }
            Kind::Size(1) => f.write_str("size, above 0"),
            Kind::Size(min) => write!(f, "size, at least {min} bytes"),
            Kind::Count(min, Some(max)) => write!(f, "whole number, {min} to {max}"),
            Kind::Count(min, None) => write!(f, "whole number, {min} or more"),
            Kind::Rate => f.write_str("number, 0.001 to 10000"),
            Kind::Flag => f.write_str("`true` or `false`"),
            Kind::Word(words) => {
                for (at, word) in words.iter().enumerate() {
                    let before = if at == 0 { "" } else { ", " };
                    write!(f, "{before}`\"{word}\"`")?;
                }
                Ok(())
            }
        }
    }
}
