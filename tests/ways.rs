//! The way between the daemon and the service: balancers that break off or close,
//! proxies, a process that is stopped, and how many requests a second go.
//!
//! Must not: judge an answer with the program's own code.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "ways/interim.rs"]
mod interim;
mod peers;
#[path = "ways/rate.rs"]
mod rate;
mod support;
#[path = "ways/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use rustix::process::Signal;
use supametas_sync::api::client::{HttpApi, Proxying};
use supametas_sync::domain::answer::Outcome;
use supametas_sync::ports::{AccessKey, Connection, Import, ImportApi, Target, World};
use supametas_sync::sandbox::Fault;

use support::{Daemon, Stage};

/// What a balancer does with an answer of the service.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Hands it on, and keeps the connection.
    Keep,
    /// Hands it on, and closes the connection without saying so.
    Close,
    /// Keeps it, and closes the connection.
    BreakOff,
}

/// A balancer in front of the sandbox: each request is read whole and handed on.
struct Balancer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    imports: Arc<AtomicUsize>,
}

impl Balancer {
    /// `mode` is asked with the time since the first import came.
    fn before(stage: &Stage, mode: impl Fn(Duration) -> Mode + Send + Sync + 'static) -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let balancer = Balancer {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            imports: Arc::default(),
        };
        let to = stage.sandbox.addr();
        let (mode, first) = (Arc::new(mode), Arc::new(Mutex::new(None)));
        let (connections, imports) = (balancer.connections.clone(), balancer.imports.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (mode, first, imports) = (mode.clone(), first.clone(), imports.clone());
                std::thread::spawn(move || {
                    let since = move |import: bool| {
                        let mut first: std::sync::MutexGuard<'_, Option<Instant>> =
                            first.lock().unwrap();
                        if import {
                            imports.fetch_add(1, Ordering::SeqCst);
                            first.get_or_insert_with(Instant::now);
                        }
                        mode(first.map_or(Duration::ZERO, |first| first.elapsed()))
                    };
                    // It ends with the connection.
                    let _ = hand_on(socket, to, since);
                });
            }
        });
        balancer
    }

    fn base(&self) -> Option<String> {
        Some(format!("http://{}/openapi/open/v1", self.address))
    }
}

fn hand_on(
    mut socket: TcpStream,
    to: SocketAddr,
    since: impl Fn(bool) -> Mode,
) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    while let Some(request) = whole(&mut socket)? {
        let mut service = TcpStream::connect(to)?;
        service.write_all(&request)?;
        let answer = whole(&mut service)?.unwrap_or_default();
        let import = !request.windows(11).any(|part| part == b"/query-task");
        let mode = since(import);
        if mode != Mode::BreakOff {
            socket.write_all(&answer)?;
        }
        if mode != Mode::Keep {
            return socket.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

/// A message with its body, by its `Content-Length`; `None` at the end.
fn whole(socket: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut all = Vec::new();
    let mut chunk = [0; 16 << 10];
    let mut total = usize::MAX;
    while all.len() < total {
        let read = socket.read(&mut chunk)?;
        if read == 0 {
            return Ok(None);
        }
        all.extend_from_slice(&chunk[..read]);
        if total == usize::MAX
            && let Some(at) = all.windows(4).position(|part| part == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&all[..at]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            total = at + 4 + length.map_or(0, |length| length.trim().parse().unwrap());
        }
    }
    Ok(Some(all))
}

fn drop_files(stage: &Stage, count: usize) {
    for n in 0..count {
        stage.drop_file(format!("f-{n}.txt"), format!("text number {n}\n"));
    }
}

fn all_succeed(stage: &Stage, daemon: &Daemon, count: usize) {
    daemon.until("all files are through", || {
        stage.states().get("succeeded") == Some(&count)
    });
}

/// Files that the ledger says may be there twice.
fn marked(stage: &Stage) -> usize {
    let listed = stage.list();
    listed
        .iter()
        .filter(|file| file["possible_duplicate"] == true)
        .count()
}

/// For ten seconds the balancer takes each body, hands it on and breaks off. The
/// gate stays closed for a second longer: by default it is a minute, which
/// `tests/long_outages.rs` has in simulated time.
#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_breaks_off_costs_a_few_second_imports_each_on_record() {
    const FILES: usize = 600;
    let stage = Stage::new().await;
    let balancer = Balancer::before(&stage, |since| match since.as_secs() < 10 {
        true => Mode::BreakOff,
        false => Mode::Keep,
    });
    let stage = stage.set(|settings| {
        settings.base_url = balancer.base();
        settings.tail(
            "[[error]]\non = \"broken-after-last-byte\"\ncalls = \"upload\"\n\
             pause_first = \"11s\"",
        );
    });
    drop_files(&stage, FILES);
    let daemon = stage.start();
    all_succeed(&stage, &daemon, FILES);
    let imports = balancer.imports.load(Ordering::SeqCst);
    // Three that close the gate, and those that were on the wire beside them.
    assert!(imports <= FILES + 10, "{imports} imports of {FILES} files");
    assert!(imports > FILES, "the balancer has broken off");
    let uploads = stage.sandbox.uploads();
    for file in stage.list() {
        let name = support::text(&file, "file");
        let taken = uploads.iter().filter(|u| *u.file_name == *name).count();
        assert!((1..=2).contains(&taken), "{name} was taken {taken} times");
        assert_eq!(file["possible_duplicate"], taken == 2, "{file:#}");
    }
    assert!(daemon.terminate().success());
}

/// The service answers and closes without saying so. Nothing is in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_closes_each_connection_leaves_no_file_in_doubt() {
    for policy in ["hold", "resend"] {
        let stage = Stage::new().await;
        let balancer = Balancer::before(&stage, |_| Mode::Close);
        let stage = stage.set(|settings| {
            settings.base_url = balancer.base();
            settings.inbox(&format!("unconfirmed = {policy:?}"));
        });
        drop_files(&stage, 300);
        let daemon = stage.start();
        all_succeed(&stage, &daemon, 300);
        assert_eq!(marked(&stage), 0, "{policy}");
        assert_eq!(stage.sandbox.uploads().len(), 300, "{policy}");
        assert!(daemon.terminate().success());
    }
}

