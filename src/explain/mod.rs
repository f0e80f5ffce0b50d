//! Why was this file not taken, and what is to be done?
//!
//! [`gather`] collects what is so: the folder's rules, the file, who has it
//! open, what the ledger knows. [`decide`] makes an [`Explanation`] of these
//! [`facts`], and is pure. Every rule that is asked is the one that the daemon
//! goes by: `watch::rules`, `watch::root`, `domain::settle`,
//! `daemon::sorting`, the gates of the ledger.
//!
//! It works beside a running daemon and without one, so what only the daemon's
//! memory holds (what an event said of a file) is not known here; what a scan
//! would find now is.
//!
//! [`survey`] asks the same of whole folders, and makes a [`Forecast`] of each
//! file: what `scan` would do with it.
//!
//! Must not: change anything, or have a rule of its own.

mod acl;
mod answer;
mod checks;
mod counted;
pub mod decide;
pub mod facts;
pub mod forecast;
pub mod gather;
mod opened;
pub mod process;
mod starting;
mod story;
pub mod survey;
mod tree;
mod users;
mod waits;

pub use answer::{Answer, Check, Explanation, Said};
pub use decide::decide;
pub use facts::{DaemonSays, Facts};
pub use forecast::{Fate, Forecast};
pub use gather::{Asked, gather};
pub use starting::Starting;

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
