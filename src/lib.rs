//! `supametas-sync`: files dropped into local folders arrive in a Supametas.AI
//! dataset, each at the import of its media type, and the ledger says of every
//! file where it is, and why.
//!
//! ```text
//!   drop folder ─► watch ─► settle ─► sort ─► LEDGER: queued
//!                                                │ pick
//!                             prepare (open, hash) ─► LEDGER: uploading
//!                                                          │ send
//!                                                     LEDGER: submitted (task)
//!                                                          │ due
//!                                                  poll ─► LEDGER: succeeded | failed | cancelled
//!                                                                     │
//!                                                        source: keep, move or delete
//! ```
//!
//! The ledger *is* the queue: a stage takes what is due, does one thing and
//! commits the outcome. A restart takes the ordinary path.
//!
//! # Who may use whom
//!
//! ```text
//!   domain ◄─ ports ◄─ live ◄─ { config, ledger, watch, media, api, hooks } ◄─ daemon ◄─ explain ◄─ cli ◄─ main
//!                                     └─────┴─ view ◄─ web ◄──┴───────────────────────┘
//! ```
//!
//! Adapters never import each other; `sandbox` shares only [`api::wire`];
//! [`failpoint`] is empty but for the kill loops; whoever asks a file system
//! that may hang does so through [`limited`].
//! `tests/architecture.rs` checks it.
//!
//! # Invariants
//!
//! - Decisions are pure and in [`domain`]; they are told the time and chance.
//! - [`domain::lifecycle::step`] is the only code that names a next state.
//! - The attempt is on disk before a body's first byte, `last_byte_sent` before
//!   its last chunk.
//! - Only [`domain::error_table`] decides about retrying.
//! - Ledger first, source second.
//!
//! Must not: grow logic here. This is the map.

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod explain;
pub mod failpoint;
pub mod files;
pub mod hooks;
pub mod ledger;
pub mod limited;
pub mod live;
pub mod media;
pub mod ports;
pub mod sandbox;
pub mod tls;
pub mod view;
pub mod watch;
pub mod web;
