//! One HTTP request over a raw socket, so that a test sees the bytes: no client
//! that follows, retries or tidies up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use super::{Daemon, SOON, Stage};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Of its first line.
    pub status: u16,
    /// All lines before the body, lower case names.
    pub head: String,
    /// What followed.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        line.unwrap_or_default()
    }
}

/// The socket beside the stage's ledger.
pub fn socket(stage: &Stage) -> PathBuf {
    stage.path("ledger.sqlite.sock")
}

/// Where the daemon listens, as its log says: `127.0.0.1:PORT`.
pub fn address(daemon: &Daemon) -> String {
    let log = daemon.log();
    let at = log.find("http://127.0.0.1:").map(|_| ());
    at.expect("it logs where it listens");
    let line = log.lines().find(|line| line.contains("listening")).unwrap();
    let rest = line.split("http://").nth(1).unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// Sends a request as it is written, and reads to the end.
pub fn exchange(mut stream: impl Read + Write, request: &str) -> Answer {
    // A server that refuses early may close before it has read all: what it
    // said is there all the same.
    let _ = stream.write_all(request.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Over the socket.
pub fn by_socket(stage: &Stage, method: &str, path: &str, more: &str, body: &str) -> Answer {
    let stream = UnixStream::connect(socket(stage)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    exchange(stream, &request("localhost", method, path, more, body))
}

/// Over TCP, with the right `Host`.
pub fn by_tcp(at: &str, method: &str, path: &str, more: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    exchange(stream, &request(at, method, path, more, body))
}

/// `GET` over the socket.
pub fn get(stage: &Stage, path: &str) -> Answer {
    by_socket(stage, "GET", path, "", "")
}

/// The text of a request; `more` is whole header lines.
pub fn request(host: &str, method: &str, path: &str, more: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}Content-Length: {len}\r\n\r\n{body}"
    )
}
