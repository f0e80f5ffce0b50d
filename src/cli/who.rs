//! Who gives a command.
//!
//! Must not: be taken for a proof of anything.

/// Their name, for people to read.
pub fn asks() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|who| !who.is_empty());
    named("SUDO_USER")
        .or_else(|| named("USER"))
        .or_else(|| named("LOGNAME"))
        .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}
