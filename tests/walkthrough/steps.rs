//! The steps of the walk: what is done, and the words between the commands.
//!
//! Must not: repeat what the program prints; the page has that.

use std::fs;
use std::path::Path;

use crate::machine::Who::{Admin, Anna, Service};
use crate::support::words;
use crate::walk::Walk;

/// What the page begins with.
pub const INTRODUCTION: &str = "\
# A walk from the installation to an upgrade

What you type and what you read: from the first start to an upgrade, with a wrong
key, a wrong option, an outage and more on the way. The test `tests/walkthrough.rs`
types every command on this page and compares every answer, with the real program
and the emulated service (`supametas-sync sandbox`). It also writes this page: change
the words in `tests/walkthrough/steps.rs`, then run `WALKTHROUGH_WRITE=1 cargo test
--test walkthrough`.

- Three people type. The administrator installs and changes files in `/etc`. Anna
  drops files. All commands of the program are run as the user `supametas-sync`.
- The test has no systemd. Where the page says `systemctl start` and `stop`, the test
  starts the daemon as that user, and sends it the SIGTERM that systemd would send.
- The service is at `http://127.0.0.1:8399`, and three waits in the configuration are
  short, so that the walk takes less than a minute.

| step | what happens | what you do |
|---|---|---|
| [1](#1-install) | the program is installed; `check` says what is missing | you give it a key and a folder |
| [2](#2-the-first-file) | Anna drops a file | nothing |
| [3](#3-a-wrong-key) | the service refuses the key; files wait | you put the right key, and reload |
| [4](#4-a-wrong-option) | the service refuses an option; its files wait | you take it out, and reload |
| [5](#5-an-outage) | the service can't be reached; files wait | nothing |
| [6](#6-an-unreadable-file) | the daemon may not read a file | Anna gives the right to read it |
| [7](#7-a-lost-answer) | nobody knows whether the service has a file | you look, and say so |
| [8](#8-a-full-disk) | the ledger can't be written; nothing is sent | you make room |
| [9](#9-an-upgrade) | the program is replaced while files wait | you stop it, replace it and start it |";

fn sample(name: &str) -> Vec<u8> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    fs::read(samples.join(name)).unwrap()
}

/// From a checkout to a running daemon.
pub fn install(walk: &mut Walk) {
    walk.step("1. Install");
    walk.say(
        "The administrator has built the program (`cargo build --release`) and installs it by \
         hand, with the example configuration. A package does the same, and brings the unit.",
    );
    for command in [
        "install -m 755 target/release/supametas-sync /usr/local/bin/",
        "install -d -m 755 /etc/supametas-sync",
        "install -d -m 700 -o supametas-sync /etc/supametas-sync/keys",
        "install -m 644 config.example.toml /etc/supametas-sync/config.toml",
    ] {
        walk.types(Admin, command);
    }
    walk.types(Service, "supametas-sync --version");
    walk.say("`check` says everything that is missing at once, and sends nothing.");
    walk.types(Service, "supametas-sync check");
    walk.say(
        "The administrator writes the key into its file, makes the drop folder, and changes \
         four lines of `/etc/supametas-sync/config.toml`.",
    );
    walk.types(
        Admin,
        "echo sk-main-7f3a90 | install -m 600 -o supametas-sync /dev/stdin /etc/supametas-sync/keys/main",
    );
    walk.types(Admin, "install -d -m 2775 -g droppers /srv/drop");
    walk.edits(&[
        (
            "#base_url = \"https://api.supametas.ai/openapi/open/v1\"",
            "base_url = \"http://127.0.0.1:8399/openapi/open/v1\"",
        ),
        ("#first = \"2s\"", "first = \"300ms\""),
        ("#max = \"5m\"", "max = \"1s\""),
        ("#quiet_unsure = \"10s\"", "quiet_unsure = \"1s\""),
    ]);
    walk.say("`check --online` also asks the service, which proves the address and the key.");
    walk.types(Service, "supametas-sync check --online");
    walk.starts();
    walk.reads("supametas-sync status", &["watched", "s ago"]);
}

/// All goes well.
pub fn first_file(walk: &mut Walk) {
    walk.step("2. The first file");
    walk.say("Anna copies a file into the drop folder. The daemon does the rest.");
    walk.anna_has("report.pdf", sample("plain.pdf"));
    walk.types(Anna, "cp report.pdf /srv/drop/");
    walk.reads("supametas-sync list", &["succeeded"]);
    walk.say("`show` has every attempt, answer and change of one file.");
    walk.types(Service, "supametas-sync show report.pdf");
}

/// 401: the dataset waits, no file is blamed.
pub fn wrong_key(walk: &mut Walk) {
    walk.step("3. A wrong key");
    walk.say(
        "The administrator replaces the key, and makes a mistake: the last character is a \
         letter. The service refuses the next file with 401.",
    );
    walk.types(Admin, "echo sk-main-7f3a9O > /etc/supametas-sync/keys/main");
    walk.types(Service, "supametas-sync reload");
    walk.anna_has("minutes.md", sample("notes.md"));
    walk.types(Anna, "cp minutes.md /srv/drop/");
    walk.say(
        "The daemon holds back everything that goes out with this key. The file is not blamed: \
         it keeps its place in the queue. The log has two lines, one for the file and one for \
         all others.",
    );
    walk.logs("code=HTTP-401");
    walk.logs("paused: ");
    walk.reads("supametas-sync status", &["401", "1 due", "PAUSED"]);
    walk.reads("supametas-sync explain minutes.md", &["settled  ok"]);
    walk.types(Service, "supametas-sync explain-code 401");
    walk.say(
        "Which key is it? `check --online` asks with the key that is in the file now, before \
         and after the administrator has mended it.",
    );
    walk.types(Service, "supametas-sync check --online");
    walk.types(Admin, "echo sk-main-7f3a90 > /etc/supametas-sync/keys/main");
    walk.types(Service, "supametas-sync check --online");
    walk.types(Service, "supametas-sync reload");
    walk.say("The reload opened the gate, and the file went out.");
    walk.reads("supametas-sync list --name minutes.md", &["succeeded"]);
    assert_eq!(walk.arrived("minutes.md"), 1);
}

/// OPS40001: the route waits, no file is blamed.
pub fn wrong_option(walk: &mut Walk) {
    walk.step("4. A wrong option");
    walk.say(
        "The administrator wants pictures as PDF and writes an option of the service by hand. \
         `check` can't know the service's values, and says so.",
    );
    walk.edits(&[(
        "[folder.image.extra]",
        "[folder.image.extra]\ngetDemandFormat = \"pdf\"",
    )]);
    walk.types(Service, "supametas-sync check");
    walk.types(Service, "supametas-sync reload");
    walk.say(
        "The service refuses the option. Every picture of this folder would fail alike, so the \
         daemon holds back the folder's pictures, and nothing else.",
    );
    walk.anna_has("photo.png", sample("gradient.png"));
    walk.types(Anna, "cp photo.png /srv/drop/");
    walk.reads("supametas-sync status", &["OPS40001", "1 due", "PAUSED"]);
    walk.reads("supametas-sync explain photo.png", &["settled  ok"]);
    walk.types(Service, "supametas-sync explain-code OPS40001");
    walk.say("The administrator takes the option out again.");
    walk.edits(&[(
        "[folder.image.extra]\ngetDemandFormat = \"pdf\"",
        "[folder.image.extra]",
    )]);
    walk.types(Service, "supametas-sync reload");
    walk.reads("supametas-sync list --name photo.png", &["succeeded"]);
    assert_eq!(walk.arrived("photo.png"), 1);
}

/// No connection: everything waits, and goes on by itself.
pub fn outage(walk: &mut Walk) {
    walk.step("5. An outage");
    walk.say("The service is down: nothing listens at its address.");
    walk.machine.stop_service();
    walk.anna_has("offer.docx", sample("python-docx.docx"));
    walk.types(Anna, "cp offer.docx /srv/drop/");
    // Between two probes: while one is out there is no pause to be seen.
    let closed = "waits: the gate service is closed since";
    walk.reads(
        "supametas-sync status",
        &["1 due", "PAUSED     service", closed, "a probe goes out in"],
    );
    walk.logs("gate=service");
    walk.reads(
        "supametas-sync explain offer.docx",
        &["settled  ok", closed, "one file goes out to see"],
    );
    walk.types(Service, "supametas-sync check --online");
    walk.say(
        "The service is there again. A probe finds it, the gate opens, and the file goes out. \
         Nobody had to do anything.",
    );
    walk.machine.start_service();
    walk.reads("supametas-sync list --name offer.docx", &["succeeded"]);
    assert_eq!(walk.arrived("offer.docx"), 1);
}

/// 0600 of another user.
pub fn unreadable_file(walk: &mut Walk) {
    walk.step("6. An unreadable file");
    walk.say("Anna drops a file that nobody but she may read.");
    walk.anna_has("payroll.txt", words(6, 500));
    walk.types(Anna, "install -m 600 payroll.txt /srv/drop/");
    walk.logs("payroll.txt");
    walk.reads(
        "supametas-sync list --name payroll.txt",
        &["UNREADABLE", "tried again in"],
    );
    walk.types(Service, "supametas-sync explain payroll.txt");
    walk.say(
        "The daemon looks again, first after seconds, later every minute. Anna gives its group \
         the right to read the file.",
    );
    walk.types(Anna, "chmod g+r /srv/drop/payroll.txt");
    walk.reads("supametas-sync list --name payroll.txt", &["succeeded"]);
    assert_eq!(walk.arrived("payroll.txt"), 1);
}

/// The service took it, and the answer did not come.
pub fn lost_answer(walk: &mut Walk) {
    walk.step("7. A lost answer");
    walk.say(
        "In this folder nothing may be imported twice, so the administrator has files held \
         whose answer is lost. (The default is to send them again.)",
    );
    walk.edits(&[("#unconfirmed = \"resend\"", "unconfirmed = \"hold\"")]);
    walk.types(Service, "supametas-sync reload");
    walk.say(
        "The service takes the next file, and the connection breaks before its answer: nobody \
         on this side can know whether it has the file.",
    );
    walk.faults(r#"[{"route": "import", "file": "contract.txt", "cut": "after-body"}]"#);
    walk.anna_has("contract.txt", words(7, 2_000));
    walk.types(Anna, "cp contract.txt /srv/drop/");
    walk.logs("code=NO-ANSWER");
    walk.reads("supametas-sync status", &["1 unconfirmed"]);
    walk.types(Service, "supametas-sync list --attention");
    walk.reads("supametas-sync explain contract.txt", &["settled  ok"]);
    walk.say(
        "The administrator looks into the service's console, finds the import there with its \
         task, and says so. The daemon follows that task; nothing is sent again.",
    );
    let tasks = walk.tasks();
    let mut tasks = tasks.as_array().into_iter().flatten();
    let task = tasks.find(|task| task["name"] == "contract.txt").unwrap();
    let task = task["task_id"].as_str().unwrap();
    walk.types(
        Service,
        &format!(
            "supametas-sync acknowledge contract.txt --arrived --task {task} --why 'seen in the console'"
        ),
    );
    walk.reads("supametas-sync list --name contract.txt", &["succeeded"]);
    walk.types(Service, "supametas-sync show contract.txt");
    walk.types(Service, "supametas-sync list --attention");
    assert_eq!(walk.arrived("contract.txt"), 1);
    walk.faults("[]");
}

/// Nothing can be recorded, so nothing is sent.
pub fn disk_full(walk: &mut Walk) {
    walk.step("8. A full disk");
    walk.say(
        "Another program fills the disk that the ledger is on, to its last byte. Without a \
         record nothing may be sent: it could be sent twice, or forgotten.",
    );
    walk.machine
        .fill("/var/lib/supametas-sync/somebody-elses-file");
    walk.anna_has("plan.txt", words(8, 3_000));
    walk.types(Anna, "cp plan.txt /srv/drop/");
    walk.logs("is full");
    walk.reads("supametas-sync status", &["STOPPED", "1 settling"]);
    walk.reads(
        "supametas-sync explain /srv/drop/plan.txt",
        &["settled  ok"],
    );
    assert_eq!(walk.arrived("plan.txt"), 0);
    walk.say("The administrator makes room. The daemon goes on by itself, and lost nothing.");
    walk.types(Admin, "rm /var/lib/supametas-sync/somebody-elses-file");
    walk.logs("records again");
    walk.reads("supametas-sync list --name plan.txt", &["succeeded"]);
    assert_eq!(walk.arrived("plan.txt"), 1);
}

/// The program is replaced while files wait.
pub fn upgrade(walk: &mut Walk) {
    walk.step("9. An upgrade");
    walk.say(
        "The administrator holds back new uploads and makes a backup. One file waits; another \
         comes while the daemon is stopped. (A package stops and starts the service itself.)",
    );
    walk.types(
        Service,
        "supametas-sync pause all --why 'upgrade of the program'",
    );
    walk.anna_has("one.txt", words(9, 900));
    walk.anna_has("two.txt", words(10, 900));
    walk.types(Anna, "cp one.txt /srv/drop/");
    walk.awaits("supametas-sync list --state queued", "one.txt");
    walk.reads("supametas-sync explain one.txt", &["settled  ok"]);
    walk.types(
        Service,
        "supametas-sync backup /var/lib/supametas-sync/before-upgrade.sqlite",
    );
    walk.stops();
    walk.types(Anna, "cp two.txt /srv/drop/");
    walk.types(Service, "supametas-sync status");
    walk.types(
        Admin,
        "install -m 755 target/release/supametas-sync /usr/local/bin/",
    );
    walk.starts();
    walk.say("The new program goes on where the old one stopped, and has found the new file.");
    walk.reads("supametas-sync status", &["2 queued"]);
    walk.types(Service, "supametas-sync resume all");
    walk.reads("supametas-sync status", &["9 succeeded"]);
    assert_eq!((walk.arrived("one.txt"), walk.arrived("two.txt")), (1, 1));
    walk.stops();
}
