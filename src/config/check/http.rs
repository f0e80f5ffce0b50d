//! `[http]`: where the daemon listens beside its socket, and who may have
//! something done there.
//!
//! Must not: allow an address that another machine can reach, or show a token.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Report;
use crate::config::keys::{self, KeyError, KeySource, Keys};
use crate::config::raw::RawHttp;
use crate::config::surroundings::Surroundings;
use crate::config::valid::Http;
use crate::ports::Token;

/// Characters of a token, at least: it must not be found by trying.
const SHORTEST: usize = 16;

/// Bytes of a push if nothing is said; and at most, since it is held in memory.
const PUSH: usize = 16 << 20;
const MOST_PUSH: usize = 256 << 20;

const MAKE_ONE: &str = "put a long random word there, alone, such as `openssl rand -hex 32` makes";

/// What is told over HTTP; and the token's file, with the key that names it.
pub(super) fn check(
    raw: &RawHttp,
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> (Http, Option<(String, PathBuf)>) {
    let listen = listen(raw, to);
    let key = "http.token_file";
    let file = raw.token_file.as_deref().filter(|p| p.starts_with('/'));
    let file = file.map(|path| (key.to_owned(), PathBuf::from(path)));
    let token = match (&raw.token_file, keys) {
        (Some(path), Keys::Read) => token(key, path, on, to),
        _ => None,
    };
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
        push_max,
    };
    (http, file)
}

fn listen(raw: &RawHttp, to: &mut Report<'_>) -> Option<SocketAddr> {
    let key = "http.listen";
    let text = raw.listen.as_deref()?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        to.error(
            key,
            "is not an address with a port",
            "write it in numbers, such as \"127.0.0.1:8398\" or \"[::1]:8398\"",
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
    Some(address)
}

fn token(key: &str, path: &str, on: &dyn Surroundings, to: &mut Report<'_>) -> Option<Token> {
    let read = match keys::read(KeySource::File(path), on) {
        Ok(read) => read,
        Err(why) => {
            let remedy = match why {
                KeyError::Relative | KeyError::Unreadable(_) => why.remedy(),
                _ => MAKE_ONE,
            };
            to.error(key, why.to_string(), remedy);
            return None;
        }
    };
    if read.open_to_all {
        to.warning(
            key,
            "names a file that every user of this machine can read",
            "chmod 600 the file, and give it to the daemon's user",
        );
    }
    let token = read.key.expose();
    if token.len() < SHORTEST {
        to.error(key, "leads to a token that is too short", MAKE_ONE);
        return None;
    }
    Some(Token::new(token.to_owned()))
}
