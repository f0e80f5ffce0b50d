//! Facts and what is made of them, as a table.
#![allow(clippy::unwrap_used)]

use crate::domain::refusal::ReasonKind;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::facts::*;
use super::{Answer, Explanation, Starting, decide};
use crate::domain::answer::Code;
use crate::domain::error_table::{Holds, Lifts};
use crate::domain::gate::{Closed, Gate, GateKey, Status};
use crate::domain::ids::{AttemptId, DatasetName, FileId, FolderName, TaskId};
use crate::domain::media::Media;
use crate::domain::naming::TemporaryKind;
use crate::domain::settle::{Openness, WaitReason};
use crate::domain::state::{Polls, State, StateKind, Tries};
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::domain::waiting::Ahead;
use crate::watch::{NotTaken, Offline};

const NOW: Timestamp = Timestamp(1_000_000);

fn version(size: u64) -> FileVersion {
    FileVersion {
        path: b"a.txt".to_vec(),
        dev: 1,
        inode: 2,
        size,
        mtime_ns: 3,
        born_ns: None,
    }
}

/// A file that nothing stands against.
fn good() -> FileFacts {
    FileFacts {
        folder: InFolder {
            name: FolderName("inbox".into()),
            path: "/srv/drop".into(),
            dataset: DatasetName("main".into()),
            rel: b"a.txt".to_vec(),
            reachable: Ok(()),
            by_name: Ok(()),
        },
        there: Ok(There {
            version: version(5),
            opened: Ok(Opened {
                open: Openness::No,
                writers: Writers::default(),
                settling: None,
                sorted: Ok(Sorted {
                    content: Some("plain text".into()),
                    extension: Some("txt".into()),
                    import: Ok((Media::Text, "a.txt".into())),
                    incomplete: false,
                }),
            }),
            daemon_may: DaemonMay::AsTried,
        }),
        known: Vec::new(),
        renamed_to: None,
    }
}

fn known(state: State) -> Known {
    Known {
        id: FileId(7),
        version: version(5),
        dataset: DatasetName("main".into()),
        media: Some(Media::Text),
        state,
        changed_at: Timestamp(0),
        last: None,
        changes_often: false,
        possible_duplicate: false,
        resolved: None,
        source: None,
        ahead: None,
        other: None,
    }
}

fn ahead(files: u64) -> Option<Ahead> {
    let more = false;
    Some(Ahead { files, more })
}

fn queued(not_before: i64, failures: u32) -> State {
    let mut tries = Tries::new(Timestamp(0));
    tries.failures = failures;
    State::Queued {
        not_before: Timestamp(not_before),
        tries,
    }
}

fn explained(running: bool, change: impl FnOnce(&mut FileFacts)) -> Explanation {
    let mut file = good();
    change(&mut file);
    decide(&facts(running, file))
}

fn facts(running: bool, file: FileFacts) -> Facts {
    Facts {
        path: b"/srv/drop/a.txt".to_vec(),
        now: NOW,
        running: Some(running),
        starting: Starting::default(),
        daemon_offline: None,
        offline_since: None,
        stopped: None,
        pace: None,
        gates: Arc::default(),
        halts: Arc::default(),
        user: Some("sync".into()),
        place: Place::File(Box::new(file)),
    }
}

fn opened(file: &mut FileFacts) -> &mut Opened {
    file.there.as_mut().unwrap().opened.as_mut().unwrap()
}

fn by_name(file: &mut FileFacts, at: &[u8], why: NotTaken, patterns: &[&str]) {
    file.folder.by_name = Err(ByName {
        at: at.to_vec(),
        why,
        patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
    });
}

fn hindered(at: &[u8], why: NotTaken) -> Result<There, Hindered> {
    Err(Hindered {
        at: at.to_vec(),
        why,
    })
}

type Change = fn(&mut FileFacts);

