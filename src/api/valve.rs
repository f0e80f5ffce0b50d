//! A request's body on its way to the socket, with a valve in it.
//!
//! The connection takes the body on a task of its own and goes on taking it
//! after the call has returned: an answer that comes early does not stop it,
//! nor does a caller who gives up. So the body is kept here, behind a lock.
//! Once the valve is shut no byte more is given out, and whether the last one
//! was can then be asked without a race.
//!
//! It also knows who waits for whom, which tells a stalled connection from a
//! slow disk or a bandwidth limit.
//!
//! Must not: know HTTP, or judge how an exchange ended.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::Instant;

use crate::ports::Progress;

/// The chunks of a request's content.
pub(super) type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Bodies up to this size go out in one piece, in bytes.
const IN_ONE_PIECE: u64 = 128 * 1024;

/// A body as it is to be sent: head, content, tail.
pub(super) struct Source {
    /// Sent before the content.
    pub head: Bytes,
    /// The content; it says itself, by `progress`, which chunk is its last.
    pub content: Chunks,
    /// Bytes of content: exactly.
    pub len: u64,
    /// Sent after the content.
    pub tail: Bytes,
    /// Where the content says how far it is.
    pub progress: Arc<Progress>,
}

impl Source {
    /// A body that is one chunk.
    pub(super) fn chunk(bytes: Bytes, progress: Arc<Progress>) -> Source {
        let len = bytes.len() as u64;
        let at = Arc::clone(&progress);
        let one = futures_util::stream::once(async move {
            at.hand_over(len, true);
            Ok(bytes)
        });
        Source {
            head: Bytes::new(),
            content: Box::pin(one),
            len,
            tail: Bytes::new(),
            progress,
        }
    }

    /// The length of the whole body, in bytes.
    pub(super) fn total(&self) -> u64 {
        self.head.len() as u64 + self.len + self.tail.len() as u64
    }
}

/// How long each stage of an exchange may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Until there is a connection. The client itself keeps to it; here it is
    /// the second line.
    pub connect: Duration,
    /// Between two takings from the body.
    pub stall: Duration,
    /// From the last byte to the answer, and again for the answer's body.
    pub answer: Duration,
}

/// Which limit was overrun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overrun {
    /// Nothing asked for the body: there was no connection.
    Unasked,
    /// The connection stopped taking the body.
    Stalled,
    /// No answer came.
    Unanswered,
}

/// Who waits for whom, since when.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// Nobody asked for the body yet.
    Unasked(Instant),
    /// The connection waits for the content.
    Ours,
    /// The connection has a chunk to send.
    Theirs(Instant),
    /// The connection has all of it.
    Done(Instant),
}

enum Body {
    Open(Box<Source>),
    /// Given out to its end.
    Finished,
    /// Gives nothing, and does not end.
    Frozen,
    /// Fails: the connection is to be given up.
    Shut,
}

struct Inner {
    body: Body,
    turn: Turn,
    waker: Option<Waker>,
    fault: Option<String>,
}

/// The caller's end.
pub(super) struct Valve {
    inner: Mutex<Inner>,
    progress: Arc<Progress>,
}

