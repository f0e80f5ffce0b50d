//! The command line, with the real program: what it prints, its exit codes,
//! its signals, and what it tells a service manager.
#![allow(clippy::unwrap_used)]

#[path = "cli/advice.rs"]
mod advice;
#[path = "cli/attention.rs"]
mod attention;
#[path = "cli/broken_config.rs"]
mod broken_config;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/daemon.rs"]
mod daemon;
#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/dry_run.rs"]
mod dry_run;
#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/listing.rs"]
mod listing;
#[path = "cli/online.rs"]
mod online;
#[path = "cli/reload.rs"]
mod reload;
#[path = "cli/steer.rs"]
mod steer;
mod support;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/waiting.rs"]
mod waiting;
