//! What the page shows: files, their stories, and that the daemon is gone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::json;
use supametas_sync::sandbox::Fault;

use crate::browser::Browser;
use crate::support::http::{address, by_tcp};
use crate::{assert_quiet, at_page, listening, row};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_answers_are_text() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let script =
        "<script>document.title='taken'</script><img src=x onerror=document.title='taken'>\u{202e}";
    let fault = format!("[[fault]]\nfile = \"*quote*\"\nstatus = 422\nmessage = {script:?}\n");
    let fault = fault.replace("\\u{202e}", "\\u202e");
    stage
        .sandbox
        .set_faults(Fault::from_toml(&fault).unwrap())
        .unwrap();
    let daemon = stage.start();
    let names: [&[u8]; 4] = [
        b"<img src=x onerror=document.title='taken'>.txt",
        b"\"'><svg onload=document.title='taken'>quote.txt",
        b"\xe2\x80\xaefdp.\x1b[31m\n\xff.doc",
        b"&lt;b&gt; {{7*7}} ${1} `x` javascript:0.txt",
    ];
    for name in names {
        stage.drop_file(
            Path::new(OsStr::from_bytes(name)),
            [b"words of ", name].concat(),
        );
    }
    daemon.until("all have ended", || {
        let states = stage.states();
        states.get("succeeded") == Some(&2)
            && states.get("rejected") == Some(&1)
            && states.len() == 3
    });
    let origin = at_page(&browser, &daemon, "");
    browser.until("they are listed", || browser.count("#list li") == 4);
    let listed =
        browser.run("return [...document.querySelectorAll('#list .path')].map(n => n.textContent)");
    let listed = listed.as_array().unwrap();
    for name in [
        "inbox/<img src=x onerror=document.title='taken'>.txt",
        "inbox/\"'><svg onload=document.title='taken'>quote.txt",
        "inbox/\\u{202e}fdp.\\x1b[31m\\n\\xff.doc",
        "inbox/&lt;b&gt; {{7*7}} ${1} `x` javascript:0.txt",
    ] {
        assert!(listed.contains(&json!(name)), "{name} in {listed:?}");
    }
    let id = stage
        .list()
        .iter()
        .find(|f| f["state"] == "rejected")
        .unwrap()["id"]
        .clone();
    browser.click(&format!("#list a[href='#file-{id}']"));
    browser.until("its story opens", || {
        browser.shows("#story .events .attempt")
    });
    let told = browser.text("#story");
    assert!(
        told.contains("<script>document.title='taken'</script>"),
        "{told}"
    );
    assert!(
        told.contains("\\u{202e}") && !told.contains('\u{202e}'),
        "{told}"
    );
    // The page's own picture, script and charts, and no more.
    let foreign = "img, svg:not(#charts-list > .chart > svg), script, iframe, object";
    assert_eq!(browser.count(foreign), 2);
    assert!(!browser.text("title").contains("taken"));
    let policy = by_tcp(&address(&daemon), "GET", "/", "", "");
    let policy = policy.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_quiet(&browser, &origin);
    // The policy is in force: what some text did put in would not run.
    browser.run("const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); document.body.setAttribute('style', 'color: red');");
    assert_eq!(browser.run("return window.ran ?? 0"), 0);
    assert!(
        browser
            .console()
            .to_string()
            .contains("Content Security Policy")
    );
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_tells_its_story_on_a_click_and_by_its_address() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let faults = "[[fault]]\nfile = \"bad.txt\"\nstatus = 413\nmessage = \"too much of it\"\n\n\
        [[fault]]\nfile = \"slow.txt\"\ntimes = 1\nstatus = 409\nmessage = \"come back\"\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(faults).unwrap())
        .unwrap();
    let daemon = stage.start();
    for name in ["bad.txt", "slow.txt", "good.txt"] {
        stage.drop_file(name, format!("words of {name}"));
    }
    daemon.until("all have ended", || {
        stage.states().get("succeeded") == Some(&2) && stage.state("bad.txt") == "rejected"
    });
    let origin = at_page(&browser, &daemon, "");
    browser.until("they are listed", || browser.count("#list li") == 3);
    assert!(
        browser.text("#needs").contains("1 file rejected"),
        "{}",
        browser.text("#needs")
    );

    let slow = row(&stage, "slow.txt");
    browser.click(&slow);
    browser.until("its story opens", || {
        browser.shows("#story .events .attempt")
    });
    let told = browser.text("#story");
    for words in [
        "slow.txt",
        "HTTP 409",
        "come back",
        "Verdict: retry",
        "Verdict: done",
        "uploading → queued",
        "submitted → succeeded",
        "/file-task",
    ] {
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
    browser.press('\u{e00c}');
    browser.until("Escape closes it", || !browser.shows("#story"));
    browser.until("the address is the plain one", || {
        browser.run("return location.hash") == ""
    });
    let focused = "return document.activeElement.getAttribute('href')";
    assert!(
        slow.contains(browser.run(focused).as_str().unwrap()),
        "the focus is back"
    );

    // By the keyboard alone: up to the first file, and in.
    browser.run("document.querySelector('#by-code').focus()");
    browser.press('\u{e004}');
    browser.until("the focus comes to a file", || {
        browser.press('\u{e004}');
        let at = browser.run(focused);
        at.as_str()
            .is_some_and(|at| row(&stage, "bad.txt").contains(at))
    });
    browser.press('\u{e007}');
    browser.until("Enter opens it", || {
        browser.text("#story-head") == "bad.txt"
    });
    let told = browser.text("#story");
    assert!(
        told.contains("too large for the service") && told.contains("split the file"),
        "{told}"
    );
    browser.click("#story-close");

    let good = &stage.file("good.txt").unwrap()["id"];
    browser.open("about:blank");
    at_page(&browser, &daemon, &format!("#file-{good}"));
    browser.until("its address opens it", || {
        browser.text("#story-head") == "good.txt"
    });
    browser.run("location.hash = '#file-99999'");
    browser.until("an unknown one is told", || {
        browser.text("#story-body").contains("no such file")
    });
    let complaints = browser.console();
    assert!(
        complaints
            .as_array()
            .unwrap()
            .iter()
            .all(|c| c["message"].as_str().unwrap().contains("404")),
        "{complaints:#}"
    );
    browser.click("#story-close");

    for (field, words, wanted) in [
        ("#by-name", "GOO", "good.txt"),
        ("#by-name", "*d.txt", ""),
        ("#by-code", "413", "bad.txt"),
    ] {
        browser.run("document.querySelector('#clear').click()");
        browser.until("all again", || browser.count("#list li") == 3);
        browser.keys(field, words);
        let left = if wanted.is_empty() { 2 } else { 1 };
        browser.until("the filter holds", || browser.count("#list li") == left);
        assert!(browser.text("#list").contains(wanted), "{words}");
    }
    browser.run("document.querySelector('#clear').click()");
    browser.click("#tiles li:nth-child(5) button");
    browser.until("a tile shows its files", || {
        browser.count("#list li") == 2 && !browser.text("#list").contains("bad.txt")
    });
    browser.keys("#by-name", "nothing-like-it");
    browser.until("none fits", || {
        browser.text("#list-none").contains("No file fits")
    });
    assert_quiet(&browser, &origin);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_the_daemon_is_gone_and_recovers() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let daemon = stage.start();
    stage.drop_file("one.txt", "words");
    at_page(&browser, &daemon, "");
    browser.until("it is listed, and through", || {
        browser.text("#list li").contains("succeeded")
    });
    let at = address(&daemon);
    daemon.kill9();
    browser.until("it is told", || browser.shows("#gone"));
    let told = browser.text("#gone");
    assert!(
        told.contains("does not answer, since") && told.contains("What stands below is from"),
        "{told}"
    );
    assert_eq!(browser.text("#pulse-text"), "no answer");
    assert!(
        browser.text("#list li").contains("one.txt"),
        "what was known stays"
    );

    let port: u16 = at.rsplit(':').next().unwrap().parse().unwrap();
    let mut stage = stage;
    stage.settings.tail = stage.settings.tail.replace(":0\"", &format!(":{port}\""));
    stage.write();
    stage.drop_file("two.txt", "words");
    let daemon = stage.start();
    browser.until("it is live again", || {
        !browser.shows("#gone")
            && browser.text("#pulse-text") == "live"
            && browser.text("#list").contains("two.txt")
    });
    assert_eq!(daemon.terminate().code(), Some(0));
}
