//! An answer as it came over the wire, before anything in it is believed: its
//! body is taken in chunk by chunk, up to a bound.
//!
//! Must not: read a socket (that is `exchange`), or what a body says (that is
//! [`answer`](super::answer)).

use std::net::SocketAddr;

use reqwest::header::HeaderMap;

/// The most that is read of an answer, in bytes. The service's are under a
/// thousand; JSON takes up to sixteen times its length once it is parsed.
pub const MAX_ANSWER: usize = 256 * 1024;

/// An answer, as it came over the wire.
pub struct Raw {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Fetched,
    /// The whole request had been handed over when it came.
    pub whole: bool,
    /// This machine's end of the connection.
    pub local: Option<SocketAddr>,
}

/// What could be had of an answer's body.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All of it.
    Whole(Vec<u8>),
    /// Nothing, where no header said that there would be nothing: it can't be
    /// told from an answer that broke off.
    Unsaid,
    /// Not all of it, and why there is no more.
    Cut(String),
}

/// A body that is coming in. How it is cut into chunks makes no difference.
#[derive(Debug, Default)]
pub struct Coming(Vec<u8>);

impl Coming {
    /// Takes a chunk.
    ///
    /// # Errors
    /// What it comes to when that is more than [`MAX_ANSWER`]: nothing more is
    /// to be read.
    pub fn take(&mut self, chunk: &[u8]) -> Result<(), Fetched> {
        if chunk.len() > MAX_ANSWER - self.0.len() {
            let limit = MAX_ANSWER / 1024;
            return Err(Fetched::Cut(format!("a body of more than {limit} KiB")));
        }
        self.0.extend_from_slice(chunk);
        Ok(())
    }

    /// The body is at its end; `said`: a header said where that would be.
    pub fn end(self, said: bool) -> Fetched {
        if self.0.is_empty() && !said {
            Fetched::Unsaid
        } else {
            Fetched::Whole(self.0)
        }
    }

    /// The connection broke.
    pub fn broken(self) -> Fetched {
        let len = self.0.len();
        Fetched::Cut(format!("a body that broke off after {len} bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_same_however_it_comes() {
        let cut = || Fetched::Cut("a body of more than 256 KiB".to_owned());
        for size in [1, 1000, MAX_ANSWER, MAX_ANSWER + 1] {
            let bytes = vec![b'x'; MAX_ANSWER + 1];
            let mut coming = Coming::default();
            let taken = bytes.chunks(size).try_for_each(|chunk| coming.take(chunk));
            assert_eq!(taken, Err(cut()));
            let mut coming = Coming::default();
            for chunk in bytes[1..].chunks(size) {
                assert_eq!(coming.take(chunk), Ok(()));
            }
            assert_eq!(coming.take(b"x"), Err(cut()));
            assert_eq!(coming.end(true), Fetched::Whole(bytes[1..].to_vec()));
        }
    }

    #[test]
    fn nothing_is_a_body_only_where_it_was_said() {
        assert_eq!(Coming::default().end(true), Fetched::Whole(Vec::new()));
        assert_eq!(Coming::default().end(false), Fetched::Unsaid);
        let mut coming = Coming::default();
        assert_eq!(coming.take(b"{\"code"), Ok(()));
        let broken = coming.broken();
        assert_eq!(
            broken,
            Fetched::Cut("a body that broke off after 6 bytes".to_owned())
        );
    }
}
