//! A start after the worst: both sides killed, a clock that was set, a ledger
//! that another program holds.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;

use super::Mounts;
use crate::support::{Daemon, MAIN_KEY, PROGRAM, SOON, Stage, http, states, words};

/// The sandbox as a process of its own, which can be killed.
struct Service {
    child: Child,
    /// `http://127.0.0.1:PORT/…`
    base: String,
}

impl Service {
    /// On this port, or with 0 on a free one.
    fn start(port: u16) -> Service {
        let mut child = Command::new(PROGRAM)
            .args(["sandbox", "--port", &port.to_string(), "--key", MAIN_KEY])
            .args(["--pending-for", "200ms", "--delay", "20ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let base = line.split('"').nth(1).expect("base_url = \"…\"").to_owned();
        Service { child, base }
    }

    fn address(&self) -> &str {
        let rest = self.base.trim_start_matches("http://");
        rest.split('/').next().unwrap()
    }

    fn port(&self) -> u16 {
        self.address().rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The names of the files that it was sent, oldest first.
    fn uploads(&self) -> Vec<String> {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = http::request(self.address(), "GET", "/_sandbox/uploads", "", "");
        let answer = http::exchange(stream, &request).json();
        let names = answer.as_array().unwrap().iter();
        names
            .map(|upload| upload["file_name"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_killed_in_a_backlog_lose_nothing_unsaid() {
    const FILES: usize = 120;
    let stage = Stage::new().await;
    let service = Service::start(0);
    let config = std::fs::read_to_string(stage.config()).unwrap();
    let config = config.replace(&stage.sandbox.base_url(), &service.base);
    std::fs::write(stage.config(), config).unwrap();
    for n in 0..FILES {
        stage.drop_file(format!("n{n}.txt"), words(n as u64, 500));
    }
    let daemon = stage.start();
    daemon.until("it is in the middle", || {
        service.uploads().len() >= FILES / 4
    });
    let port = service.port();
    daemon.kill9();
    drop(service);

    // What the ledger had then. The service has forgotten all of it.
    let before = stage.list();
    let in_state = |state: &str| -> Vec<String> {
        let here = before.iter().filter(|file| file["state"] == state);
        here.map(|file| file["file"].as_str().unwrap().to_owned())
            .collect()
    };
    let known: Vec<String> = [in_state("submitted"), in_state("succeeded")].concat();
    let in_doubt = in_state("uploading");
    assert!(!known.is_empty() && known.len() < FILES, "{}", known.len());

    let service = Service::start(port);
    let daemon = stage.start();
    let is_known = |file: &Value| known.iter().any(|name| file["file"] == **name);
    daemon.until("all that it did not have are done", || {
        let mut others = stage.list();
        others.retain(|file| !is_known(file));
        others.iter().all(|file| file["state"] == "succeeded")
    });
    let sent = service.uploads();
    for name in &known {
        assert!(!sent.contains(name), "{name} was taken, and sent again");
    }
    for file in stage.list() {
        let name = file["file"].as_str().unwrap().to_owned();
        let times = sent.iter().filter(|sent| **sent == name).count();
        assert_eq!(times, usize::from(!known.contains(&name)), "{file}");
        // A task that only the first service had is lost, or still asked about:
        // several running look like a wrong path.
        if in_state("submitted").contains(&name) {
            assert!(
                file["state"] == "lost" || file["state"] == "submitted",
                "{file}"
            );
        } else {
            assert_eq!(file["state"], "succeeded", "{file}");
        }
        if file["possible_duplicate"] == true {
            assert!(in_doubt.contains(&name), "{file}");
        }
    }
    if !in_state("submitted").is_empty() {
        daemon.until("it is said", || {
            daemon.log().contains("the service does not know the task")
        });
    }
    assert!(daemon.terminate().success());
}

/// What systemd hears from a program.
struct Manager(UnixDatagram);

impl Manager {
    fn of(stage: &Stage) -> (Manager, Daemon) {
        let path = stage.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let daemon = stage.spawn_changed(&["run"], |command| {
            command.env("NOTIFY_SOCKET", &path);
        });
        (Manager(socket), daemon)
    }

    /// Its next words that hold this one.
    fn hears(&self, word: &str) -> String {
        loop {
            let mut buffer = [0; 4096];
            let n = self.0.recv(&mut buffer).expect("systemd hears nothing");
            let said = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if said.contains(word) {
                return said;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_at_the_start_is_waited_for() {
    // Once where there is no ledger yet, and once where there is one.
    for there in [false, true] {
        let mut stage = Stage::new().await.set(|s| {
            s.ledger = "state/ledger.sqlite".into();
        });
        let state = stage.path("state");
        std::fs::create_dir(&state).unwrap();
        let mount = format!(
            "mount -t tmpfs -o size=2m,mode=700 none {}",
            state.display()
        );
        let Some(mounts) = Mounts::made_by(&mount) else {
            return;
        };
        stage.behind = mounts.behind();
        if there {
            assert!(stage.cli(&["scan"]).status.success());
        }
        let filler = format!("{}/filler", state.display());
        mounts.run(&format!("cat /dev/zero > {filler} 2>/dev/null || true"));
        let (manager, daemon) = Manager::of(&stage);
        manager.hears("EXTEND_TIMEOUT_USEC=");
        daemon.until("it says why it waits", || {
            daemon
                .log()
                .contains("waiting with the start: the disk under the ledger")
        });
        mounts.run(&format!("rm {filler}"));
        manager.hears("READY=1");
        stage.drop_file("a.txt", words(1, 100));
        daemon.until("it works", || stage.states() == states(&[("succeeded", 1)]));
        assert!(daemon.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_was_emptied_is_not_begun_anew() {
    let stage = Stage::new().await;
    stage.drop_file("a.txt", words(1, 100));
    assert!(stage.cli(&["scan"]).status.success());
    let ledger = stage.path("ledger.sqlite");
    std::fs::write(&ledger, "").unwrap();
    for command in ["run", "scan"] {
        let refused = stage.cli(&[command]);
        assert_eq!(refused.status.code(), Some(6), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("rebuild --from"), "{said}");
    }
    let checked = stage.cli(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("but there was one"), "{said}");
    assert_eq!(stage.sandbox.uploads().len(), 1, "nothing goes again");
    assert!(stage.cli(&["rebuild", "--new-ledger"]).status.success());
    assert!(stage.cli(&["scan"]).status.success());
    assert_eq!(stage.sandbox.uploads().len(), 2, "now it was asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_locked_at_the_start_is_waited_for() {
    let stage = Stage::new().await;
    assert!(stage.cli(&["scan"]).status.success());
    let other = Connection::open(stage.path("ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();

    // Stopped while it waits: at once, and well.
    let (manager, daemon) = Manager::of(&stage);
    let said = manager.hears("EXTEND_TIMEOUT_USEC=60000000");
    assert!(said.contains("STATUS=waiting with the start"), "{said}");
    assert!(said.contains("is locked by another program"), "{said}");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait().success());

    std::fs::remove_file(stage.path("notify")).unwrap();
    stage.drop_file("a.txt", "words");
    let (manager, daemon) = Manager::of(&stage);
    manager.hears("EXTEND_TIMEOUT_USEC");
    assert!(daemon.log().contains("waiting with the start"));
    assert!(!daemon.log().contains(" running "));
    other.execute_batch("COMMIT").unwrap();
    manager.hears("READY=1");
    daemon.until("it goes up", || {
        stage.states() == states(&[("succeeded", 1)])
    });
    assert!(daemon.terminate().success());
}

/// The clock of the machine can't be set here; a ledger of the future shows the
/// same to the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_a_year_before_the_start_stalls_nothing() {
    const YEAR: i64 = 365 * 24 * 3600 * 1000;
    let stage = Stage::new().await;
    let fault = "[[fault]]\nroute = \"import\"\nstatus = 503";
    let faults = supametas_sync::sandbox::Fault::from_toml(fault).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
    stage.drop_file("a.txt", "words");
    let daemon = stage.start();
    daemon.until("the gate is closed", || {
        daemon.log().contains("paused: ") && stage.state("a.txt") == "queued"
    });
    daemon.kill9();
    stage.sandbox.set_faults(Vec::new()).unwrap();
    Connection::open(stage.path("ledger.sqlite"))
        .unwrap()
        .execute_batch(&format!(
            "UPDATE files SET not_before = not_before + {YEAR}, tries_since = tries_since + {YEAR};
             UPDATE gates SET since = since + {YEAR}, until = until + {YEAR};
             UPDATE clock SET seen = seen + {YEAR};"
        ))
        .unwrap();
    let daemon = stage.start();
    daemon.until("it goes up", || stage.state("a.txt") == "succeeded");
    assert!(daemon.log().contains("the clock was set"));
    assert!(daemon.terminate().success());
}