/// Where it keeps them they are used again, but not where doubt means a person.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again_where_the_service_keeps_them() {
    for (policy, few) in [("resend", true), ("hold", false)] {
        let stage = Stage::new().await;
        let balancer = Balancer::before(&stage, |_| Mode::Keep);
        let stage = stage.set(|settings| {
            settings.base_url = balancer.base();
            settings.inbox(&format!("unconfirmed = {policy:?}"));
        });
        // A first file shows that they are kept: its task is asked about.
        let daemon = stage.start();
        for n in 0..6 {
            stage.drop_file(format!("first-{n}.txt"), format!("first {n}\n"));
            all_succeed(&stage, &daemon, n + 1);
        }
        let before = balancer.connections.load(Ordering::SeqCst);
        drop_files(&stage, 200);
        all_succeed(&stage, &daemon, 206);
        let made = balancer.connections.load(Ordering::SeqCst) - before;
        assert_eq!(made < 120, few, "{policy}: {made} connections");
        assert_eq!(marked(&stage), 0);
        assert!(daemon.terminate().success());
    }
}

/// Stopped (SIGSTOP, a frozen cgroup, a machine that sleeps) for longer than the
/// answer may take, while the answers come in.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_reads_what_its_sockets_hold_before_an_answer_is_lost() {
    const FILES: usize = 12;
    let stage = Stage::new().await.set(|settings| {
        settings.service = "answer_timeout = \"2s\"\n".into();
        settings.main(&format!("concurrency = {FILES}"));
    });
    let fault = r#"[{"route":"import","delay_ms":1200}]"#;
    stage
        .sandbox
        .set_faults(Fault::from_json(fault).unwrap())
        .unwrap();
    drop_files(&stage, FILES);
    let daemon = stage.start();
    daemon.until("all are on the wire", || {
        stage.sandbox.uploads().len() == FILES
    });
    daemon.signal(Signal::STOP);
    let stopped = Instant::now();
    support::until("longer than an answer may take", || {
        stopped.elapsed() > Duration::from_secs(4)
    });
    daemon.signal(Signal::CONT);
    all_succeed(&stage, &daemon, FILES);
    assert_eq!(marked(&stage), 0);
    assert_eq!(stage.sandbox.uploads().len(), FILES);
    assert!(daemon.terminate().success());
}