impl Valve {
    /// The valve, and the stream to be sent. Now is the start of the exchange.
    pub(super) fn new(source: Source) -> (Arc<Valve>, Outlet) {
        let in_one_piece = source.total() <= IN_ONE_PIECE;
        let valve = Arc::new(Valve {
            progress: Arc::clone(&source.progress),
            inner: Mutex::new(Inner {
                body: Body::Open(Box::new(source)),
                turn: Turn::Unasked(Instant::now()),
                waker: None,
                fault: None,
            }),
        });
        let outlet = Outlet {
            valve: Arc::clone(&valve),
            pause: None,
            in_one_piece,
            rested: in_one_piece,
        };
        (valve, outlet)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in the content's stream leaves nothing half done here.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives out nothing more, yet keeps the connection as it is, so that an
    /// early answer can still be read to its end.
    pub(super) fn freeze(&self) {
        let mut inner = self.lock();
        if matches!(inner.body, Body::Open(_)) {
            let old = std::mem::replace(&mut inner.body, Body::Frozen);
            drop(inner);
            // The content's own destructor runs outside of the lock.
            drop(old);
        }
    }

    /// Gives out nothing more and makes the connection give up, unless it has
    /// all of the body.
    pub(super) fn shut(&self) {
        let mut inner = self.lock();
        if matches!(inner.body, Body::Finished) {
            return;
        }
        let old = std::mem::replace(&mut inner.body, Body::Shut);
        let waker = inner.waker.take();
        drop(inner);
        drop(old);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the content's last chunk was given out. Final once the valve is
    /// frozen or shut.
    pub(super) fn last_byte_sent(&self) -> bool {
        self.progress.last_byte_sent()
    }

    /// What was wrong with the content itself, if it was.
    pub(super) fn fault(&self) -> Option<String> {
        self.lock().fault.clone()
    }

    /// Ends when a limit is overrun. A wait for the content is nobody's stall:
    /// a disk, a bandwidth limit or the ledger takes the time it takes.
    ///
    /// A process that was stopped, or a machine that slept, finds its limits long
    /// overrun, while the answer may lie in the socket's buffer: before anything
    /// is called overrun, the connection gets the time to read it.
    pub(super) async fn overrun(&self, limits: Limits) -> Overrun {
        let mut looked = None;
        loop {
            let (until, what) = match self.lock().turn {
                Turn::Unasked(since) => (since + limits.connect + limits.stall, Overrun::Unasked),
                Turn::Theirs(since) => (since + limits.stall, Overrun::Stalled),
                Turn::Done(since) => (since + limits.answer, Overrun::Unanswered),
                Turn::Ours => (Instant::now() + limits.stall, Overrun::Stalled),
            };
            let ours = matches!(self.lock().turn, Turn::Ours);
            let now = Instant::now();
            if !ours && now >= until {
                // Nothing has moved since the last look.
                if looked == Some(until) {
                    return what;
                }
                looked = Some(until);
                tokio::time::sleep(last_look(now - until)).await;
                continue;
            }
            // The turn may change meanwhile: no look may be later than the
            // shortest limit, so that none is overrun by more than a moment.
            let look = Instant::now() + limits.stall.min(limits.answer);
            tokio::time::sleep_until(until.min(look)).await;
        }
    }
}

/// How late a limit is noticed where nobody was stopped.
const USUALLY_LATE: Duration = Duration::from_millis(100);

/// How long the connection has to read what its socket holds. It takes
/// microseconds, but everything else that was stopped wants to go on, too.
const AFTER_A_STOP: Duration = Duration::from_secs(5);

/// The last look at the socket before a limit counts as overrun, which was
/// noticed so late.
pub(super) fn last_look(late: Duration) -> Duration {
    if late > USUALLY_LATE {
        AFTER_A_STOP
    } else {
        USUALLY_LATE
    }
}

/// The connection's end: the body, as a stream.
pub(super) struct Outlet {
    valve: Arc<Valve>,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    in_one_piece: bool,
    rested: bool,
}

impl Stream for Outlet {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Before each chunk the runtime may look at the sockets once. An early
        // answer that is already there is then more often seen before the next
        // write fails on the closed connection (with 32 MiB on loopback and a
        // peer that answers and closes: 18 of 20 instead of 15). It costs a
        // write of its own for each chunk: not worth it for a small body.
        if !self.rested {
            let pause = self
                .pause
                .get_or_insert_with(|| Box::pin(tokio::task::yield_now()));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
            self.rested = true;
        }
        let item = ready!(self.valve.poll_chunk(cx));
        self.rested = self.in_one_piece;
        Poll::Ready(item)
    }
}

impl Valve {
    fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let source = match &mut inner.body {
            Body::Open(source) => source,
            Body::Finished => return Poll::Ready(None),
            Body::Frozen => {
                inner.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Body::Shut => return Poll::Ready(Some(Err(io::Error::other("given up")))),
        };
        match source.poll(cx) {
            Poll::Pending => {
                inner.turn = Turn::Ours;
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(Ok((chunk, true))) => {
                inner.body = Body::Finished;
                inner.turn = Turn::Done(Instant::now());
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Ok((chunk, false))) => {
                inner.turn = Turn::Theirs(Instant::now());
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Err(error)) => {
                inner.fault = Some(error.to_string());
                inner.body = Body::Shut;
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

impl Source {
    /// The next chunk, and whether it is the whole body's last.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Bytes, bool)>> {
        if !self.head.is_empty() {
            return Poll::Ready(Ok((std::mem::take(&mut self.head), false)));
        }
        // Also with a length of nothing the content is asked until it has said
        // that it ended: it may have to wait before the request may be whole.
        while self.len > 0 || !self.progress.last_byte_sent() {
            let Some(chunk) = ready!(self.content.as_mut().poll_next(cx)) else {
                if self.len > 0 {
                    return wrong("the content ended before its length");
                }
                self.progress.hand_over(0, true);
                break;
            };
            let chunk = chunk?;
            let given = chunk.len() as u64;
            if given > self.len {
                return wrong("the content is longer than was said");
            }
            self.len -= given;
            if given > 0 {
                if self.len == 0 && !self.progress.last_byte_sent() {
                    // More is to follow that the length does not cover: sent
                    // like this it would look whole, and be cut.
                    return wrong("the content reached its length and did not say that it ended");
                }
                return Poll::Ready(Ok((chunk, self.len == 0 && self.tail.is_empty())));
            }
        }
        Poll::Ready(Ok((std::mem::take(&mut self.tail), true)))
    }
}

fn wrong<T>(what: &'static str) -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::other(what)))
}

#[cfg(test)]
#[path = "valve_tests.rs"]
mod tests;
