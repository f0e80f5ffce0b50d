//! The names of users, from the machine's own list.
//!
//! Must not: ask a directory service, which may hang.

use std::fs;

/// A user's name, or its number where the machine's own list has none.
pub fn user_name(uid: u32) -> String {
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    };
    let found = list.lines().find_map(of);
    found.unwrap_or_else(|| format!("uid {uid}"))
}
