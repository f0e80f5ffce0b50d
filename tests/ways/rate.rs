//! How many requests a second arrive at the service, by the kernel's clock.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::support::Stage;
use crate::{all_succeed, marked, whole};

/// A connection that knows when its bytes arrived: the kernel stamps them, so
/// that a busy machine, which runs this process late, changes nothing.
struct Stamped {
    socket: TcpStream,
    /// When the first bytes of the current request arrived, since 1970.
    first: Option<Duration>,
}

/// Has the kernel stamp what arrives at this socket and at those it accepts.
fn stamp(listener: &TcpListener) {
    let on: libc::c_int = 1;
    let size = mem::size_of_val(&on) as libc::socklen_t;
    let fd = listener.as_raw_fd();
    // SAFETY: the option takes one int, whose size is given.
    let set = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size,
        )
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

impl Read for Stamped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut part = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        let mut control = [0_u64; 16];
        // SAFETY: zeros are a message header without an address or parts.
        let mut head: libc::msghdr = unsafe { mem::zeroed() };
        head.msg_iov = &raw mut part;
        head.msg_iovlen = 1;
        head.msg_control = control.as_mut_ptr().cast();
        head.msg_controllen = mem::size_of_val(&control) as _;
        // SAFETY: the header points to two buffers of the lengths that it names.
        let read = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut head, 0) };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: the kernel has filled in the header, and a stamp is a timespec.
        let stamp = unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const head);
            (!first.is_null() && (*first).cmsg_type == libc::SCM_TIMESTAMPNS).then(|| {
                libc::CMSG_DATA(first)
                    .cast::<libc::timespec>()
                    .read_unaligned()
            })
        };
        if read > 0 && self.first.is_none() {
            self.first = Some(match stamp {
                Some(at) => Duration::new(at.tv_sec.unsigned_abs(), at.tv_nsec as u32),
                None => SystemTime::UNIX_EPOCH.elapsed().unwrap(),
            });
        }
        Ok(read)
    }
}

/// A SOCKS5 proxy to the sandbox that takes up to 800 ms for a connection, as a
/// TLS handshake over a slow line does, and notes when each import arrives.
struct SlowWay {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Duration>>>,
}

impl SlowWay {
    fn to(service: SocketAddr) -> SlowWay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        stamp(&listener);
        let way = SlowWay {
            address: listener.local_addr().unwrap(),
            came: Arc::default(),
        };
        let came = way.came.clone();
        std::thread::spawn(move || {
            let mut chance = fastrand::Rng::with_seed(5);
            for socket in listener.incoming().map_while(Result::ok) {
                let wait = Duration::from_millis(chance.u64(0..800));
                let came = came.clone();
                // It ends with the connection.
                std::thread::spawn(move || serve(socket, service, wait, &came));
            }
        });
        way
    }
}

fn serve(
    mut socket: TcpStream,
    service: SocketAddr,
    wait: Duration,
    came: &Mutex<Vec<Duration>>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    // Version and ways to log in; then version, command, kind and address.
    let mut head = [0; 2];
    socket.read_exact(&mut head)?;
    socket.read_exact(&mut vec![0; head[1].into()])?;
    socket.write_all(&[5, 0])?;
    let mut head = [0; 4];
    socket.read_exact(&mut head)?;
    let mut name = [0; 1];
    let rest = match head[3] {
        1 => 6,
        3 => {
            socket.read_exact(&mut name)?;
            usize::from(name[0]) + 2
        }
        kind => panic!("an address of kind {kind}"),
    };
    socket.read_exact(&mut vec![0; rest])?;
    std::thread::sleep(wait);
    socket.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
    let mut stamped = Stamped {
        socket: socket.try_clone()?,
        first: None,
    };
    while let Some(request) = whole(&mut stamped)? {
        let at = stamped.first.take().unwrap();
        if !request.windows(11).any(|part| part == b"/query-task") {
            came.lock().unwrap().push(at);
        }
        let mut service = TcpStream::connect(service)?;
        service.write_all(&request)?;
        socket.write_all(&whole(&mut service)?.unwrap_or_default())?;
    }
    Ok(())
}

/// Connections of one's own, each with a handshake of another length; and mixed
/// with such as are used again.
#[tokio::test(flavor = "multi_thread")]
async fn no_second_has_more_requests_than_it_may() {
    for policy in ["hold", "resend"] {
        let stage = Stage::new().await;
        let way = SlowWay::to(stage.sandbox.addr());
        let stage = stage.set(|settings| {
            settings.service = format!("proxy = \"socks5://{}\"\n", way.address);
            settings.main("requests_per_second = 10");
            settings.inbox(&format!("unconfirmed = {policy:?}"));
        });
        let daemon = stage.start();
        // After a rest, and in the middle of a row.
        for wave in 1..=2 {
            for n in 0..22 {
                stage.drop_file(format!("{wave}-{n}.txt"), format!("{wave} {n}\n"));
            }
            all_succeed(&stage, &daemon, wave * 22);
        }
        let mut came = way.came.lock().unwrap().clone();
        assert_eq!(came.len(), 44);
        came.sort_unstable();
        let closest = came.windows(11).map(|some| some[10] - some[0]).min();
        assert!(
            closest >= Some(Duration::from_secs(1)),
            "{policy}: 11 requests within {closest:?}"
        );
        assert_eq!(marked(&stage), 0);
        assert!(daemon.terminate().success());
    }
}
