//! `fuzz_properties::media` for whatever the fuzzer thinks of.
#![no_main]

#[path = "../../tests/fuzz_properties/mod.rs"]
mod fuzz_properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_properties::media(bytes));
