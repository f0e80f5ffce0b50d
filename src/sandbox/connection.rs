//! TCP connections that can be told to die: the reset (`RST`) that a client
//! sees when a server is killed, and not the orderly end that a finished HTTP
//! exchange makes.
//!
//! A [`Wire`] is one accepted connection; its [`Hold`] reaches the handlers of
//! its requests through axum's connect info. Must not: know HTTP beyond where
//! an answer's head ends, or decide when to cut (that is `faults`).

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What a connection's owner may be told from elsewhere.
#[derive(Debug, Default)]
struct Orders {
    reset: AtomicBool,
    cut_answer: AtomicBool,
    watch_leave: AtomicBool,
    /// The task that serves the connection; it must look at the orders anew.
    task: AtomicWaker,
}

/// A handler's hold on its connection.
#[derive(Debug, Clone)]
pub(super) struct Hold(Arc<Orders>);

impl Hold {
    /// Ends the connection at once with a TCP reset. What was not sent yet is
    /// never sent. The handler that calls this is dropped soon after.
    pub(super) fn reset(&self) {
        self.0.reset.store(true, Ordering::Release);
        self.0.task.wake();
    }

    /// Lets the next answer out as far as the middle of its body, then resets.
    pub(super) fn cut_next_answer(&self) {
        self.0.cut_answer.store(true, Ordering::Release);
    }

    /// From now on the connection also ends when the client leaves while a
    /// request's body is still unread. Looked at whenever the task is polled,
    /// so the handler must tick.
    pub(super) fn watch_leave(&self) {
        self.0.watch_leave.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Loopback>> for Hold {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Hold {
        Hold(Arc::clone(&stream.io().orders))
    }
}

/// All open connections, so that a shutdown can end them.
#[derive(Debug, Default, Clone)]
pub(super) struct Open {
    next: Arc<AtomicU64>,
    all: Arc<Mutex<HashMap<u64, Arc<Orders>>>>,
}

impl Open {
    /// Resets every connection that is open now.
    pub(super) fn reset_all(&self) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for orders in all.values() {
            Hold(Arc::clone(orders)).reset();
        }
    }
}

/// The listener: hands out [`Wire`]s.
#[derive(Debug)]
pub(super) struct Loopback {
    listener: TcpListener,
    open: Open,
}

impl Loopback {
    /// Wraps a bound listener; its connections are entered in `open`.
    pub(super) fn new(listener: TcpListener, open: Open) -> Loopback {
        Loopback { listener, open }
    }
}

impl Listener for Loopback {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Only costs latency when it can't be set.
                    let _ = stream.set_nodelay(true);
                    return (Wire::new(stream, &self.open), peer);
                }
                // Out of file descriptors, or a client that was gone before
                // it was accepted: neither ends the listener.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One accepted connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    orders: Arc<Orders>,
    id: u64,
    open: Open,
}

impl Wire {
    fn new(stream: TcpStream, open: &Open) -> Wire {
        let orders = Arc::new(Orders::default());
        let id = open.next.fetch_add(1, Ordering::Relaxed);
        let mut all = open.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, Arc::clone(&orders));
        drop(all);
        Wire {
            stream,
            orders,
            id,
            open: open.clone(),
        }
    }

    /// An error once the connection has been told to die. Registers the task
    /// first, so that an order given just after the look wakes it.
    fn look(&self, cx: &Context<'_>) -> io::Result<()> {
        self.orders.task.register(cx.waker());
        if self.orders.reset.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    fn client_left(&self) -> bool {
        let ready = pin!(self.stream.ready(Interest::READABLE));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.orders.reset.load(Ordering::Acquire) {
            // Makes the close that follows a reset. Should it fail, the close
            // is orderly, and unread bytes make it a reset all the same.
            let _ = self.stream.set_zero_linger();
        }
        let mut all = self.open.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.id);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.look(cx)?;
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    // `is_write_vectored` stays false: hyper then hands over head and body of
    // a small answer in one piece, which is what cutting in its middle needs.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look(cx)?;
        if this.orders.cut_answer.load(Ordering::Acquire) {
            let part = &buf[..middle_of_answer(buf)];
            let written = std::task::ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
            Hold(Arc::clone(&this.orders)).reset();
            return Poll::Ready(Ok(written));
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.look(cx)?;
        if this.orders.watch_leave.load(Ordering::Acquire) && this.client_left() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // An orderly end would reach the client before the reset does.
        this.look(cx)?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// How many bytes of an answer go out when it is cut: its head and half of its
/// body; half of the head where there is no body.
fn middle_of_answer(answer: &[u8]) -> usize {
    let head = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| at + 4);
    match head {
        Some(head) if head < answer.len() => head + (answer.len() - head) / 2,
        _ => answer.len() / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_after_its_head() {
        assert_eq!(middle_of_answer(b"HTTP/1.1 200 OK\r\n\r\n1234"), 21);
        assert_eq!(middle_of_answer(b"HTTP/1.1 204 No Content\r\n\r\n"), 13);
        assert_eq!(middle_of_answer(b""), 0);
    }
}
