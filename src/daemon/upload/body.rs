//! The body of an upload: the file's bytes as a stream that holds back its
//! last chunk until it may go.
//!
//! Everything about "may the service have it?" rests on this: the chunk that
//! completes the request is handed to the HTTP client only after `release` has
//! said yes, and what `release` does (look at the file again, commit
//! `last_byte_sent`) is the worker's. Must not: know the ledger or the service.

use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use tokio::sync::mpsc;

use super::lane::Lanes;
use crate::failpoint::failpoint;
use crate::ledger::ContentHash;
use crate::ports::{BoxFuture, Progress, UploadBody};

/// A file up to this is one chunk: read whole before its attempt is recorded.
pub const CHUNK: usize = 256 << 10;

/// Bytes of a larger one that are read, and handed over, at a time. Handing over
/// wakes a thread at either end: with half of the most at a time a file of 2 GiB
/// takes a tenth longer, with twice as much no less. But that a piece is taken is the
/// sign that a connection has not stalled: on a slow line they are small.
const PIECE: RangeInclusive<usize> = 64 << 10..=512 << 10;

/// Pieces read ahead of the socket.
const AHEAD: usize = 2;

/// The most bytes of one body in memory: those ahead, one that is being read and
/// one that the socket has.
pub const IN_MEMORY: u64 = (AHEAD as u64 + 2) * *PIECE.end() as u64;

/// Says whether the last chunk may go; an error ends the request before it. It
/// is told the hash of the content, if that was taken on the way.
pub type Release =
    Box<dyn FnOnce(Option<ContentHash>) -> BoxFuture<'static, io::Result<()>> + Send>;

/// Asked each time that a read has not come back for [`LOOK`] more, with how long
/// it has taken; an error ends the request before its last chunk.
pub type Hanging = Box<dyn Fn(Duration) -> Option<io::Error> + Send + Sync>;

/// How often a read that does not come back is looked after.
const LOOK: Duration = Duration::from_secs(5);

/// A body that is one chunk, already in memory.
pub fn in_memory(content: Bytes, lanes: Arc<Lanes>, release: Release) -> UploadBody {
    let len = content.len() as u64;
    let progress = Arc::new(Progress::default());
    let handed = progress.clone();
    let chunks = stream::once(async move {
        lanes.pay(len).await;
        release(None).await?;
        handed.hand_over(len, true);
        Ok(content)
    });
    UploadBody {
        len,
        chunks: Box::pin(chunks),
        progress,
    }
}

/// A body of exactly `len` bytes, read from `file` as it is sent, and hashed on
/// the way.
///
/// A file that ends early fails the stream before its last byte; one that goes
/// on is read no further (`release` sees that it has grown).
pub fn from_file(
    file: File,
    len: u64,
    lanes: Arc<Lanes>,
    release: Release,
    hanging: Hanging,
) -> UploadBody {
    let progress = Arc::new(Progress::default());
    let chunks = Box::pin(stream::unfold(
        Sending {
            chunks: read_ahead(file, len),
            hanging,
            left: len,
            lanes,
            release: Some(release),
            progress: progress.clone(),
        },
        Sending::next,
    )) as Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;
    UploadBody {
        len,
        chunks,
        progress,
    }
}

struct Sending {
    chunks: mpsc::Receiver<io::Result<Chunk>>,
    hanging: Hanging,
    left: u64,
    lanes: Arc<Lanes>,
    release: Option<Release>,
    progress: Arc<Progress>,
}

impl Sending {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Sending)> {
        let mut waited = Duration::ZERO;
        let read = loop {
            match tokio::time::timeout(LOOK, self.chunks.recv()).await {
                Ok(read) => break read?,
                Err(_) => waited += LOOK,
            }
            if let Some(error) = (self.hanging)(waited) {
                break Err(error);
            }
        };
        let Chunk { bytes, hash } = match read {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(error), self)),
        };
        let len = bytes.len() as u64;
        self.left -= len;
        self.lanes.pay(len).await;
        let last = self.left == 0;
        if last
            && let Some(release) = self.release.take()
            && let Err(error) = release(hash).await
        {
            self.chunks.close();
            return Some((Err(error), self));
        }
        self.progress.hand_over(len, last);
        failpoint!("body.chunk");
        Some((Ok(bytes), self))
    }
}

/// Bytes of a file, and with the last of them the hash of all.
struct Chunk {
    bytes: Bytes,
    hash: Option<ContentHash>,
}

/// Reads on a blocking thread, [`AHEAD`] pieces ahead; ends when `len` bytes
/// were read or nobody listens any more.
///
/// There it is hashed, too: while one piece is sent, the next one is read and
/// hashed as long as it lies in the processor's cache.
fn read_ahead(mut file: File, len: u64) -> mpsc::Receiver<io::Result<Chunk>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces::default();
        let mut hasher = blake3::Hasher::new();
        let mut left = len;
        let start = Instant::now();
        while left > 0 {
            let size = piece_size(len - left, start.elapsed());
            let want = usize::try_from(left).unwrap_or(size).min(size);
            left -= want as u64;
            let chunk = pieces.read(&mut file, want).map(|bytes| {
                hasher.update(&bytes);
                let hash = (left == 0).then(|| *hasher.finalize().as_bytes());
                Chunk { bytes, hash }
            });
            let failed = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// Bytes of the next piece, once so many were taken in so long: what went in a tenth
/// of a second. What is taken at first, buffers take and not the line, so that nothing
/// is believed of less than a second.
fn piece_size(taken: u64, time: Duration) -> usize {
    let rate = taken as f64 / time.as_secs_f64().max(1.0);
    ((rate / 10.0) as usize).clamp(*PIECE.start(), *PIECE.end())
}

/// The memory that a body is read into, used again once it was sent: asked for
/// anew, each piece would cost the kernel up to 128 pages of zeros.
struct Pieces {
    free: Receiver<Box<[u8]>>,
    home: Sender<Box<[u8]>>,
}

impl Default for Pieces {
    fn default() -> Pieces {
        let (home, free) = std::sync::mpsc::channel();
        Pieces { free, home }
    }
}

/// A piece of memory that goes home when nobody needs its content any more.
struct Piece {
    memory: Box<[u8]>,
    len: usize,
    home: Sender<Box<[u8]>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Nobody is there any more: it was the end of the body.
        let _ = self.home.send(std::mem::take(&mut self.memory));
    }
}

