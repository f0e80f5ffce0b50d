//! A stranger on the same machine takes the port, claims the folder, and talks
//! to the socket.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

use crate::support::two_users::{self, Shared};
use crate::support::users::{DROPPER, STRANGER};
use crate::support::words;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_a_stranger_holds_stops_no_upload_and_is_taken_when_it_is_free() {
    let squatter = STRANGER.does(|| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = squatter.local_addr().unwrap().port();
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.tail(&format!("[http]\nlisten = \"127.0.0.1:{port}\""));
    });
    let Some(stage) = stage.await else { return };
    let daemon = stage.start();
    DROPPER.does(|| fs::write(stage.inbox("a.txt"), words(1, 300)).unwrap());
    daemon.until("it is sent all the same", || {
        stage.sandbox.uploads().len() == 1
    });
    daemon.until("`status` says that the port is taken", || {
        stage.said(&["status"]).contains(&port.to_string())
    });
    drop(squatter);
    daemon.until("the port is served", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_claim_on_the_folder_is_no_daemon() {
    let stage = two_users::stage(Shared::Setgid, |_| {});
    let Some(stage) = stage.await else { return };
    let folder = fs::metadata(stage.inbox("")).unwrap();
    let forged = |pid: u32| {
        let (dev, inode) = (folder.dev(), folder.ino());
        let name = format!("supametas-sync/watch/{dev:x}/{inode:x}/{pid}/0");
        STRANGER.does(|| UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()))
    };
    // A process that there is not, and one that is a stranger's.
    let mut sleeper = std::process::Command::new("setpriv");
    let behind = STRANGER.behind();
    let mut sleeper = sleeper
        .args(&behind[1..])
        .args(["sleep", "100"])
        .spawn()
        .unwrap();
    let claims = [forged(4_194_304), forged(sleeper.id())].map(Result::unwrap);
    let daemon = stage.start();
    DROPPER.does(|| fs::write(stage.inbox("a.txt"), words(1, 300)).unwrap());
    daemon.until("it is sent", || stage.sandbox.uploads().len() == 1);
    let log = daemon.log();
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    // As `two_ledgers_on_one_folder_are_warned_of` has it.
    let warning = "another supametas-sync watches this folder";
    assert!(!log.contains(warning), "the claim was believed:\n{log}");
    drop(claims);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_socket_is_closed_to_others() {
    let stage = two_users::stage(Shared::Setgid, |_| {});
    let Some(stage) = stage.await else { return };
    let daemon = stage.start();
    let state = fs::read_dir(stage.path("state")).unwrap();
    let sockets: Vec<_> = state
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            std::os::unix::fs::FileTypeExt::is_socket(&fs::metadata(path).unwrap().file_type())
        })
        .collect();
    assert!(!sockets.is_empty(), "no socket beside the ledger");
    for user in [DROPPER, STRANGER] {
        for socket in &sockets {
            assert!(
                user.does(|| UnixStream::connect(socket)).is_err(),
                "{socket:?}"
            );
        }
        let mut behind = user.behind();
        behind.extend(
            stage
                .behind
                .iter()
                .skip_while(|word| *word != "--")
                .skip(1)
                .cloned(),
        );
        for command in [&["pause", "--dataset", "main"][..], &["status"]] {
            let mut line = std::process::Command::new(&behind[0]);
            let program = crate::support::PROGRAM;
            line.args(&behind[1..]).arg(program).args(command);
            let output = line.arg("--config").arg(stage.config()).output().unwrap();
            assert!(!output.status.success(), "{command:?}: {output:?}");
        }
    }
    assert!(daemon.terminate().success());
}