/// What is so, whether a daemon runs, and the reason, with words of the
/// headline and of what to do.
#[test]
fn the_first_thing_that_stands_against_a_file_is_the_answer() {
    #[rustfmt::skip]
    let table: [(bool, Change, &str, &str, &str); 22] = [
        (true, |_| {}, "unseen", "nothing stands against it", "scanned"),
        (false, |_| {}, "no-daemon", "no daemon is running", "scan"),
        (true, |f| f.folder.reachable = Err(Offline::Missing), "offline", "can't be reached", "/srv/drop"),
        (true, |f| by_name(f, b"a.txt", NotTaken::Temporary(TemporaryKind::Backup), &[]), "temporary-name", "ends in ~", "rename"),
        (true, |f| by_name(f, b"x", NotTaken::Excluded, &["x"]), "excluded", "the folder \"x\" above it: it matches the pattern \"x\"", "exclude"),
        (true, |f| by_name(f, b"a.txt", NotTaken::NotIncluded, &["*.pdf"]), "not-included", "(\"*.pdf\")", "include"),
        (true, |f| by_name(f, b"a.txt", NotTaken::PutAside, &[]), "put-aside", "done_dir", "nothing"),
        (true, |f| by_name(f, b"a.txt", NotTaken::InSubfolder, &[]), "subfolder", "subfolder", "recursive"),
        (true, |f| f.there = hindered(b"a.txt", NotTaken::Symlink), "symlink", "symbolic link", "hard link"),
        (true, |f| f.there = hindered(b"dir", NotTaken::Symlink), "symlink", "\"dir\" on the way", "hard link"),
        (true, |f| f.there = hindered(b"a.txt", NotTaken::Device), "not-a-file", "device", "regular"),
        (true, |f| f.there = hindered(b"a.txt", NotTaken::OtherMount), "other-mount", "another mount", "one_file_system"),
        (true, |f| f.there = hindered(b"a.txt", NotTaken::NoRight), "no-right", "no right", "u:sync:r"),
        (true, |f| f.there = hindered(b"a.txt", NotTaken::Gone), "missing", "nothing of that name", "spelling"),
        (true, |f| f.there.as_mut().unwrap().opened = Err(NotTaken::NoRight), "no-right", "sync, the daemon's user, has no right", "setfacl"),
        (true, |f| f.there.as_mut().unwrap().daemon_may = DaemonMay::No { at: b"/srv".to_vec(), needs: "search (x)" }, "no-right", "needs search (x) on \"/srv\"", "setfacl"),
        (true, |f| opened(f).open = Openness::Yes, "open", "open for writing", "fuser"),
        (true, |f| { opened(f).open = Openness::Unknown; opened(f).writers.found.push(Writer { pid: 9, command: "cp".into(), user: "u".into() }) }, "open", "open for writing", "process 9"),
        (true, |f| opened(f).settling = Some((Duration::from_secs(3), WaitReason::JustSeen)), "settling", "at most 3 s more", "renamed"),
        (true, |f| opened(f).sorted = Ok(Sorted { content: None, extension: None, import: Err("too large".into()), incomplete: false }), "unsupported", "too large", ""),
        (true, |f| opened(f).sorted = Ok(Sorted { content: None, extension: None, import: Err("half".into()), incomplete: true }), "incomplete", "cut off", "again"),
        // By its name it is not taken, whatever it is.
        (true, |f| { by_name(f, b"a.txt", NotTaken::Excluded, &["a*"]); opened(f).open = Openness::Yes }, "excluded", "a*", "exclude"),
    ];
    for (running, change, reason, headline, to_do) in table {
        let said = explained(running, change);
        assert_eq!(said.reason, reason, "{said:#?}");
        assert!(said.headline.contains(headline), "{headline:?}: {said:#?}");
        let all = said.to_do.join("\n");
        assert!(all.contains(to_do), "{to_do:?}: {said:#?}");
        assert_eq!(said.checks[0].what, "folder");
    }
}

fn task() -> TaskId {
    TaskId::new("t1").unwrap()
}

fn closed() -> Closed {
    Closed {
        since: Timestamp(940_000),
        until: Timestamp(1_060_000),
        level: 1,
        code: Code::http(503),
        why: "overloaded".into(),
        lifts: Lifts::Time,
        fingerprint: String::new(),
        first: Duration::from_secs(1),
        max: Duration::from_secs(2),
        holds: Holds::Calls,
    }
}

