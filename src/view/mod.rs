//! How things look from outside: the one place that makes what `cli` prints and
//! `web` serves out of the ledger's records, so that both say the same.
//!
//! Must not: ask the ledger (it is given what was found), or change anything.

pub mod attention;
pub mod charts;
pub mod dropped;
pub mod errors;
mod file;
pub mod following;
pub mod gate;
pub mod halt;
pub mod health;
mod notice;
pub mod reload;
mod stamp;
pub mod standing;
mod surroundings;
pub mod waiting;

pub use crate::domain::time::span;
pub use file::{as_json, detail, path_of, source, story_json};
pub use gate::{lifts, opens};
pub use notice::notice_json;
pub use stamp::Stamp;
pub use surroundings::Surroundings;
