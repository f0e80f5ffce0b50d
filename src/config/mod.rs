//! From a TOML file to what the program works with.
//!
//! The way: text → `source` (TOML, its shape, the line of each key) → `raw`
//! (as written) → `check` (everything that can be wrong, all at once) →
//! [`valid`] (what the program uses). [`Config::load`](valid::Config::load)
//! goes all of it.
//!
//! Must not: repeat a value of the file in a message that may be a secret; a key
//! that was pasted into the wrong place must not end in a log (`showable`).

#[cfg(test)]
mod change_tests;
mod check;
#[cfg(test)]
mod check_tests;
mod diff;
mod effective;
pub mod example;
#[cfg(test)]
mod example_tests;
mod fingerprint;
mod keys;
mod last_good;
mod load;
#[cfg(test)]
mod mistake_tests;
#[cfg(test)]
mod override_tests;
#[cfg(test)]
mod patterns_tests;
mod place;
mod problem;
mod raw;
pub mod reference;
#[cfg(test)]
mod reference_tests;
mod showable;
mod source;
mod surroundings;
#[cfg(test)]
mod testing;
pub mod units;
pub mod valid;

pub use diff::{at_restart, diff};
pub use keys::Keys;
pub use last_good::{LastGood, WithoutSecrets, ledgers};
pub use load::Loaded;
pub use place::tidy;
pub use problem::{ConfigErrors, Problem, Severity};
pub use surroundings::{KeyFile, Look, Machine, Program, Surroundings, Unseen};
pub use valid::Config;