/// What the ledger has, whether a daemon runs, and the answer.
#[test]
fn what_the_ledger_has_of_the_version_outweighs_the_rest() {
    use Answer::{Attention, Done, Underway, Waiting};
    let code = || Code::http(413);
    #[rustfmt::skip]
    let table: Vec<(State, bool, Answer, &str, &str)> = vec![
        (queued(0, 0), true, Waiting, "queue", "its turn"),
        (queued(0, 0), false, Waiting, "no-daemon", "no daemon"),
        (queued(1_090_000, 2), true, Waiting, "retry", "2 failures so far"),
        (queued(1_090_000, 0), true, Waiting, "postponed", "due in 1 min 30 s"),
        (State::Uploading { attempt: AttemptId(1), last_byte_sent: false, tries: Tries::new(NOW) }, true, Underway, "uploading", "on the wire"),
        (State::Uploading { attempt: AttemptId(1), last_byte_sent: true, tries: Tries::new(NOW) }, false, Waiting, "interrupted", "ended"),
        (State::Submitted { task: task(), next_poll: NOW, polls: Polls::default(), tries: Tries::new(NOW) }, true, Underway, "submitted", "task t1"),
        (State::Succeeded { task: task() }, true, Done, "succeeded", "task t1"),
        (State::Failed { task: task(), reason: "no\u{1b}[1m".into() }, true, Attention, "failed", "no\\x1b[1m"),
        (State::Cancelled { task: task() }, true, Done, "cancelled", "deleted at the service"),
        (State::Untracked, true, Attention, "untracked", "named no task"),
        (State::Rejected { code: code() }, true, Attention, "rejected", "refused it for good"),
        (State::Exhausted { code: code() }, true, Attention, "exhausted", "given up"),
        (State::Unconfirmed { attempt: AttemptId(4) }, true, Attention, "unconfirmed", "attempt 4"),
        (State::Lost { task: task() }, true, Attention, "lost", "does not know"),
        (State::Unsupported { kind: ReasonKind::Unlisted, reason: "a zip".into() }, true, Attention, "unsupported", "a zip"),
        (State::Duplicate { of: FileId(3) }, true, Done, "duplicate", "id 3"),
        // Back again: it counts as new.
        (State::Gone, true, Waiting, "unseen", "nothing stands"),
        (State::Superseded { by: FileId(8) }, true, Waiting, "unseen", "nothing stands"),
    ];
    let kinds: BTreeMap<StateKind, ()> = table.iter().map(|row| (row.0.kind(), ())).collect();
    assert_eq!(kinds.len(), StateKind::ALL.len(), "a state is left out");
    for (state, running, answer, reason, headline) in table {
        let said = explained(running, |file| {
            // The rules may have changed since it was taken.
            if !matches!(state.kind(), StateKind::Gone | StateKind::Superseded) {
                by_name(file, b"a.txt", NotTaken::Excluded, &["a*"]);
            }
            let mut known = known(state.clone());
            known.last = Some((Code::http(503), "overloaded".into(), "wait"));
            file.known.push(known);
        });
        assert_eq!((said.answer, said.reason), (answer, reason), "{said:#?}");
        assert!(said.headline.contains(headline), "{headline:?}: {said:#?}");
        assert!(!said.headline.contains('\u{1b}'));
        assert!(said.checks.iter().any(|check| check.what == "ledger"));
    }
}

#[test]
fn another_version_than_the_ledger_has_is_looked_at_itself() {
    let said = explained(true, |file| {
        let mut earlier = known(State::Succeeded { task: task() });
        earlier.version = version(4);
        file.known.push(earlier);
        opened(file).open = Openness::Yes;
    });
    assert_eq!(said.reason, "open");
    let ledger = said
        .checks
        .iter()
        .find(|check| check.what == "ledger")
        .unwrap();
    assert!(ledger.found.starts_with("an earlier version"), "{said:#?}");
    // Nothing there: what the ledger has counts.
    let said = explained(true, |file| {
        file.there = hindered(b"a.txt", NotTaken::Gone);
        file.known.push(known(State::Succeeded { task: task() }));
    });
    assert_eq!(said.reason, "succeeded");
}

#[test]
fn a_closed_gate_comes_before_the_place_in_the_queue() {
    let closed = || Status::Closed(closed());
    let probing = || Status::Probing {
        file: FileId(1),
        closed: self::closed(),
    };
    for (status, words) in [
        (closed(), "in 1 min one file"),
        (probing(), "one file is out"),
    ] {
        let mut file = good();
        let mut waits = known(queued(0, 0));
        waits.ahead = ahead(12);
        file.known.push(waits);
        let mut facts = facts(true, file);
        let streak = None;
        let gate = Gate { status, streak };
        facts.gates = Arc::new(BTreeMap::from([(GateKey::Service, gate)]));
        let said = decide(&facts);
        assert_eq!(said.reason, "gate");
        assert!(said.headline.contains(words), "{said:#?}");
        assert!(said.to_do[1].ends_with("resume service`"), "{said:#?}");
        // One that is to be taken is told of it, too.
        let mut facts = self::facts(true, good());
        facts.gates = Arc::new(BTreeMap::from([(
            GateKey::Service,
            Gate {
                status: closed(),
                streak: None,
            },
        )]));
        let said = decide(&facts);
        assert_eq!(said.reason, "gate", "{said:#?}");
    }
    let said = explained(true, |file| {
        let mut waits = known(queued(0, 0));
        waits.ahead = ahead(12);
        file.known.push(waits);
    });
    assert!(said.headline.contains("12 files of its route"), "{said:#?}");
    let said = explained(true, |file| {
        file.folder.reachable = Err(Offline::Missing);
        file.known.push(known(queued(0, 0)));
    });
    assert_eq!(said.reason, "offline");
}
