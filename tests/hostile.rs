//! Attacks, played against the real program with three users: the daemon's, one
//! who may drop files, and a stranger on the same machine. Whoever drops files
//! can do nothing but drop. Needs root to become these users; says that it was
//! skipped without. CI forbids that (`REQUIRE_ROOT=1`).
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "hostile/doors.rs"]
mod doors;
#[path = "hostile/drops.rs"]
mod drops;
#[path = "hostile/folder.rs"]
mod folder;
#[path = "hostile/hard_links.rs"]
mod hard_links;
#[path = "hostile/import.rs"]
mod import;
#[path = "hostile/ledger.rs"]
mod ledger;
#[path = "hostile/mounts.rs"]
mod mounts;
#[path = "hostile/races.rs"]
mod races;
mod support;
#[path = "hostile/targets.rs"]
mod targets;
