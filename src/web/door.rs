//! Where requests come in: the Unix socket beside the ledger, and a TCP port of
//! this machine.
//!
//! Must not: listen for other machines.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::socket;

/// One that is open.
#[derive(Debug)]
pub enum Door {
    /// The socket; taken away when dropped.
    Socket(UnixListener, socket::File),
    /// The port.
    Tcp(TcpListener, SocketAddr),
}

/// Which door a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The socket: who can open it is the daemon's own user, or root.
    Socket,
    /// The port, with its address: any program of this machine, a browser that
    /// shows a page from elsewhere included.
    Tcp(SocketAddr),
}

/// A connection.
pub type Stream = Either<TcpStream, UnixStream>;

impl Door {
    /// Opens the socket beside the ledger; what a daemon that died has left
    /// there is replaced. Only for who holds the ledger's lock.
    ///
    /// # Errors
    /// The path is too long for a socket, or the directory can't hold one.
    pub fn socket(ledger: &Path) -> io::Result<Door> {
        let (listener, file) = socket::bind(&socket::path(ledger))?;
        Ok(Door::Socket(UnixListener::from_std(listener)?, file))
    }

    /// Opens a port of this machine.
    ///
    /// # Errors
    /// The address is taken, or is not one of this machine alone.
    pub fn tcp(address: SocketAddr) -> io::Result<Door> {
        if !address.ip().is_loopback() {
            // `check` has refused it; but what listens must not depend on that.
            return Err(io::Error::other("it is not a loopback address"));
        }
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        Ok(Door::Tcp(listener, address))
    }

    /// What requests that come in here are taken for.
    pub fn entry(&self) -> Entry {
        match self {
            Door::Socket(..) => Entry::Socket,
            Door::Tcp(_, address) => Entry::Tcp(*address),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Door::Socket(listener, _) => Either::Right(listener.accept().await?.0),
            Door::Tcp(listener, _) => Either::Left(listener.accept().await?.0),
        })
    }
}
