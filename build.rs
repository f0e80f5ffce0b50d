//! Has a release linked with packed relocations (RELR), 0.7 MB smaller, where the
//! C library can load such a program: glibc 2.36, Debian 12, and later.
//!
//! Must not: make a program that does not start on the machine that built it.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let at_home = env::var("TARGET").ok() == env::var("HOST").ok();
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ENV", "gnu") && at_home && loads_relr() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// What cannot be told is no.
fn loads_relr() -> bool {
    let Ok(said) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else {
        return false;
    };
    let said = String::from_utf8_lossy(&said.stdout);
    let minor = said.trim().strip_prefix("glibc 2.");
    minor
        .and_then(|minor| minor.parse().ok())
        .is_some_and(|minor: u32| minor >= 36)
}
