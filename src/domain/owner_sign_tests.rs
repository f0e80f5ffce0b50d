#![allow(clippy::unwrap_used)]
use super::*;

fn sign(ledger: &str, run: &str) -> OwnerSign {
    OwnerSign {
        ledger: ledger.to_owned(),
        run: run.to_owned(),
        host: "box".to_owned(),
        pid: 7,
    }
}

const SECOND: i64 = 1_000_000_000;

fn found(ledger: &str, run: &str, seconds: i64) -> Option<FoundSign> {
    Some(FoundSign {
        sign: sign(ledger, run),
        written_ns: seconds * SECOND,
    })
}

#[test]
fn a_sign_is_read_as_it_was_written() {
    let host = "räum\n7 ".repeat(40);
    let own = OwnerSign {
        host,
        ..sign("0a", "1b")
    };
    let text = own.text();
    assert!(text.len() <= LONGEST, "{}", text.len());
    let read = OwnerSign::parse(text.as_bytes()).unwrap();
    assert_eq!((read.ledger, read.run, read.pid), (own.ledger, own.run, 7));
    assert!(!read.host.contains('\n'), "{}", read.host);
    assert_eq!(read.host.chars().count(), HOST);
}

#[test]
fn what_a_stranger_writes_is_no_sign_or_is_shown_with_escapes() {
    let fine = sign("0a", "1b").text();
    for wrong in [
        String::new(),
        fine.replace("owner 1", "owner 9"),
        fine.replace("ledger 0a", "ledger \u{1b}[2J"),
        fine.replace("ledger 0a", &format!("ledger {}", "a".repeat(33))),
        fine.replace("run 1b\n", ""),
        fine.replace("process 7", "process -7"),
        fine.replace("process 7", "process 99999999999"),
        fine + &"x".repeat(LONGEST),
    ] {
        assert_eq!(OwnerSign::parse(wrong.as_bytes()), None, "{wrong:?}");
    }
    assert_eq!(OwnerSign::parse(b"\xff\xfe"), None);
    let forged = OwnerSign {
        host: "\u{1b}[31m\u{202e}\"x".repeat(100),
        ..sign("0a", "1b")
    };
    let shown = forged.to_string();
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
    assert!(shown.chars().count() < 2 * HOST, "{shown}");
}

#[test]
fn another_daemon_is_known_from_the_first_look_on() {
    let own = sign("aa", "1");
    let mut others = Others::default();
    let told = others.look(&own, found("bb", "2", 1_000), Some(1_030 * SECOND));
    assert_eq!(told, Some(&sign("bb", "2")));
    // It writes on: one's own is gone again at each look.
    for minute in 1..9 {
        let at = 1_030 + minute * 60;
        let told = others.look(&own, found("bb", "2", at - 30), Some(at * SECOND));
        assert_eq!(told, Some(&sign("bb", "2")), "{minute}");
    }
}

#[test]
fn what_was_left_behind_is_not_believed() {
    let own = sign("aa", "3");
    for (what, left) in [
        ("nothing", None),
        ("one of long ago", found("bb", "2", 100)),
        ("one of a time to come", found("bb", "2", 9_000)),
        ("the former run's on this ledger", found("aa", "2", 999)),
        ("one's own", found("aa", "3", 999)),
    ] {
        let mut others = Others::default();
        let told = others.look(&own, left.clone(), Some(1_000 * SECOND));
        assert_eq!(told, None, "{what}");
        // One's own is still there: nobody has written.
        let told = others.look(&own, found("aa", "3", 1_000), Some(1_060 * SECOND));
        assert_eq!(told, None, "{what}");
        // The same where nothing can be written.
        let mut others = Others::default();
        for _ in 0..5 {
            assert_eq!(others.look(&own, left.clone(), None), None, "{what}");
        }
    }
}

#[test]
fn a_copy_of_the_machine_has_the_same_ledger_and_is_told_by_what_it_writes() {
    let own = sign("aa", "1");
    let mut others = Others::default();
    let told = others.look(&own, found("aa", "2", 990), Some(1_000 * SECOND));
    assert_eq!(told, None, "it looks like one's former run");
    let told = others.look(&own, found("aa", "2", 1_050), Some(1_060 * SECOND));
    assert_eq!(told, Some(&sign("aa", "2")));
}

#[test]
fn where_nothing_can_be_written_a_sign_that_changes_tells() {
    let own = sign("aa", "1");
    let mut others = Others::default();
    assert_eq!(others.look(&own, found("bb", "2", 1_000), None), None);
    let told = others.look(&own, found("bb", "2", 1_060), None);
    assert_eq!(told, Some(&sign("bb", "2")));
}

#[test]
fn a_daemon_that_has_ended_is_forgotten_after_three_looks() {
    let own = sign("aa", "1");
    let mut others = Others::default();
    let mut now = 1_000;
    let mut look = |found| {
        now += 60;
        others.look(&own, found, Some(now * SECOND)).is_some()
    };
    assert!(look(found("bb", "2", 1_050)));
    let seen: Vec<bool> = (0..5).map(|_| look(found("aa", "1", 0))).collect();
    // The time is another than was left: but it is one's own.
    assert_eq!(seen, [true, true, true, false, false]);
}
