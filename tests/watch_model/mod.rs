//! The parts of the model test of watching: what is done ([`ops`]), who does it
//! ([`writers`]), what must hold at rest ([`check`]), one life of a daemon
//! ([`life`]), and how a failing list gets smaller ([`shrink`]).

pub mod check;
pub mod life;
pub mod ops;
pub mod shrink;
pub mod writers;
