//! Retry and resume from the page: with the token, and only so.

use supametas_sync::sandbox::Fault;

use crate::browser::Browser;
use crate::support::Stage;
use crate::support::http::address;
use crate::{TOKEN, at_page, listening, row};

/// The kept token, as the tab has it.
const KEPT: &str = "return [Object.values(sessionStorage).join(), localStorage.length, document.cookie, location.href].join(' ')";

/// Gives a token, where one is asked for.
fn give(browser: &Browser, token: &str) {
    browser.until("the token is asked for", || browser.shows("#ask"));
    browser.keys("#ask-token", &format!("{token}\u{e007}"));
}

fn mended(stage: &Stage) {
    stage.sandbox.set_faults(Vec::new()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_retried_with_the_token_and_only_so() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let faults = "[[fault]]\nfile = \"*.txt\"\nstatus = 413\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(faults).unwrap())
        .unwrap();
    let daemon = stage.start();
    for name in ["a.txt", "b.txt", "c.txt"] {
        stage.drop_file(name, format!("words of {name}"));
    }
    stage.drop_file("d.doc", "\u{1}");
    daemon.until("all have ended", || {
        stage.states().get("rejected") == Some(&3) && stage.state("d.doc") == "unsupported"
    });
    mended(&stage);
    let origin = at_page(&browser, &daemon, "");
    browser.until("it is listed", || browser.count("#list li") == 4);
    browser.click(&row(&stage, "a.txt"));
    browser.until("its story opens", || {
        browser.shows("#story [data-act=retry]")
    });

    // Without a token nothing is done; a wrong one is told.
    browser.click("#story [data-act=retry]");
    browser.until("the token is asked for", || browser.shows("#ask"));
    assert!(!browser.shows("#ask-wrong"));
    browser.click("#ask-cancel");
    browser.until("given up", || !browser.shows("#ask"));
    browser.click("#story [data-act=retry]");
    give(&browser, "tok-wrong-0123456789");
    browser.until("it is told to be wrong", || browser.shows("#ask-wrong"));
    assert!(browser.text("#ask-wrong").contains("not the daemon’s"));
    assert!(
        !browser.run(KEPT).as_str().unwrap().contains("tok-"),
        "a wrong one is not kept"
    );
    assert_eq!(stage.state("a.txt"), "rejected");

    give(&browser, TOKEN);
    browser.until("it is done, and told", || {
        browser.text("#said").contains("1 file back in the queue")
    });
    daemon.until("it is through", || stage.state("a.txt") == "succeeded");
    browser.until("the story goes on", || {
        browser.text("#story .lead").contains("succeeded")
    });
    assert_eq!(
        browser.run(KEPT),
        format!(
            "{TOKEN} 0  {origin}{}",
            row(&stage, "a.txt").split('\'').nth(1).unwrap()
        )
    );
    let urls = browser.requests();
    assert!(urls.iter().all(|url| !url.contains("tok-")), "{urls:?}");
    browser.click("#story-close");

    // All of a filter: it says how many, and waits for the word.
    browser.click("[data-key='state rejected'] [data-act=show]");
    browser.until("those are listed", || browser.count("#list li") == 2);
    browser.click("#retry-all");
    browser.until("it asks", || browser.shows("#sure"));
    assert_eq!(browser.text("#sure-head"), "Send 2 files again?");
    browser.click("#sure-no");
    browser.until("nothing happens", || !browser.shows("#sure"));
    assert_eq!(stage.state("b.txt"), "rejected");
    browser.click("#retry-all");
    browser.until("it asks again", || browser.shows("#sure"));
    browser.click("#sure-yes");
    daemon.until("both are through", || {
        stage.states().get("succeeded") == Some(&3)
    });
    assert_eq!(stage.state("d.doc"), "unsupported", "not of the filter");
    browser.until("none is left", || {
        browser.text("#list-none").contains("No file fits")
    });

    browser.click("#forget");
    assert!(!browser.run(KEPT).as_str().unwrap().contains(TOKEN));
    assert!(!daemon.log().contains(TOKEN));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_shown_and_opened() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let fault = "[[fault]]\nroute = \"import\"\nstatus = 403\nmessage = \"not today\"\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(fault).unwrap())
        .unwrap();
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    daemon.until("the gate is closed", || {
        stage.said(&["status"]).contains("PAUSED")
    });
    mended(&stage);
    at_page(&browser, &daemon, "");
    let gate = "[data-key='gate dataset:main']";
    browser.until("it is told", || browser.shows(gate));
    let told = browser.text(gate);
    for words in [
        "Paused: dataset:main",
        "HTTP-403",
        "not today",
        "Since",
        "until in 1",
        "A probe goes out in",
        "check in the console",
    ] {
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
    browser.click(&format!("{gate} [data-act=resume]"));
    give(&browser, TOKEN);
    browser.until("it is opened, and told", || {
        browser.text("#said").contains("Opened: dataset:main") && !browser.shows(gate)
    });
    daemon.until("the file is through", || {
        stage.state("a.txt") == "succeeded"
    });
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_may_act_there_is_nothing_to_press() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await.set(|s| {
        s.tail = "[http]\nlisten = \"127.0.0.1:0\"\n".into();
    });
    let daemon = stage.start();
    stage.drop_file("d.doc", "\u{1}");
    daemon.until("it has ended", || stage.state("d.doc") == "unsupported");
    at_page(&browser, &daemon, "");
    browser.until("it is listed", || browser.count("#list li") == 1);
    browser.click(&row(&stage, "d.doc"));
    browser.until("its story opens", || browser.shows("#story .events li"));
    assert_eq!(browser.count("#story [data-act=retry]"), 0);
    assert!(!browser.shows("#retry-all"));
    assert!(browser.text("#about").contains("set token_file"));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_looking_takes_a_token_it_is_asked_for_once() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let (read, word) = (stage.path("read"), "look-2b1f7cd09a6f4d83");
    std::fs::write(&read, word).unwrap();
    let text = std::fs::read_to_string(stage.config()).unwrap();
    let keys = format!("[http]\nread_token_file = {:?}\n", read.to_str().unwrap());
    std::fs::write(stage.config(), text.replace("[http]\n", &keys)).unwrap();
    let daemon = stage.start();
    browser.open(&format!("http://{}/", address(&daemon)));
    give(&browser, "look-wrong-0123456789");
    browser.until("it is told to be wrong", || browser.shows("#ask-wrong"));
    give(&browser, word);
    browser.until("the page is live", || browser.text("#pulse-text") == "live");
    assert!(!browser.shows("#ask"));
    assert_eq!(daemon.terminate().code(), Some(0));
}
