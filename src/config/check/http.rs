//! `[http]`: where the daemon listens beside its socket, and who may have
//! something done there.
//!
//! Must not: allow an address that another machine can reach, or show a token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Report;
use crate::config::keys::{KeyError, Keys};
use crate::config::raw::RawHttp;
use crate::config::surroundings::{Look, Surroundings};
use crate::config::valid::{Http, Listen};
use crate::ports::Token;

/// Characters of a token, at least: it must not be found by trying.
const SHORTEST: usize = 16;

/// Bytes of a push if nothing is said; and at most, since it is held in memory.
const PUSH: usize = 16 << 20;
const MOST_PUSH: usize = 256 << 20;

const MAKE_ONE: &str = "put a long random word there, alone, such as `openssl rand -hex 32` makes";

/// The longest path of a socket, in bytes; see unix(7).
const SOCKET_PATH: usize = 107;

/// What is told over HTTP; and the tokens' files, with the keys that name them.
pub(super) fn check(
    raw: &RawHttp,
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> (Http, Vec<(String, PathBuf)>) {
    let listen = listen(raw, on, to);
    let mut files = Vec::new();
    let mut word = |key: &str, path: &Option<String>, to: &mut Report<'_>| {
        let path = path.as_deref()?;
        if path.starts_with('/') {
            files.push((key.to_owned(), PathBuf::from(path)));
        }
        match keys {
            Keys::Read | Keys::ReadByHand => token(key, path, on, to),
            Keys::NotNeeded => None,
        }
    };
    let read_token = word("http.read_token_file", &raw.read_token_file, to);
    let token = word("http.token_file", &raw.token_file, to);
    let push_max = to.size("http.webhook_max_size", &raw.webhook_max_size);
    let push_max = match push_max.map(usize::try_from) {
        None => PUSH,
        Some(Ok(size @ 1..=MOST_PUSH)) => size,
        Some(_) => {
            to.error(
                "http.webhook_max_size",
                "is more than is taken into memory",
                "write at most \"256MiB\"",
            );
            PUSH
        }
    };
    let http = Http {
        listen,
        token,
        read_token,
        token_file: raw.token_file.as_deref().map(PathBuf::from),
        read_token_file: raw.read_token_file.as_deref().map(PathBuf::from),
        push_max,
    };
    (http, files)
}

fn listen(raw: &RawHttp, on: &dyn Surroundings, to: &mut Report<'_>) -> Option<Listen> {
    let key = "http.listen";
    let text = raw.listen.as_deref()?;
    if text.starts_with('/') {
        return socket(key, text, on, to);
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        to.error(
            key,
            "is neither an address with a port nor the full path of a socket",
            "write it in numbers, such as \"127.0.0.1:8398\" or \"[::1]:8398\", or write a path",
        );
        return None;
    };
    if !address.ip().is_loopback() {
        to.error(
            key,
            "can be reached from other machines: there is no encryption here, and no password for who looks",
            "write \"127.0.0.1:8398\"; from elsewhere use an SSH tunnel, or a reverse proxy that knows its users",
        );
        return None;
    }
    Some(Listen::Port(address))
}

/// A Unix socket for a reverse proxy.
fn socket(key: &str, path: &str, on: &dyn Surroundings, to: &mut Report<'_>) -> Option<Listen> {
    if path.len() > SOCKET_PATH || path.contains('\0') {
        to.error(
            key,
            "is longer than the path of a socket may be",
            "write a path of at most 107 bytes",
        );
        return None;
    }
    let path = PathBuf::from(path);
    let parent = path.parent().unwrap_or(Path::new("/"));
    let hint = "create it for the daemon's user, with the proxy's group and the mode 2750. It is tried again until then";
    match on.look(parent) {
        Look::Missing => to.warning(key, "names a directory that does not exist", hint),
        Look::NoAnswer => to.warning(key, "is on a file system that does not answer", hint),
        Look::Refused(why) => to.warning(key, format!("can't be looked at: {why}"), hint),
        Look::NotADirectory => to.warning(key, "is not in a directory", hint),
        Look::Directory { writable, .. } if !writable => {
            to.warning(key, "is in a directory that this user can't write", hint);
        }
        Look::Directory { .. } => {}
    }
    Some(Listen::Socket(path))
}

fn token(key: &str, path: &str, on: &dyn Surroundings, to: &mut Report<'_>) -> Option<Token> {
    let read = to.secret_file(key, path, on, |why| match why {
        KeyError::Relative | KeyError::Unreadable(_) => why.remedy(),
        _ => MAKE_ONE,
    })?;
    let token = read.expose();
    if token.len() < SHORTEST {
        to.error(key, "leads to a token that is too short", MAKE_ONE);
        return None;
    }
    Some(Token::new(token.to_owned()))
}
