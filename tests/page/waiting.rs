//! Folders that have to be waited for: a file in one is being written, the file
//! system of another does not answer. The daemon is one user, who drops files
//! another.

use std::fs::File;
use std::io::Write;

use crate::browser::Browser;
use crate::mount::SilentMount;
use crate::support::two_users::{self, Shared};
use crate::support::users::DROPPER;
use crate::{at_page, reading};

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_since_when_a_file_is_written_and_a_folder_does_not_answer() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let staged = two_users::stage(Shared::Setgid, |s| {
        s.daemon = "poll_every = \"1s\"\nshutdown_grace = \"5s\"\n".into();
        s.folder("nas", "main", "");
        s.tail("[http]\nlisten = \"127.0.0.1:0\"\n");
    });
    let Some(stage) = staged.await else {
        return;
    };
    let Some(mount) = SilentMount::at(&stage.path("nas")) else {
        return;
    };
    let daemon = stage.start();
    at_page(&browser, &daemon, "");
    let inbox = "#folders [data-key=inbox]";
    // What a file was open for before the folder is watched, no event tells.
    browser.until("the folder is watched", || {
        let told = browser.text(inbox);
        let scan = told.split("Last scan\n").nth(1).unwrap_or_default();
        scan.lines()
            .next()
            .is_some_and(|scan| scan.contains(" in "))
    });
    let path = stage.inbox("長い scan.txt");
    let mut writer = DROPPER.does(|| File::create(path).unwrap());
    writer.write_all(b"the first half").unwrap();
    writer.flush().unwrap();
    browser.until("it is told what is being written", || {
        let told = browser.text(inbox);
        told.contains("Being written\n") && told.contains("長い scan.txt since ")
    });
    mount.silent(true);
    let offline = "[data-key='offline nas']";
    browser.until("it is told that the folder does not answer", || {
        browser.shows(offline)
    });
    let told = browser.text(offline);
    for words in [
        "Folder nas does not answer",
        "Since ",
        "Look at its mount and server",
    ] {
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
    let nas = browser.text("#folders [data-key=nas]");
    assert!(
        nas.contains("not answering") && nas.contains("Offline since\n"),
        "{nas}"
    );
    assert_eq!(reading::complaints(&browser), serde_json::json!([]));

    mount.silent(false);
    drop(writer);
    browser.until("neither is told any more", || {
        !browser.shows(offline) && !browser.text(inbox).contains("Being written")
    });
    daemon.until("the file is through", || {
        stage.state("長い scan.txt") == "succeeded"
    });
    assert!(daemon.terminate().success());
    // Before the stage, whose directory it lies in, is taken away.
    drop(mount);
}
