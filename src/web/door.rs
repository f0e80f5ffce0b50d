//! Where requests come in: the Unix socket beside the ledger, and a TCP port of
//! this machine or a Unix socket for a proxy.
//!
//! Must not: listen for other machines.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::socket::{self, Rights};
use crate::config::valid::Listen;

/// One that there should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The socket beside the ledger at this path.
    Beside(PathBuf),
    /// What `http.listen` says.
    Listen(Listen),
}

impl Wanted {
    /// Opens it. The socket beside the ledger only for who holds the ledger's
    /// lock: what a daemon that died has left there is replaced.
    ///
    /// # Errors
    /// It is taken, or its directory can't hold it.
    pub fn open(&self) -> io::Result<Door> {
        match self {
            Wanted::Beside(ledger) => Door::socket(ledger),
            Wanted::Listen(Listen::Port(address)) => Door::tcp(*address),
            Wanted::Listen(Listen::Socket(path)) => Door::for_proxies(path),
        }
    }

    /// Where it is.
    pub fn place(&self) -> String {
        match self {
            Wanted::Beside(ledger) => Listen::Socket(socket::path(ledger)).to_string(),
            Wanted::Listen(listen) => listen.to_string(),
        }
    }
}

/// One that is open.
#[derive(Debug)]
pub enum Door {
    /// The socket beside the ledger; taken away when dropped.
    Socket(UnixListener, socket::File),
    /// A socket for a proxy; taken away when dropped.
    Proxy(UnixListener, socket::File),
    /// The port.
    Tcp(TcpListener, SocketAddr),
}

/// Which door a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The socket: who can open it is the daemon's own user, or root.
    Socket,
    /// A socket for a proxy: whoever the proxy lets through.
    Proxy,
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
        let (listener, file) = socket::bind(&socket::path(ledger), Rights::Owner)?;
        Ok(Door::Socket(UnixListener::from_std(listener)?, file))
    }

    /// Opens a socket for a proxy, in the place of one behind which nobody
    /// listens.
    ///
    /// # Errors
    /// Somebody listens there, or the directory can't hold it.
    pub fn for_proxies(path: &Path) -> io::Result<Door> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another process listens there",
            ));
        }
        let (listener, file) = socket::bind(path, Rights::Group)?;
        Ok(Door::Proxy(UnixListener::from_std(listener)?, file))
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
            Door::Proxy(..) => Entry::Proxy,
            Door::Tcp(_, address) => Entry::Tcp(*address),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Door::Socket(listener, _) | Door::Proxy(listener, _) => {
                Either::Right(listener.accept().await?.0)
            }
            Door::Tcp(listener, _) => Either::Left(listener.accept().await?.0),
        })
    }
}
