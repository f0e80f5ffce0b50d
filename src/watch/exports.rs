//! Whether a folder is exported by this machine's NFS server.
//!
//! The server opens a file for each of its clients' writes and closes it again
//! (NFSv3), so neither events nor a lease tell that a client is at work. Such a
//! folder settles as a share does.
//!
//! Must not: ask the NFS server, or fail: what can't be read names no export.

use std::path::{Path, PathBuf};

/// Where exports are listed: what the administrator wrote, and what the kernel
/// has in use.
const LISTS: [&str; 3] = ["/etc/exports", "/var/lib/nfs/etab", "/proc/fs/nfsd/exports"];

/// More such lists, each a file ending in `.exports`.
const MORE: &str = "/etc/exports.d";

/// Whether `folder`, or a directory above or below it, is exported.
pub fn cover(folder: &Path) -> bool {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let more = std::fs::read_dir(MORE).into_iter().flatten().flatten();
    let more = more.map(|entry| entry.path());
    let more = more.filter(|path| path.extension().is_some_and(|e| e == "exports"));
    let lists = LISTS.iter().map(PathBuf::from).chain(more);
    lists
        .filter_map(|list| std::fs::read_to_string(list).ok())
        .any(|text| {
            exported(&text).any(|path| path.starts_with(&folder) || folder.starts_with(path))
        })
}

/// The directories of a list in the form of exports(5).
fn exported(text: &str) -> impl Iterator<Item = PathBuf> {
    let lines = text.lines().map(str::trim_start);
    lines
        .filter(|line| line.starts_with(['/', '"']))
        .map(|line| match line.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or_default(),
            None => line.split_whitespace().next().unwrap_or_default(),
        })
        .map(|path| PathBuf::from(unescaped(path)))
}

/// exports(5) writes a blank, a tab and a backslash as `\040`, `\011`, `\134`.
fn unescaped(path: &str) -> String {
    path.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_exports_is_read() {
        let text = "# comment\n/srv/drop  10.0.0.0/8(rw,sync)\n\n \"/srv/with space\" *(ro)\n/srv/a\\040b\t*(rw)\nnonsense\n";
        let found: Vec<PathBuf> = exported(text).collect();
        let expected = ["/srv/drop", "/srv/with space", "/srv/a b"].map(PathBuf::from);
        assert_eq!(found, expected);
    }
}
