//! The parts of the kill loops: processes on a real folder ([`stage`]), what is
//! dropped and what became of it ([`mix`]), the comparison ([`check`]), and a
//! disk that forgets what was not synced ([`power`]).

pub mod check;
pub mod mix;
pub mod power;
pub mod stage;
