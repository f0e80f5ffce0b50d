//! From a TOML file to what the program works with.
pub mod valid;