impl Pieces {
    /// Reads exactly `len` bytes, at most the most of a piece.
    fn read(&mut self, file: &mut File, len: usize) -> io::Result<Bytes> {
        let free = self.free.try_recv();
        let mut memory = free.unwrap_or_else(|_| vec![0; *PIECE.end()].into());
        file.read_exact(&mut memory[..len])
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was read",
                ),
                _ => error,
            })?;
        let home = self.home.clone();
        Ok(Bytes::from_owner(Piece { memory, len, home }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::valid::Dataset;
    use crate::domain::ids::DatasetName;
    use crate::ports::AccessKey;
    use futures_util::StreamExt;
    use std::io::{Seek, Write};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    const FIRST: usize = *PIECE.start();

    fn lanes() -> Arc<Lanes> {
        Lanes::new(&Dataset {
            name: DatasetName("d".into()),
            key: AccessKey::new("k".into()),
            concurrency: 1,
            max_concurrent: 1,
            polls_per_second: 1.0,
            requests_per_second: None,
            bytes_per_second: None,
            pushes: None,
            key_file: None,
        })
    }

    fn file_of(len: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; len]).unwrap();
        file.rewind().unwrap();
        file
    }

    #[tokio::test]
    async fn the_last_chunk_waits_for_its_release() {
        let len = FIRST + 5;
        let asked = Arc::new(AtomicBool::new(false));
        let seen = asked.clone();
        let release: Release = Box::new(move |_| {
            Box::pin(async move {
                seen.store(true, Ordering::SeqCst);
                Ok(())
            })
        });
        let mut body = from_file(file_of(len), len as u64, lanes(), release, patient());
        assert_eq!(body.chunks.next().await.unwrap().unwrap().len(), FIRST);
        assert!(!asked.load(Ordering::SeqCst) && !body.progress.last_byte_sent());
        assert_eq!(body.chunks.next().await.unwrap().unwrap().len(), 5);
        assert!(asked.load(Ordering::SeqCst) && body.progress.last_byte_sent());
        assert_eq!(body.progress.bytes(), len as u64);
        assert!(body.chunks.next().await.is_none());
    }

    #[test]
    fn pieces_are_as_large_as_the_line_is_fast() {
        let kib = |taken: u64, ms| piece_size(taken << 10, Duration::from_millis(ms)) >> 10;
        assert_eq!(kib(0, 0), 64);
        assert_eq!(kib(640, 10), 64, "only buffers were filled");
        assert_eq!(kib(2_560, 20), 256);
        assert_eq!(kib(1 << 20, 500), 512, "no larger");
        assert_eq!(kib(10_000, 10_000), 100);
        assert_eq!(kib(10_000, 1_000_000), 64, "no smaller");
    }

    #[tokio::test]
    async fn a_refused_release_ends_the_stream_without_the_last_chunk() {
        let refuse =
            || -> Release { Box::new(|_| Box::pin(async { Err(io::Error::other("changed")) })) };
        let mut large = from_file(
            file_of(FIRST + 1),
            FIRST as u64 + 1,
            lanes(),
            refuse(),
            patient(),
        );
        assert!(large.chunks.next().await.unwrap().is_ok());
        assert!(large.chunks.next().await.unwrap().is_err());
        assert!(!large.progress.last_byte_sent());

        let mut small = in_memory(Bytes::from_static(b"abc"), lanes(), refuse());
        assert!(small.chunks.next().await.unwrap().is_err());
        assert!(!small.progress.last_byte_sent());
    }

    /// Says nothing, and waits on.
    fn patient() -> Hanging {
        Box::new(|_| None)
    }

    #[tokio::test]
    async fn a_read_that_does_not_come_back_is_told_and_can_be_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let open = || File::options().read(true).write(true).open(&fifo).unwrap();
        let waits = Arc::new(Mutex::new(Vec::new()));
        let seen = waits.clone();
        let hanging: Hanging = Box::new(move |waited| {
            seen.lock().unwrap().push(waited.as_secs());
            (waited.as_secs() >= 15).then(|| io::Error::other("given up"))
        });
        let release: Release = Box::new(|_| Box::pin(async { Ok(()) }));
        let mut body = from_file(open(), FIRST as u64, lanes(), release, hanging);
        tokio::time::pause();
        let next = tokio::spawn(async move { body.chunks.next().await });
        while !next.is_finished() {
            tokio::task::yield_now().await;
            tokio::time::advance(LOOK).await;
        }
        let error = next.await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "given up");
        assert_eq!(*waits.lock().unwrap(), [5, 10, 15]);
        // Lets the thread that reads go.
        open().write_all(&vec![0; FIRST]).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_shrank_fails_before_the_last_chunk() {
        let release: Release = Box::new(|_| Box::pin(async { Ok(()) }));
        let mut body = from_file(
            file_of(FIRST + 9),
            FIRST as u64 * 2,
            lanes(),
            release,
            patient(),
        );
        assert!(body.chunks.next().await.unwrap().is_ok());
        let error = body.chunks.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(!body.progress.last_byte_sent());
    }
}
