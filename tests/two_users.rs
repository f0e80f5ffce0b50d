//! The whole program as it is used on a server: the daemon runs as one
//! unprivileged user, and others drop the files. Needs root to become these
//! users; says that it was skipped without. CI forbids that (`REQUIRE_ROOT=1`).
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "two_users/ordinary.rs"]
mod ordinary;
#[path = "two_users/queued.rs"]
mod queued;
#[path = "two_users/slow.rs"]
mod slow;
mod support;
#[path = "two_users/ways.rs"]
mod ways;
#[path = "two_users/writers.rs"]
mod writers;
