//! From `queued` to an answer: [`dispatch`] says which file goes next,
//! [`worker`] carries it, [`prepare`] opens and hashes it, [`body`] holds back
//! its last byte, [`lane`] and [`bucket`] bound what is on the wire, [`pausing`]
//! lets nothing slip by a gate that is being closed.
//!
//! Must not: poll tasks, or touch a source.

pub mod body;
pub mod bucket;
pub mod dispatch;
pub mod job;
pub mod lane;
pub mod pausing;
pub mod prepare;
pub mod worker;
