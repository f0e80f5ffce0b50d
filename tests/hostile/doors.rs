//! A stranger on the same machine talks to the socket.

use std::fs;
use std::os::unix::net::UnixStream;

use crate::support::two_users::{self, Shared};
use crate::support::users::{DROPPER, STRANGER};

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
