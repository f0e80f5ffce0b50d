//! The decisions, and nothing else: pure, total and told the time.
//!
//! What a file is ([`media`], [`refusal`], [`naming`]), whether it was sent before
//! ([`version`], [`duplicates`]), how often it is sent when it changes ([`reimport`]),
//! when it is finished ([`settle`], [`writers`]),
//! where it is ([`state`], [`lifecycle`], [`policy`], [`place`]), what an answer
//! means ([`answer`], [`error_table`]), who has to wait ([`gate`], [`halt`],
//! [`backoff`]), whether it may go now ([`admit`]), and what a clock that was set
//! means to all that waits ([`clock`]). How often a log line is written that comes
//! a thousand times: [`repeats`]. How fast tasks
//! are asked about: [`poll_rate`]. Whether all is well: [`health`].
//!
//! Must not: import tokio, the file system, SQLite, HTTP, a clock or chance.
//! `tests/architecture.rs` checks it.

pub mod admit;
pub mod answer;
pub mod backoff;
pub mod clock;
pub mod content;
pub mod duplicates;
pub mod error_table;
pub mod gate;
pub mod halt;
pub mod health;
pub mod ids;
pub mod kind;
pub mod lifecycle;
pub mod listing;
pub mod media;
pub mod misses;
pub mod naming;
pub mod notice;
pub mod owner_sign;
pub mod pace;
pub mod place;
pub mod policy;
pub mod poll_rate;
pub mod reasons;
pub mod refusal;
pub mod reimport;
pub mod repeats;
pub mod resolution;
pub mod sandbox_effects;
pub mod settle;
pub mod spelling;
pub mod state;
pub mod system_limits;
pub mod time;
pub mod time_left;
pub mod version;
pub mod waiting;
pub mod writers;
