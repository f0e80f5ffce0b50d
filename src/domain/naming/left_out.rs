//! The names that no drop folder takes unless its configuration says otherwise.
//!
//! Systems, shares and programs put files of their own beside those of people:
//! thumbnails, trash, snapshots, halves of downloads. Each import costs money, so
//! both lists are in force by default. A folder extends them (`exclude_also`,
//! `temporary_also`) or replaces them (`exclude`, `temporary`).
//!
//! Must not: hold what is never taken whatever the configuration says (dotfiles,
//! backups of editors): that is [`super::is_always_temporary`].

/// The sign that a daemon leaves in its folders (`domain::owner_sign`).
pub const OWNER_SIGN: &str = ".supametas-sync.owner";

/// Files and folders that nobody means to import. A folder of such a name is not
/// walked. `*` stands for any characters, and case does not count.
pub const EXCLUDED: &[&str] = &[
    // Synology and QNAP: thumbnails, trash, snapshots.
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    // Windows, and Samba's view of it.
    "$RECYCLE.BIN",
    "System Volume Information",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "*:Zone.Identifier",
    // Trash and snapshots of Unix file systems and filers.
    ".Trash-*",
    "~snapshot",
    ".snapshot",
    ".zfs",
    "lost+found",
    // What macOS puts into archives; what programs leave beside open files.
    "__MACOSX",
    "*.sync-conflict-*",
    "#*#",
    ".nfs*",
    ".fuse_hidden*",
    ".~lock.*#",
    // The daemon's own sign.
    OWNER_SIGN,
];

/// Files that a program is still writing under another name than the one that
/// they will have. `*` stands for any characters, and case does not count.
pub const TEMPORARY: &[&str] = &[
    "*.part",
    "*.partial",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.download",
    "*.filepart",
    "*.swp",
    "*.!qB",
    "*.!ut",
    "*.opdownload",
    "*.uploading",
    "*.incomplete",
    "*.unfinished",
    "*.aria2",
    "*.part-Frag*",
    "*.sb-*",
    ".pending-*",
];

/// The first of `patterns` that `name` matches.
pub fn first_match(patterns: &[&'static str], name: &[u8]) -> Option<&'static str> {
    patterns
        .iter()
        .copied()
        .find(|pattern| is_match(pattern.as_bytes(), name))
}

/// `name` without what makes it match `pattern`: an ending, or all from the mark
/// in its middle on.
pub fn unmarked<'n>(pattern: &str, name: &'n [u8]) -> Option<&'n [u8]> {
    let mark = pattern.strip_prefix('*')?;
    if !mark.contains('*') {
        return name.get(..name.len().checked_sub(mark.len())?);
    }
    let mark = mark.strip_suffix('*').filter(|mark| !mark.contains('*'))?;
    let is_mark = |part: &[u8]| part.eq_ignore_ascii_case(mark.as_bytes());
    let at = name.windows(mark.len()).rposition(is_mark)?;
    name.get(..at)
}

/// Whether `name` is as `pattern` says. Each `*` is given back one byte at a time
/// to the last one only, so the time is at most the product of both lengths.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    // Most patterns of the lists are one star and an end, and most names do not
    // have that end.
    if let Some(end) = pattern.strip_prefix(b"*")
        && !end.contains(&b'*')
    {
        return name
            .len()
            .checked_sub(end.len())
            .is_some_and(|at| name[at..].eq_ignore_ascii_case(end));
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star, if what follows it does not match here.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if c.eq_ignore_ascii_case(&name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (p, n) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_lists() {
        let excluded: &[(&str, Option<&str>)] = &[
            ("@eaDir", Some("@eaDir")),
            ("@EADIR", Some("@eaDir")),
            ("#recycle", Some("#recycle")),
            ("#snapshot", Some("#snapshot")),
            ("@Recycle", Some("@Recycle")),
            ("@Recently-Snapshot", Some("@Recently-Snapshot")),
            ("$Recycle.Bin", Some("$RECYCLE.BIN")),
            (
                "System Volume Information",
                Some("System Volume Information"),
            ),
            (".Trash-1000", Some(".Trash-*")),
            ("~snapshot", Some("~snapshot")),
            (".snapshot", Some(".snapshot")),
            (".zfs", Some(".zfs")),
            ("lost+found", Some("lost+found")),
            ("__MACOSX", Some("__MACOSX")),
            ("Thumbs.db", Some("Thumbs.db")),
            ("thumbs.db", Some("Thumbs.db")),
            ("Desktop.ini", Some("desktop.ini")),
            ("ehthumbs.db", Some("ehthumbs.db")),
            ("a.pdf:Zone.Identifier", Some("*:Zone.Identifier")),
            (
                "n.sync-conflict-20261101-101010-ABCDEFG.pdf",
                Some("*.sync-conflict-*"),
            ),
            ("#a.txt#", Some("#*#")),
            (".nfs000000000012", Some(".nfs*")),
            (".fuse_hidden0001", Some(".fuse_hidden*")),
            (".~lock.a.odt#", Some(".~lock.*#")),
            (".supametas-sync.owner", Some(".supametas-sync.owner")),
            ("#1 hit.mp3", None),
            ("#", None),
            ("a#b#", None),
            ("recycle", None),
            ("snapshot.png", None),
            ("my@eaDir", None),
            ("Thumbs.db.pdf", None),
            ("sync-conflict-notes.txt", None),
            ("", None),
        ];
        for (name, rule) in excluded {
            assert_eq!(first_match(EXCLUDED, name.as_bytes()), *rule, "{name}");
        }
        let temporary: &[(&str, Option<&str>)] = &[
            ("t.pdf.!qB", Some("*.!qB")),
            ("t.pdf.!ut", Some("*.!ut")),
            ("o.pdf.opdownload", Some("*.opdownload")),
            ("u.pdf.uploading", Some("*.uploading")),
            ("u.pdf.INCOMPLETE", Some("*.incomplete")),
            ("u.pdf.unfinished", Some("*.unfinished")),
            ("u.pdf.aria2", Some("*.aria2")),
            ("m.mp4.part-Frag7", Some("*.part-Frag*")),
            ("f.pdf.sb-1a2b3c4d-abcDEF", Some("*.sb-*")),
            (".pending-1700000000-a.jpg", Some(".pending-*")),
            ("a.incomplete.pdf", None),
            ("pending-a.jpg", None),
            ("sb-1.pdf", None),
        ];
        for (name, rule) in temporary {
            assert_eq!(first_match(TEMPORARY, name.as_bytes()), *rule, "{name}");
        }
    }

    #[test]
    fn stars_stand_for_any_bytes_also_for_none() {
        let table: &[(&str, &str, bool)] = &[
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbxbxxc", true),
            ("a*b*c", "axxbxbxx", false),
            ("*", "", true),
            ("*a", "ba", true),
            ("*a", "", false),
            ("a**", "a", true),
            ("**a", "xa", true),
            ("a", "ab", false),
        ];
        for (pattern, name, want) in table {
            let is = is_match(pattern.as_bytes(), name.as_bytes());
            assert_eq!(is, *want, "{pattern} {name}");
        }
    }
}
