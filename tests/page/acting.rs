//! Retry and resume from the page: with the token, and only so.

use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::browser::Browser;
use crate::support::Stage;
use crate::support::http::address;
use crate::{TOKEN, at_page, listening, row, with_token};

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
    let file = stage.path("token");
    let told = browser.text("#ask");
    assert!(told.contains(file.to_str().unwrap()), "{told}");
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
    browser.until("the token is asked for", || browser.shows("#ask"));
    let told = browser.text("#ask");
    assert!(told.contains(read.to_str().unwrap()), "{told}");
    give(&browser, "look-wrong-0123456789");
    browser.until("it is told to be wrong", || browser.shows("#ask-wrong"));
    give(&browser, word);
    browser.until("the page is live", || browser.text("#pulse-text") == "live");
    assert!(!browser.shows("#ask"));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_paused_and_resumed() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await.set(|s| {
        s.folder("scans", "main", "");
    });
    let daemon = stage.start();
    at_page(&browser, &daemon, "");

    // One folder, from its card, with a reason and an end.
    browser.click("#folders [data-key=scans] [data-act=pause]");
    browser.until("it is asked what to pause", || browser.shows("#pause"));
    assert_eq!(
        browser.run("return document.querySelector('#pause-scope').value"),
        "folder:scans"
    );
    browser.choose("#pause-for", "3600");
    browser.keys("#pause-why", "new <b>scanner</b>");
    browser.click("#pause-form .main");
    give(&browser, TOKEN);
    let card = "[data-key='pause folder:scans']";
    browser.until("it is told", || browser.shows(card));
    let told = browser.text(card);
    for words in [
        "Held back by hand: folder:scans",
        "over HTTP: new <b>scanner</b>",
        "until in 59 min",
        "supametas-sync resume folder:scans",
    ] {
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
    stage.publish(&stage.path("scans/page-0001.txt"), "scanned");
    stage.drop_file("a.txt", "words");
    daemon.until("the other folder goes on", || {
        stage.state("a.txt") == "succeeded"
    });
    assert_eq!(stage.state("page-0001.txt"), "queued");

    // All of it, until it is resumed; and both go on by the page.
    browser.click("#pause-all");
    browser.until("it is asked again", || browser.shows("#pause"));
    let scopes =
        "return [...document.querySelector('#pause-scope').options].map((o) => o.value).join(' ')";
    let scopes = browser.run(scopes).as_str().unwrap().to_owned();
    assert!(
        scopes.starts_with("all dataset:main folder:inbox folder:scans route:inbox/text "),
        "{scopes}"
    );
    browser.click("#pause-cancel");
    assert!(
        !stage.said(&["status"]).contains("all,"),
        "nothing was done"
    );
    browser.click("#pause-all");
    browser.click("#pause-form .main");
    let all = "[data-key='pause all']";
    browser.until("all is held", || browser.shows(all));
    browser.click(&format!("{card} [data-act=resume]"));
    browser.until("the folder goes on", || !browser.shows(card));
    assert_eq!(stage.state("page-0001.txt"), "queued", "all is held still");
    browser.click(&format!("{all} [data-act=resume]"));
    browser.until("it is told that it goes on", || {
        browser.text("#said").contains("Goes on: all") && !browser.shows(all)
    });
    daemon.until("it is sent", || stage.state("page-0001.txt") == "succeeded");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_cancelled_one_by_one_and_by_the_filter() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let sandbox = SandboxConfig {
        pending_for: std::time::Duration::from_secs(600),
        ..SandboxConfig::default()
    };
    let stage = with_token(Stage::with(sandbox).await, 0);
    let daemon = stage.start();
    for n in 0..24 {
        stage.drop_file(format!("{n:02}.txt"), format!("words of {n}"));
    }
    daemon.until("all are at the service", || {
        stage.states().get("submitted") == Some(&24)
    });
    at_page(&browser, &daemon, "");
    browser.until("they are listed", || browser.count("#list li") == 24);
    browser.click(&row(&stage, "00.txt"));
    browser.until("its story opens", || {
        browser.shows("#story [data-act=cancel]")
    });
    browser.click("#story [data-act=cancel]");
    browser.until("it asks", || browser.shows("#sure"));
    assert_eq!(browser.text("#sure-head"), "Cancel 1 file?");
    browser.click("#sure-yes");
    give(&browser, TOKEN);
    browser.until("the story says so", || {
        browser.text("#story .lead").contains("cancelled")
    });
    assert_eq!(stage.state("00.txt"), "cancelled");
    browser.click("#story-close");

    // More than one request is for.
    browser.keys("#by-name", ".TXT");
    browser.until("the filter is in force", || {
        browser.text("#listed") == "24 files"
    });
    browser.click("#cancel-all");
    browser.until("it asks", || browser.shows("#sure"));
    assert_eq!(browser.text("#sure-head"), "Cancel 23 files?");
    browser.click("#sure-yes");
    browser.until("it is done, and told", || {
        browser.text("#said").contains("23 files cancelled")
    });
    assert_eq!(stage.states().get("cancelled"), Some(&24));
    let deleted = stage.sandbox.tasks().iter().filter(|t| t.deleted).count();
    assert_eq!(deleted, 24);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_retried_from_its_card() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let faults = "[[fault]]\nfile = \"*.txt\"\nstatus = 413\n";
    let faults = Fault::from_toml(faults).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
    let daemon = stage.start();
    for name in ["a.txt", "b.txt"] {
        stage.drop_file(name, format!("words of {name}"));
    }
    daemon.until("both have ended", || {
        stage.states().get("rejected") == Some(&2)
    });
    mended(&stage);
    at_page(&browser, &daemon, "");
    let group = "[data-key='state rejected']";
    browser.until("they are told", || browser.shows(group));
    browser.click(&format!("{group} [data-act=retry]"));
    give(&browser, TOKEN);
    browser.until("it asks", || browser.shows("#sure"));
    assert_eq!(browser.text("#sure-head"), "Send 2 files again?");
    browser.click("#sure-yes");
    daemon.until("both are through", || {
        stage.states().get("succeeded") == Some(&2)
    });
    browser.until("nothing needs anybody", || !browser.shows("#needs"));
    // The charts have both: what was refused, and what was taken.
    browser.run("document.querySelector('#charts-which [value=day]').click()");
    browser.until("they are drawn", || {
        let told = browser.run(
            "return [...document.querySelectorAll('#charts-list svg')].map((c) => c.ariaLabel).join('; ')",
        );
        let told = told.as_str().unwrap().to_owned();
        told.starts_with("Files taken in the last 1 d: ") && told.contains("; Failed attempts in the last 1 d: ")
    });
    assert_eq!(browser.count("#charts-list .chart .bars"), 3);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_acknowledged_and_what_is_in_doubt_is_settled() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await.set(|s| {
        s.inbox("unconfirmed = \"hold\"");
    });
    let faults = "[[fault]]\nfile = \"*.txt\"\nstatus = 413\n\n[[fault]]\nfile = \"doubt.md\"\nstatus = 504\n";
    let faults = Fault::from_toml(faults).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
    let daemon = stage.start();
    for name in ["a.txt", "b.txt", "c.txt", "doubt.md"] {
        stage.drop_file(name, format!("# words of {name}\n"));
    }
    daemon.until("all have ended", || {
        stage.states().get("rejected") == Some(&3) && stage.state("doubt.md") == "unconfirmed"
    });
    at_page(&browser, &daemon, "");
    let tile = "#tiles li:first-child";
    browser.until("all need somebody", || browser.text(tile).contains("4"));

    // One, with a reason.
    browser.until("they are listed", || browser.count("#list li") == 4);
    browser.click(&row(&stage, "a.txt"));
    let button = "#story [data-act=acknowledge]";
    browser.until("its story opens", || browser.shows(button));
    browser.click(button);
    browser.until("it asks why", || browser.shows("#sure-why"));
    browser.keys("#sure-why", "a copy is <i>there</i>");
    browser.click("#sure-yes");
    give(&browser, TOKEN);
    browser.until("the story says so", || {
        let told = browser.text("#story");
        told.contains("by over HTTP: a copy is <i>there</i>") && !browser.shows(button)
    });
    browser.click("#story-close");
    browser.until("one less needs somebody", || {
        let told = browser.text(tile);
        told.contains("3\n") && told.contains("1 acknowledged")
    });

    // What is in doubt has arrived, and its task is known.
    browser.click(&row(&stage, "doubt.md"));
    let arrived = "#story [data-act=arrived]";
    browser.until("its story opens", || browser.shows(arrived));
    browser.click(arrived);
    browser.until("it asks for the task", || browser.shows("#sure-task"));
    browser.click("#sure-yes");
    browser.until("it is settled", || {
        browser.text("#story .lead").contains("untracked") && !browser.shows(arrived)
    });
    assert_eq!(stage.state("doubt.md"), "untracked");
    browser.click("#story-close");

    // The rest as a group, from its card.
    let group = "[data-key='state rejected']";
    browser.until("two are left", || {
        browser.text(group).contains("2 files rejected")
    });
    browser.click(&format!("{group} [data-act=show]"));
    browser.until("those are listed", || browser.text("#listed") == "2 files");
    browser.click(&format!("{group} [data-act=acknowledge]"));
    browser.until("it asks", || browser.shows("#sure"));
    assert_eq!(browser.text("#sure-head"), "Acknowledge 2 files?");
    browser.click("#sure-yes");
    browser.until("nothing needs anybody", || {
        !browser.shows("#needs") && browser.text("#list-none").contains("No file fits")
    });
    browser.run("document.querySelector('#clear').click()");
    browser.choose("#by-need", "acknowledged");
    browser.until("those that were are found", || {
        browser.count("#list li") >= 3
    });
    assert_eq!(
        stage.states().get("rejected"),
        Some(&3),
        "their state stays"
    );
    assert_eq!(daemon.terminate().code(), Some(0));
}
