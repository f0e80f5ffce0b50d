//! Interim answers without end (100, 102, 103): they end with the time for an
//! answer, take no memory, and hold up no other upload.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::Stage;
use crate::{drop_files, whole};

/// Hands all on to the service, but for files that ask for interim answers.
fn flooding(service: SocketAddr, sent: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let sent = sent.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                while let Some(request) = whole(&mut socket)? {
                    if request.windows(8).any(|part| part == b"flood me") {
                        let some = "HTTP/1.1 102 Processing\r\n\r\n\
                                    HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                                    HTTP/1.1 100 Continue\r\n\r\n";
                        let many = some.repeat(200);
                        loop {
                            socket.write_all(many.as_bytes())?;
                            sent.fetch_add(many.len() as u64, Ordering::Relaxed);
                        }
                    }
                    let mut service = TcpStream::connect(service)?;
                    service.write_all(&request)?;
                    socket.write_all(&whole(&mut service)?.unwrap_or_default())?;
                }
                Ok(())
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_without_end_cost_their_time_and_hold_up_nobody() {
    let stage = Stage::new().await;
    let sent = Arc::new(AtomicU64::new(0));
    let address = flooding(stage.sandbox.addr(), sent.clone());
    let stage = stage.set(|settings| {
        settings.base_url = Some(format!("http://{address}/openapi/open/v1"));
        settings.service = "answer_timeout = \"30s\"\n".into();
        settings.inbox("unconfirmed = \"hold\"");
    });
    let daemon = stage.start();
    drop_files(&stage, 20);
    let through = |count| stage.states().get("succeeded") == Some(&count);
    daemon.until("the first are through", || through(20));
    let before = daemon.memory("VmHWM");
    stage.drop_file("flood.txt", "flood me\n");
    daemon.until("it is answered without end", || {
        sent.load(Ordering::Relaxed) > 1 << 20
    });
    for n in 0..20 {
        stage.drop_file(format!("later-{n}.txt"), format!("later {n}\n"));
    }
    daemon.until("the others are through", || through(40));
    assert_eq!(
        stage.state("flood.txt"),
        "uploading",
        "they did not wait for it"
    );
    // It may have been taken: a person decides.
    daemon.until_within(Duration::from_secs(90), "it has ended", || {
        stage.state("flood.txt") == "unconfirmed"
    });
    let grown = daemon.memory("VmHWM") - before;
    assert!(grown < 16 << 10, "{grown} KiB for {sent:?} bytes");
    assert!(daemon.terminate().success());
}
