//! The configuration as it is written: every key optional, every unit still
//! text, nothing checked but the kind of each value.
//!
//! Must not: derive `Debug`. What stands in a wrong place may be a secret.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The whole file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    pub service: RawService,
    pub daemon: RawDaemon,
    pub retry: RawRetry,
    pub poll: RawPoll,
    pub log: RawLog,
    pub http: RawHttp,
    pub dataset: Vec<RawDataset>,
    pub folder: Vec<RawFolder>,
    pub error: Vec<RawError>,
}

/// `[service]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawService {
    pub base_url: Option<String>,
    pub allow_http_hosts: Vec<String>,
    pub ca_file: Option<String>,
    pub proxy: Option<String>,
    pub proxy_login_file: Option<String>,
    pub acknowledge_assumed_paths: Option<bool>,
    pub paths: RawPaths,
    pub connect_timeout: Option<String>,
    pub stall_timeout: Option<String>,
    pub answer_timeout: Option<String>,
    pub idle_timeout: Option<String>,
}

/// `[service.paths]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawPaths {
    pub text: Option<String>,
    pub image: Option<String>,
    pub audio: Option<String>,
    pub video: Option<String>,
    pub web: Option<String>,
    pub query: Option<String>,
    pub delete: Option<String>,
    pub webhook: Option<String>,
}

/// `[daemon]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawDaemon {
    pub ledger: Option<String>,
    pub shutdown_grace: Option<String>,
    pub rescan_every: Option<String>,
    pub poll_every: Option<String>,
}

/// `[retry]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawRetry {
    pub backoff_base: Option<String>,
    pub backoff_cap: Option<String>,
    pub give_up_after: Option<String>,
    pub unconfirmed_resends: Option<u32>,
    pub unconfirmed_wait: Option<String>,
}

/// `[poll]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawPoll {
    pub first: Option<String>,
    pub max: Option<String>,
}

/// `[log]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawLog {
    pub filter: Option<String>,
    pub format: Option<String>,
}

/// `[http]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawHttp {
    pub listen: Option<String>,
    pub token_file: Option<String>,
    pub read_token_file: Option<String>,
    pub webhook_max_size: Option<String>,
}

/// One `[[dataset]]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawDataset {
    pub name: Option<String>,
    pub key_file: Option<String>,
    pub key_env: Option<String>,
    pub credential: Option<String>,
    /// Known only to be refused with a remedy; its value is dropped unread.
    pub key: Option<IgnoredAny>,
    pub concurrency: Option<u32>,
    pub max_concurrent: Option<u32>,
    pub polls_per_second: Option<f64>,
    pub requests_per_second: Option<f64>,
    pub bytes_per_second: Option<String>,
    pub webhook_path_file: Option<String>,
    pub results_dir: Option<String>,
}

/// One `[[folder]]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawFolder {
    pub name: Option<String>,
    pub path: Option<String>,
    pub dataset: Option<String>,
    pub recursive: Option<bool>,
    pub include: Vec<String>,
    pub exclude: Option<Vec<String>>,
    pub exclude_also: Vec<String>,
    pub temporary: Option<Vec<String>>,
    pub temporary_also: Vec<String>,
    pub watch: Option<String>,
    pub one_file_system: Option<bool>,
    pub owner_sign: Option<bool>,
    pub max_size: Option<String>,
    pub writers: Option<String>,
    pub quiet: Option<String>,
    pub quiet_unsure: Option<String>,
    pub unclosed_wait: Option<String>,
    pub incomplete_wait: Option<String>,
    pub reimport_after: Option<String>,
    pub duplicates: Option<String>,
    pub unconfirmed: Option<String>,
    pub resubmit_failed: Option<u32>,
    pub after: Option<String>,
    pub on_reject: Option<String>,
    pub done_dir: Option<String>,
    pub rejected_dir: Option<String>,
    pub hook: Vec<RawHook>,
    pub text: RawRoute,
    pub image: RawRoute,
    pub audio: RawRoute,
    pub video: RawRoute,
    pub web: RawRoute,
}

/// One `[[folder.hook]]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawHook {
    pub name: Option<String>,
    pub on: Vec<String>,
    pub command: Vec<String>,
    pub url: Option<String>,
    pub secret_file: Option<String>,
    pub timeout: Option<String>,
}

/// `[folder.text]` and its like. One shape for all five, so that a key under
/// the wrong one can be answered with where it belongs.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawRoute {
    pub format: Option<String>,
    /// Text only.
    pub title: Option<bool>,
    /// Text only.
    pub content_details: Option<bool>,
    /// Images only.
    pub get_image_text: Option<bool>,
    pub custom_keys: Vec<RawCustomKey>,
    pub extensions: Option<Vec<String>>,
    pub extra_extensions: Vec<String>,
    pub extra: toml::Table,
}

/// One of `custom_keys`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawCustomKey {
    pub key: Option<String>,
    pub desc: Option<String>,
}

/// One `[[error]]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawError {
    pub on: Option<String>,
    pub calls: Option<String>,
    pub verdict: Option<String>,
    pub limit: Option<u32>,
    pub then: Option<String>,
    pub pause: Option<String>,
    pub pause_first: Option<String>,
    pub pause_max: Option<String>,
    pub pause_after: Option<u32>,
}