/// A state that is not documented is shown, and said once.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_state_is_shown_and_said_once() {
    let stage = Stage::new().await;
    let fault = r#"[{"route":"query","task_state":"COMPLETED"}]"#;
    stage
        .sandbox
        .set_faults(Fault::from_json(fault).unwrap())
        .unwrap();
    drop_files(&stage, 1);
    let daemon = stage.start();
    let asked = || {
        stage
            .sandbox
            .requests()
            .iter()
            .filter(|r| r.path.ends_with("query-task"))
            .count()
    };
    daemon.until("it was asked about a few times", || asked() > 4);
    for command in [
        vec!["show", "f-0.txt"],
        vec!["explain", stage.inbox("f-0.txt").to_str().unwrap()],
    ] {
        let said = stage.cli(&command);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("COMPLETED"), "{command:?}: {said}");
    }
    assert_eq!(daemon.log().matches("COMPLETED").count(), 1);
    assert_eq!(stage.said(&["list", "--attention", "--json"]).trim(), "[]");
    stage.sandbox.set_faults(vec![]).unwrap();
    all_succeed(&stage, &daemon, 1);
    assert!(daemon.terminate().success());
}

/// The service says that it did not do what was asked, under a success.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_optresult_is_heeded() {
    let stage = Stage::new().await;
    let faults = r#"[{"route":"query","task_state":"PENDING"},
        {"route":"delete","body":"{\"code\":\"0\",\"data\":{\"optResult\":\"fail\"}}"}]"#;
    stage
        .sandbox
        .set_faults(Fault::from_json(faults).unwrap())
        .unwrap();
    drop_files(&stage, 1);
    let daemon = stage.start();
    daemon.until("it has a task", || {
        stage.states().get("submitted") == Some(&1)
    });
    let output = stage.cli(&["cancel", "f-0.txt"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("\"fail\""), "{said}");
    assert_eq!(stage.states()["submitted"], 1);
    assert!(daemon.terminate().success());
}

/// A port at which nothing listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A proxy of the settings, and one of the environment.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_proxy_is_named() {
    let dead = nobody();
    for (proxy, variable) in [
        (format!("proxy = \"http://{dead}\"\n"), "UNUSED"),
        (format!("proxy = \"socks5h://{dead}\"\n"), "UNUSED"),
        (String::new(), "HTTPS_PROXY"),
    ] {
        let mut stage = Stage::new().await.set(|settings| {
            settings.base_url = Some("https://api.example/openapi/open/v1".into());
            settings.service = proxy.clone();
        });
        stage.behind = ["env", &format!("{variable}=http://me:s3cret@{dead}")]
            .map(str::to_owned)
            .to_vec();
        drop_files(&stage, 1);
        let daemon = stage.start();
        let mut said = String::new();
        daemon.until("the gate is closed", || {
            said = stage.said(&["status", "--json"]);
            said.contains("NO-CONNECTION")
        });
        let scheme = if proxy.contains("socks") {
            "socks5h"
        } else {
            "http"
        };
        let wanted = format!("the proxy {scheme}://{dead} can't be used");
        assert!(said.contains(&wanted), "{wanted}: {said}");
        assert!(!said.contains("s3cret") && !daemon.log().contains("s3cret"));
        assert!(daemon.terminate().success());
    }
}

/// A proxy that tunnels to whatever is asked for, if `me:p%4` logs in.
fn proxy(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = tunnels.clone();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let count = count.clone();
            std::thread::spawn(move || {
                let head = whole(&mut socket).ok().flatten().unwrap_or_default();
                let head = String::from_utf8_lossy(&head).into_owned();
                let login = base64::engine::general_purpose::STANDARD.encode("me:p%4");
                if !head.contains(&format!("Basic {login}")) {
                    let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
                    let _ = socket.write_all(refused.as_bytes());
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let mut service = TcpStream::connect(to).unwrap();
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                let (mut from, mut back) =
                    (socket.try_clone().unwrap(), service.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut back, &mut socket));
                let _ = std::io::copy(&mut from, &mut service);
            });
        }
    });
    (address, tunnels)
}

