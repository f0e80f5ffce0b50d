//! Faults of TLS, told by the whole program in words that one can act on.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::Stage;
use crate::{drop_files, peers};

#[derive(Clone, Copy)]
enum Authority {
    /// The certificate's own.
    Own,
    /// One of the same name with another key, as where it was made anew.
    Former,
    /// None: the system's alone are known.
    None,
}

/// A port with TLS whose fault is named, or one without TLS.
struct Case {
    /// The host that the certificate is for.
    name: &'static str,
    years: std::ops::Range<i32>,
    /// What `ca_file` names.
    authority: Authority,
    /// What `status`, `check --online` and the log say; `None`: it works.
    said: Option<&'static str>,
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_tls_are_told_in_words() {
    let case = |name, years, authority, said| Case {
        name,
        years,
        authority,
        said,
    };
    for case in [
        case("localhost", 2000..2900, Authority::Own, None),
        case(
            "localhost",
            2000..2001,
            Authority::Own,
            Some("its certificate has expired (or this machine's clock is wrong)"),
        ),
        case(
            "other.example",
            2000..2900,
            Authority::Own,
            Some("its certificate is not valid for this host name"),
        ),
        case(
            "localhost",
            2000..2900,
            Authority::None,
            Some(
                "its certificate is self-signed, or from an authority that this machine does not know",
            ),
        ),
        case(
            "localhost",
            2000..2900,
            Authority::Former,
            Some(
                "its certificate is not signed by the authority of that name that this machine knows",
            ),
        ),
    ] {
        let (peer, own) = peers::tls_peer(case.name, case.years.clone()).await;
        let (_, other) = peers::tls_peer("localhost", 2000..2900).await;
        let authority = match case.authority {
            Authority::Own => Some(own),
            Authority::Former => Some(other),
            Authority::None => None,
        };
        told(peer.address.port(), authority, case.said).await;
    }
    // A web server without TLS takes the handshake for a bad request.
    let plain = peers::Peer::spawn(|mut socket, _| async move {
        let _ = socket.read(&mut [0; 16]).await;
        let _ = socket.write_all(peers::json(400, "").as_bytes()).await;
    })
    .await;
    let said = "what answers there does not speak TLS";
    told(plain.address.port(), None, Some(said)).await;
}

async fn told(port: u16, authority: Option<Vec<u8>>, said: Option<&str>) {
    let stage = Stage::new().await;
    let ca = stage.path("ca.pem");
    if let Some(authority) = &authority {
        fs::write(&ca, authority).unwrap();
    }
    let stage = stage.set(|settings| {
        settings.base_url = Some(format!("https://localhost:{port}/open/v1"));
        if authority.is_some() {
            settings.service = format!("ca_file = {ca:?}\n");
        }
    });
    drop_files(&stage, 1);
    let daemon = stage.start();
    let Some(said) = said else {
        daemon.until("it is taken", || stage.state("f-0.txt") == "submitted");
        assert!(daemon.terminate().success());
        return;
    };
    let words = format!("no TLS connection: {said}");
    daemon.until("the gate says why it is closed", || {
        stage.said(&["status", "--json"]).contains(&words)
    });
    for (what, text) in [
        ("status", stage.said(&["status"])),
        ("show", stage.said(&["show", "f-0.txt"])),
        ("the log", daemon.log()),
        (
            "check --online",
            String::from_utf8(stage.cli(&["check", "--online"]).stdout).unwrap(),
        ),
    ] {
        // A terminal's lines are broken between words.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&words), "{what}: {words:?} in {text}");
    }
    assert_eq!(stage.state("f-0.txt"), "queued", "nothing was sent");
    assert!(daemon.terminate().success());
}
