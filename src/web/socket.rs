//! Unix sockets: the place of the one beside the ledger, and making one so that
//! nobody but those who may can open it, not even for a moment.
//!
//! Must not: remove anything that is not a socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// The socket of the daemon that works on a ledger.
pub fn path(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".sock");
    PathBuf::from(name)
}

/// A socket's file; removed when dropped, unless it is another's by then.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    identity: (u64, u64),
}

/// Who may open a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// The daemon's user.
    Owner,
    /// Its group, too: that of the directory, where that has the setgid bit.
    Group,
}

impl Rights {
    fn mode(self) -> Mode {
        let owner = Mode::RUSR | Mode::WUSR;
        match self {
            Rights::Owner => owner,
            Rights::Group => owner | Mode::RGRP | Mode::WGRP,
        }
    }
}

/// Listens at `path`, replacing a socket that is there.
pub(super) fn bind(path: &Path, rights: Rights) -> io::Result<(UnixListener, File)> {
    let address = SocketAddrUnix::new(path).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidFilename,
            "its path is longer than a socket's may be (107 bytes): give the ledger a shorter one",
        )
    })?;
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something that is no socket is in its place: move it away",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // Linux gives the file that `bind` makes the mode of the socket itself, so
    // there is no moment with wider rights; and until `listen` nobody can
    // connect anyway, whatever another system makes of this.
    rustix::fs::fchmod(&socket, rights.mode())?;
    rustix::net::bind(&socket, &address)?;
    let meta = fs::symlink_metadata(path)?;
    let mode = rights.mode().as_raw_mode();
    if meta.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    rustix::net::listen(&socket, BACKLOG)?;
    let file = File {
        path: path.to_owned(),
        identity: (meta.dev(), meta.ino()),
    };
    Ok((UnixListener::from(socket), file))
}

impl Drop for File {
    fn drop(&mut self) {
        let mine = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity);
        if mine {
            // What is left is replaced by the next daemon.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn it_is_the_users_alone_and_replaces_a_dead_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(&dir.path().join("ledger"));
        assert_eq!(path, dir.path().join("ledger.sock"));
        // A daemon that died: its socket stays, and nobody answers.
        drop(UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let (listener, file) = bind(&path, Rights::Owner).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let _client = UnixStream::connect(&path).unwrap();
        listener.set_nonblocking(false).unwrap();
        listener.accept().unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "a letter").unwrap();
        assert_eq!(
            bind(&path, Rights::Owner).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
    }

    #[test]
    fn one_that_is_anothers_by_now_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (_old, file) = bind(&path, Rights::Owner).unwrap();
        let (_new, _kept) = bind(&path, Rights::Owner).unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn a_path_that_is_too_long_is_said() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(110)));
        let error = bind(&long, Rights::Owner).unwrap_err().to_string();
        assert!(error.contains("shorter"), "{error}");
    }
}