async fn send(api: &HttpApi, connection: Connection) -> Outcome {
    let what = match peers::import("a.txt", peers::body(b"hello", 5)) {
        Import::File {
            name,
            options,
            body,
            ..
        } => Import::File {
            name,
            options,
            body,
            connection,
        },
        other => other,
    };
    let key = AccessKey::new(peers::KEY.into());
    api.upload(&key, Target::Path("/file-task"), what).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_logged_in_to_and_one_that_wants_it_is_named() {
    let (peer, root) = peers::tls_peer("localhost", 2000..2900).await;
    let (address, tunnels) = proxy(peer.address);
    let through = |login: &str| {
        let mut settings = peers::settings(&format!(
            "https://localhost:{}/open/v1",
            peer.address.port()
        ));
        settings.extra_ca_pem = Some(root.clone());
        settings.proxy = Proxying::Through(format!("http://{login}{address}").parse().unwrap());
        HttpApi::new(settings, World::real()).unwrap()
    };
    let Outcome::Answer(answer) = send(&through(""), Connection::IfKept).await else {
        panic!("no answer")
    };
    assert_eq!((answer.status, answer.whole), (407, false));
    assert_eq!(answer.proxy, Some(format!("http://{address}")));
    assert_eq!(tunnels.load(Ordering::SeqCst), 0);
    let Outcome::Answer(answer) = send(&through("me:p%254@"), Connection::IfKept).await else {
        panic!("no answer")
    };
    assert_eq!(answer.status, 200);
    assert_eq!(tunnels.load(Ordering::SeqCst), 1);
}

/// A SOCKS5 proxy that is given the service's name, with and without a log-in.
#[tokio::test(flavor = "multi_thread")]
async fn a_socks_proxy_is_used() {
    let (peer, root) = peers::tls_peer("localhost", 2000..2900).await;
    let to = peer.address;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = seen.clone();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let kept = kept.clone();
            std::thread::spawn(move || {
                let take = |socket: &mut TcpStream, n: usize| {
                    let mut bytes = vec![0; n];
                    socket.read_exact(&mut bytes).unwrap();
                    bytes
                };
                let ways = take(&mut socket, 2)[1];
                let ways = take(&mut socket, ways.into());
                let login = ways.contains(&2);
                socket.write_all(&[5, if login { 2 } else { 0 }]).unwrap();
                if login {
                    let user = take(&mut socket, 2)[1];
                    let user = take(&mut socket, user.into());
                    let password = take(&mut socket, 1)[0];
                    let password = take(&mut socket, password.into());
                    let all = [user, password].concat();
                    kept.lock().unwrap().push(String::from_utf8(all).unwrap());
                    socket.write_all(&[1, 0]).unwrap();
                }
                let head = take(&mut socket, 5);
                assert_eq!(head[3], 3, "the proxy is to resolve the name");
                let name = take(&mut socket, usize::from(head[4]) + 2);
                kept.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&name[..name.len() - 2]).into());
                socket.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).unwrap();
                let mut service = TcpStream::connect(to).unwrap();
                let (mut from, mut back) =
                    (socket.try_clone().unwrap(), service.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut back, &mut socket));
                let _ = std::io::copy(&mut from, &mut service);
            });
        }
    });
    for login in ["", "me:pw@"] {
        let mut settings = peers::settings(&format!("https://localhost:{}/open/v1", to.port()));
        settings.extra_ca_pem = Some(root.clone());
        settings.proxy = Proxying::Through(format!("socks5h://{login}{address}").parse().unwrap());
        let api = HttpApi::new(settings, World::real()).unwrap();
        let Outcome::Answer(answer) = send(&api, Connection::IfKept).await else {
            panic!("no answer")
        };
        assert_eq!(answer.status, 200);
    }
    assert_eq!(*seen.lock().unwrap(), ["localhost", "mepw", "localhost"]);
}

/// A key that the service or a proxy repeats in another form shows nowhere.
#[tokio::test]
async fn a_key_in_another_form_is_masked() {
    let base64 = base64::engine::general_purpose::STANDARD.encode(format!("x:{}", peers::KEY));
    let percent: String = peers::KEY.bytes().map(|b| format!("%{b:02X}")).collect();
    let backwards: String = peers::KEY.chars().rev().collect();
    for form in [&base64, &percent, &backwards] {
        let body = format!("{{\"code\":\"E1\",\"message\":\"bad {form} key\"}}");
        let location = format!("http://elsewhere.example/?k={form}");
        let answer = format!(
            "HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let peer = peers::Peer::answering(answer).await;
        let outcome = format!("{:?}", send(&peers::api(&peer), Connection::Any).await);
        assert!(outcome.contains("[key]"), "{outcome}");
        assert!(!outcome.contains(form.as_str()), "{form}: {outcome}");
    }
}

/// The figures of `src/api/reuse.rs`: run it with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures, and has nothing to say about right and wrong"]
async fn what_a_connection_of_its_own_costs() {
    let (peer, root) = peers::kept_tls_peer().await;
    let mut settings = peers::settings(&format!(
        "https://localhost:{}/open/v1",
        peer.address.port()
    ));
    settings.extra_ca_pem = Some(root);
    let api = HttpApi::new(settings, World::real()).unwrap();
    for (name, connection) in [
        ("used again", Connection::Any),
        ("its own", Connection::Own),
    ] {
        let start = Instant::now();
        for _ in 0..500 {
            let outcome = send(&api, connection).await;
            assert_eq!(outcome.status(), Some(200), "{outcome:?}");
        }
        println!("{name}: {:?} a request", start.elapsed() / 500);
    }
}
