//! From `queued` to an answer: [`dispatch`] says which file goes next,
//! [`worker`] carries it ([`carried`] is how far that got), [`prepare`] opens it, [`body`] reads it and holds back
//! its last chunk until [`release`] says so, [`lane`], [`bucket`] and [`window`] bound what is
//! on the wire, [`room`] says how much of that is free, [`pausing`] lets nothing slip by a gate that is being closed,
//! [`twins`] keeps large files that look alike apart.
//!
//! Must not: poll tasks, or touch a source.

pub mod body;
pub mod bucket;
pub mod carried;
pub mod dispatch;
pub mod job;
pub mod lane;
pub mod pausing;
pub mod prepare;
pub mod release;
pub mod room;
pub mod twins;
pub mod window;
pub mod worker;
