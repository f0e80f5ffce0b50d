//! Whether the kernel lets a user give a second name only to files that this
//! user may read and write anyway.
//!
//! Where it does not, whoever may write to a drop folder can name any file of
//! the same file system in it, a key or a ledger too, and have it sent. So a
//! file with a second name is not taken there. With the guard (proc_sys_fs(5),
//! `protected_hardlinks`; systemd turns it on) a hard link gives away nothing
//! that its maker could not have copied, and is a fine way to drop a file.
//!
//! Must not: look at a file.

use std::sync::OnceLock;

const SETTING: &str = "/proc/sys/fs/protected_hardlinks";

/// Whether it does; asked once. A kernel that can't be asked does not.
pub fn are_guarded() -> bool {
    static GUARDED: OnceLock<bool> = OnceLock::new();
    *GUARDED.get_or_init(|| std::fs::read_to_string(SETTING).is_ok_and(|text| says_so(&text)))
}

fn says_so(text: &str) -> bool {
    text.trim() == "1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_counts() {
        assert!(says_so("1\n") && says_so("1"));
        assert!(!says_so("0\n") && !says_so("") && !says_so("yes"));
    }
}
