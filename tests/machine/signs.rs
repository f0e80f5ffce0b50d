//! Two daemons that share nothing but a folder: each has a ledger, and a network
//! namespace, of its own.

use std::fs::{self, File};
use std::process::Command;

use rustix::process::Signal;

use crate::support::{PROGRAM, SIGN, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ledgers_on_one_folder_are_warned_of_across_network_namespaces() {
    let tried = Command::new("unshare").args(["-n", "true"]).output();
    if !tried.as_ref().is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED, no network namespace of our own: {tried:?}");
        return;
    }
    let stage = Stage::new().await;
    let daemon = stage.start();
    let sign = stage.inbox(SIGN);
    daemon.until("its sign", || sign.exists());
    assert!(!stage.said(&["check"]).contains("another supametas-sync"));
    let config = fs::read_to_string(stage.config()).unwrap();
    let other_config = stage.path("other.toml");
    let other = config.replace("ledger.sqlite", "other.sqlite");
    fs::write(&other_config, other).unwrap();
    let warning = "another supametas-sync watches this folder";

    // Before it is started `check` tells, and says which process it is.
    let check = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-n", PROGRAM]).args(args);
        let out = command.arg("--config").arg(&other_config).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let said = check(&["check"]);
    let process = format!("process {} on ", daemon.pid());
    assert!(said.contains(warning) && said.contains(&process), "{said}");

    let other_log = stage.path("other.log");
    let mut other = Command::new("unshare")
        .args(["-n", PROGRAM, "run", "--config"])
        .arg(&other_config)
        .stderr(File::create(&other_log).unwrap())
        .spawn()
        .unwrap();
    daemon.until("the second says it", || {
        fs::read_to_string(&other_log).unwrap().contains(warning)
    });
    let status = check(&["status"]);
    // The first one looks once a minute, and when it is asked for a scan.
    daemon.until("the first says it", || {
        daemon.signal(Signal::USR1);
        daemon.log().contains(warning)
    });
    let of_first = stage.said(&["status"]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(status.contains(warning), "{status}");
    assert!(of_first.contains(warning), "{of_first}");
    let daemon_pid = daemon.pid();
    assert!(daemon.terminate().success());
    let left = fs::read_to_string(&sign).unwrap_or_default();
    let own = format!("process {}\n", daemon_pid);
    assert!(!left.contains(&own), "its sign goes with it: {left}");
}
