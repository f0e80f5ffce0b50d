//! The status page in a real browser: what it looks like, what it shows, what
//! it does. Where no Chromium is installed these say so and pass, unless
//! `REQUIRE_BROWSER=1`. Pictures are left in `target/page/`.
#![allow(clippy::unwrap_used)]

#[path = "page/acting.rs"]
mod acting;
#[path = "page/browser.rs"]
mod browser;
#[path = "page/looks.rs"]
mod looks;
#[path = "support/silent_mount.rs"]
mod mount;
#[path = "page/reading.rs"]
mod reading;
#[path = "page/showing.rs"]
mod showing;
mod support;
#[path = "page/waiting.rs"]
mod waiting;

use serde_json::json;
use support::http::address;
use support::{Daemon, Stage};

use crate::browser::Browser;

/// A word that lets its bearer act.
const TOKEN: &str = "tok-51b7e2c09a6f4d83";

/// A stage whose daemon listens on a port, 0: a free one, and has a token.
async fn listening(port: u16) -> Stage {
    with_token(Stage::new().await, port)
}

fn with_token(stage: Stage, port: u16) -> Stage {
    let token = stage.path("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    stage.set(|s| {
        s.tail(&format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\ntoken_file = {:?}\n",
            token.to_str().unwrap()
        ));
    })
}

/// A browser at the daemon's page, when it has shown how things stand.
fn at_page(browser: &Browser, daemon: &Daemon, hash: &str) -> String {
    let origin = format!("http://{}/", address(daemon));
    browser.open(&format!("{origin}{hash}"));
    browser.until("the page is live", || {
        browser.text("#pulse-text") == "live" && browser.count("#tiles li") == 6
    });
    origin
}

/// The row of a file in the list.
fn row(stage: &Stage, name: &str) -> String {
    let id = &stage.file(name).unwrap()["id"];
    format!("#list a[href='#file-{id}']")
}

/// Nothing was complained of, and nobody else was asked for anything.
#[track_caller]
fn assert_quiet(browser: &Browser, origin: &str) {
    assert_eq!(browser.console(), json!([]));
    let asked = browser.requests();
    assert!(asked.len() > 5, "{asked:?}");
    // `data:` and `chrome:` are what the tab begins with.
    let foreign: Vec<_> = asked
        .iter()
        .filter(|url| {
            ![origin, "data:", "chrome:"]
                .iter()
                .any(|own| url.starts_with(own))
        })
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
