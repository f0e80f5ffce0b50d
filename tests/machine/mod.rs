//! What the tests of a failing machine share.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod mounted;
mod signs;
mod starts;

pub use crate::support::mounts::Mounts;
