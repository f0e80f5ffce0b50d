#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

const RULES: SettleRules = SettleRules {
    quiet: Duration::from_secs(1),
    quiet_unsure: Duration::from_secs(10),
    unclosed_wait: Duration::from_secs(3600),
};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A version of `size` bytes, modified at the wall time `mtime` (ms).
fn version(size: u64, mtime: i64) -> FileVersion {
    FileVersion {
        path: b"a.txt".to_vec(),
        dev: 1,
        inode: 7,
        size,
        mtime_ns: mtime * 1_000_000,
        born_ns: None,
    }
}

/// A look at a file whose inode last changed when its content did.
fn look(version: FileVersion, now: u64, wall: i64, open: Openness) -> Look {
    Look {
        ctime_ns: version.mtime_ns,
        version,
        now: ms(now),
        wall: Some(Timestamp(wall)),
        open_for_writing: open,
    }
}

#[test]
fn renamed_in_is_finished_at_once_unless_it_is_open() {
    let v = version(5, 1_000);
    let mut s = Settling::new(Sighted::RenamedIn, v.clone(), ms(0));
    let closed = look(v.clone(), 0, 1_000, Openness::No);
    assert_eq!(s.look(&closed, &RULES), Decision::Finished);
    // Nobody can tell: a writer gets the quiet time to show itself.
    let mut s = Settling::new(Sighted::RenamedIn, v.clone(), ms(0));
    let unknown = |now| look(v.clone(), now, 1_000, Openness::Unknown);
    let wait = Decision::Wait(ms(1_000), WaitReason::JustSeen);
    assert_eq!(s.look(&unknown(0), &RULES), wait);
    assert_eq!(s.look(&unknown(1_000), &RULES), Decision::Finished);
    let mut s = Settling::new(Sighted::RenamedIn, v.clone(), ms(0));
    let open = s.look(&look(v.clone(), 0, 1_000, Openness::Yes), &RULES);
    assert_eq!(open, Decision::Wait(ms(1_000), WaitReason::StillOpen));
    // Having been open, it is no atomic publish any more: the quiet time holds.
    let after = s.look(&look(v.clone(), 100, 1_100, Openness::No), &RULES);
    assert_eq!(after, Decision::Wait(ms(1_000), WaitReason::JustChanged));
    let end = s.look(&look(v, 1_000, 2_000, Openness::No), &RULES);
    assert_eq!(end, Decision::Finished);
}

#[test]
fn renamed_in_and_then_written_to_is_not_finished() {
    let mut s = Settling::new(Sighted::RenamedIn, version(5, 1_000), ms(0));
    let d = s.look(&look(version(6, 1_001), 1, 1_001, Openness::No), &RULES);
    assert_eq!(d, Decision::Wait(ms(1_001), WaitReason::JustChanged));
}

#[test]
fn closed_waits_for_the_quiet_time_whatever_its_age() {
    let old = version(5, -1_000_000);
    let mut s = Settling::new(Sighted::Closed, old.clone(), ms(50));
    let d = s.look(&look(old.clone(), 60, 1_000, Openness::No), &RULES);
    assert_eq!(d, Decision::Wait(ms(1_050), WaitReason::JustClosed));
    // Closed again: the time starts over.
    s.sight(Sighted::Closed, old.clone(), ms(900));
    let d = s.look(&look(old.clone(), 1_050, 2_000, Openness::No), &RULES);
    assert_eq!(d, Decision::Wait(ms(1_900), WaitReason::JustClosed));
    let d = s.look(&look(old, 1_900, 2_900, Openness::No), &RULES);
    assert_eq!(d, Decision::Finished);
}

#[test]
fn a_scan_finishes_an_old_file_at_one_look() {
    let v = version(5, 0);
    let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
    assert_eq!(
        s.look(&look(v.clone(), 0, 1_260, Openness::No), &RULES),
        Decision::Finished
    );
    // A young one waits until it is old, no longer.
    let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
    let d = s.look(&look(v.clone(), 0, 1_000, Openness::No), &RULES);
    assert_eq!(d, Decision::Wait(ms(260), WaitReason::JustSeen));
    // A clock that can't be trusted, and a time in the future: two looks.
    for (wall, mtime) in [(None, 0), (Some(Timestamp(0)), 9_000_000)] {
        let v = version(5, mtime);
        let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
        let mut l = look(v, 0, 0, Openness::No);
        l.wall = wall;
        assert_eq!(
            s.look(&l, &RULES),
            Decision::Wait(ms(1_000), WaitReason::JustSeen)
        );
        l.now = ms(1_000);
        assert_eq!(s.look(&l, &RULES), Decision::Finished);
    }
}

#[test]
fn a_hard_link_of_an_old_file_is_finished_at_one_look() {
    let v = version(5, 0);
    let mut s = Settling::new(Sighted::Created, v.clone(), ms(0));
    assert_eq!(
        s.look(&look(v, 0, 100_000, Openness::No), &RULES),
        Decision::Finished
    );
}

#[test]
fn where_openness_is_unknown_it_takes_the_longer_quiet_time() {
    let v = version(5, 0);
    let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
    let d = s.look(&look(v.clone(), 0, 4_000, Openness::Unknown), &RULES);
    assert_eq!(d, Decision::Wait(ms(6_260), WaitReason::CannotTell));
    let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
    let d = s.look(&look(v.clone(), 0, 10_260, Openness::Unknown), &RULES);
    assert_eq!(d, Decision::Finished);
    // Where another machine sets its times: two looks, however old it seems.
    let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
    let mut l = look(v, 0, 0, Openness::Unknown);
    l.wall = None;
    let wait = Decision::Wait(ms(10_000), WaitReason::CannotTell);
    assert_eq!(s.look(&l, &RULES), wait);
    l.now = ms(9_999);
    assert_eq!(s.look(&l, &RULES), wait);
    l.now = ms(10_000);
    assert_eq!(s.look(&l, &RULES), Decision::Finished);
}

/// Full size and a time of 1980 while it is copied: only `ctime` moves.
#[test]
fn the_modification_time_is_believed_nowhere() {
    let of_1980 = 315_532_800_000;
    for mtime in [0, of_1980, 4_000_000_000_000] {
        let v = version(5, mtime);
        let mut l = look(v.clone(), 0, 1_700_000_000_000, Openness::Unknown);
        l.ctime_ns = 1_699_999_999_000 * 1_000_000;
        let mut s = Settling::new(Sighted::Scan, v, ms(0));
        let d = s.look(&l, &RULES);
        assert_eq!(d, Decision::Wait(ms(9_260), WaitReason::CannotTell));
        // Two seconds later it was written to once more, and looks the same.
        (l.now, l.wall) = (ms(9_260), Some(Timestamp(1_700_000_009_260)));
        l.ctime_ns = 1_700_000_002_000 * 1_000_000;
        let d = s.look(&l, &RULES);
        assert_eq!(d, Decision::Wait(ms(12_260), WaitReason::CannotTell));
        // The same on a share, where its age counts for nothing.
        l.wall = None;
        let d = s.look(&l, &RULES);
        assert_eq!(d, Decision::Wait(ms(19_260), WaitReason::CannotTell));
    }
}

/// What events tell holds for `unclosed_wait`, whatever the clock says; then it
/// is a file of which nothing can tell.
#[test]
fn a_file_that_was_not_closed_is_waited_for() {
    let v = version(5, 0);
    let since = Timestamp(77);
    let l = |now, still| {
        let still = Duration::from_secs(still);
        let open = Openness::Writing(Writing { since, still });
        look(v.clone(), now, 90_000_000, open)
    };
    let why = WaitReason::BeingWritten { since };
    for how in [Sighted::Scan, Sighted::RenamedIn, Sighted::Created] {
        let mut s = Settling::new(how, v.clone(), ms(0));
        let wait = Decision::Wait(ms(1_000), why);
        assert_eq!(s.look(&l(0, 0), &RULES), wait, "{how}");
        let wait = Decision::Wait(ms(3_599_000 + 2_000), why);
        assert_eq!(s.look(&l(3_599_000, 3_599), &RULES), wait, "{how}");
        let wait = Decision::Wait(ms(3_599_000 + 10_000), WaitReason::CannotTell);
        assert_eq!(s.look(&l(3_600_000, 3_600), &RULES), wait, "{how}");
        let end = s.look(&l(3_609_000, 3_609), &RULES);
        assert_eq!(end, Decision::Finished, "{how}");
    }
    assert!(why.to_string().contains("being written since 1970-01-01"));
}

#[test]
fn looks_at_an_open_file_grow_rarer() {
    let v = version(5, 0);
    let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
    let mut now = 0;
    let mut gaps = Vec::new();
    for _ in 0..6 {
        match s.look(&look(v.clone(), now, 1_000_000, Openness::Yes), &RULES) {
            Decision::Wait(until, WaitReason::StillOpen) => {
                let next = u64::try_from(until.as_millis()).unwrap();
                gaps.push(next - now);
                now = next;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gaps, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
}

#[test]
fn what_looks_incomplete_waits_once() {
    let v = version(5, 0);
    let mut s = Settling::new(Sighted::RenamedIn, v.clone(), ms(0));
    let l = |now, v: &FileVersion| {
        let mut look = look(v.clone(), now, 100_000, Openness::No);
        look.ctime_ns = v.mtime_ns + 99_000 * 1_000_000;
        look
    };
    assert_eq!(s.look(&l(0, &v), &RULES), Decision::Finished);
    // It is a second old already.
    assert!(s.looks_incomplete(ms(0), ms(8_000)));
    assert_eq!(
        s.look(&l(0, &v), &RULES),
        Decision::Wait(ms(5_000), WaitReason::Incomplete)
    );
    assert_eq!(
        s.look(&l(5_000, &v), &RULES),
        Decision::Wait(ms(7_000), WaitReason::Incomplete)
    );
    assert_eq!(s.look(&l(7_000, &v), &RULES), Decision::Finished);
    assert!(!s.looks_incomplete(ms(7_000), ms(7_000)), "it had its time");
    // Completed: it settles anew, and gets a new time if it is still cut.
    let longer = version(9, 1);
    assert_eq!(
        s.look(&l(7_001, &longer), &RULES),
        Decision::Wait(ms(8_001), WaitReason::JustChanged)
    );
    assert_eq!(s.look(&l(8_001, &longer), &RULES), Decision::Finished);
    assert!(s.looks_incomplete(ms(8_001), ms(7_000)));
    // One of a backlog, unchanged for longer than that, had its time.
    let mut s = Settling::new(Sighted::Scan, v.clone(), ms(0));
    let old = look(v, 0, 100_000, Openness::No);
    assert_eq!(s.look(&old, &RULES), Decision::Finished);
    assert!(!s.looks_incomplete(ms(0), ms(7_000)));
}

#[test]
fn a_step_of_the_clock_is_noticed() {
    let mut c = SteadyClock::new();
    let q = ms(1_000);
    assert_eq!(c.read(ms(0), Timestamp(5_000), q), Some(Timestamp(5_000)));
    assert_eq!(c.read(ms(100), Timestamp(5_200), q), Some(Timestamp(5_200)));
    assert_eq!(c.read(ms(200), Timestamp(9_000), q), None);
    assert_eq!(c.read(ms(1_199), Timestamp(9_999), q), None);
    assert_eq!(
        c.read(ms(1_200), Timestamp(10_000), q),
        Some(Timestamp(10_000))
    );
    assert_eq!(
        c.read(ms(1_300), Timestamp(1_000), q),
        None,
        "backward, too"
    );
}

#[test]
fn a_correction_of_a_quarter_second_is_no_step() {
    for (moved, believed) in [(250, true), (251, false), (-250, true), (-251, false)] {
        let mut c = SteadyClock::new();
        c.read(ms(0), Timestamp(5_000), ms(1_000));
        let wall = Timestamp(5_000 + moved);
        let read = c.read(ms(0), wall, ms(1_000));
        assert_eq!(read, believed.then_some(wall), "{moved} ms");
    }
}

/// What the world does between looks.
#[derive(Debug, Clone)]
enum Op {
    Open,
    /// Its size grows; its modification time is set to one of the past.
    Write,
    Close,
    /// A finished file, modified so many ms ago, is renamed over it.
    RenameIn(u32),
    StepClock(i32),
    Pass(u16),
    Look,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        2 => Just(Op::Open),
        3 => Just(Op::Write),
        2 => Just(Op::Close),
        1 => (0..100_000u32).prop_map(Op::RenameIn),
        1 => any::<i32>().prop_map(Op::StepClock),
        4 => (0..2_500u16).prop_map(Op::Pass),
        4 => Just(Op::Look),
    ];
    proptest::collection::vec(op, 1..60)
}

/// What tells whether a writer has the file open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Lease,
    Events,
    Nothing,
}

/// A modelled file, its writer, its watcher and both clocks.
struct Model {
    now: u64,
    wall: i64,
    file: FileVersion,
    ctime: i64,
    open: bool,
    last_write: Option<u64>,
    clock: SteadyClock,
    settling: Settling,
    events: bool,
    told: Told,
}

impl Model {
    fn new(events: bool, told: Told, age: i64) -> Model {
        let file = version(1, 0);
        let mut clock = SteadyClock::new();
        clock.read(ms(1_000), Timestamp(1_000_000), RULES.quiet_unsure);
        Model {
            now: 1_000,
            wall: 1_000_000,
            ctime: 1_000_000 - age,
            settling: Settling::new(Sighted::Scan, file.clone(), ms(1_000)),
            file,
            open: false,
            last_write: None,
            clock,
            events: events || told == Told::Events,
            told,
        }
    }

    fn event(&mut self, how: Sighted) {
        if self.events {
            self.settling.sight(how, self.file.clone(), ms(self.now));
        }
    }

    fn read_clock(&mut self) -> Option<Timestamp> {
        self.clock
            .read(ms(self.now), Timestamp(self.wall), RULES.quiet_unsure)
    }

    fn look(&mut self) -> Decision {
        let look = Look {
            version: self.file.clone(),
            ctime_ns: self.ctime * 1_000_000,
            now: ms(self.now),
            wall: self.read_clock(),
            open_for_writing: match (self.told, self.open) {
                (Told::Nothing, _) => Openness::Unknown,
                (Told::Lease, true) => Openness::Yes,
                (Told::Events, true) => Openness::Writing(Writing {
                    since: Timestamp(0),
                    still: Duration::ZERO,
                }),
                (Told::Lease | Told::Events, false) => Openness::No,
            },
        };
        let d = self.settling.look(&look, &RULES);
        if let Decision::Wait(until, _) = d {
            assert!(until > ms(self.now), "the next look lies ahead");
        }
        d
    }

    /// Whether a writer may be at work, as far as can be known at all.
    fn busy(&self) -> bool {
        let can_tell = self.told != Told::Nothing;
        let quiet = if can_tell { 1_000 } else { 10_000 };
        (can_tell && self.open) || self.last_write.is_some_and(|w| self.now - w < quiet)
    }

    fn write(&mut self) {
        self.file.size += 1;
        self.file.mtime_ns = 1;
        self.ctime = self.wall;
        self.last_write = Some(self.now);
        self.event(Sighted::Modified);
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Open => self.open = true,
            Op::Write if self.open => self.write(),
            Op::Close if self.open => {
                self.open = false;
                self.event(Sighted::Closed);
            }
            Op::RenameIn(age) => {
                self.file.inode += 1;
                self.ctime = self.wall - i64::from(*age);
                self.open = false;
                self.last_write = None;
                self.event(Sighted::RenamedIn);
            }
            Op::StepClock(by) => {
                self.wall += i64::from(*by);
                self.read_clock();
            }
            Op::Pass(by) => {
                self.now += u64::from(*by);
                self.wall += i64::from(*by);
            }
            Op::Write | Op::Close | Op::Look => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn never_finished_while_a_writer_is_at_work_and_always_in_the_end(
        ops in ops(),
        events: bool,
        told in prop_oneof![
            Just(Told::Lease), Just(Told::Events), Just(Told::Nothing)
        ],
        age in 0..20_000_000i64,
    ) {
        let mut m = Model::new(events, told, age);
        for op in &ops {
            m.run(op);
            if matches!(op, Op::Look) && m.look() == Decision::Finished {
                prop_assert!(!m.busy(), "finished under its writer's hands");
            }
        }
        // The writer stops; no further event tells.
        m.open = false;
        let stopped = m.now;
        let mut looks = 0;
        while let Decision::Wait(until, _) = m.look() {
            looks += 1;
            prop_assert!(looks < 10, "it never ends");
            m.run(&Op::Pass(u16::try_from((until - ms(m.now)).as_millis()).unwrap()));
        }
        prop_assert!(!m.busy());
        prop_assert!(m.now - stopped <= 21_000, "it took {} ms", m.now - stopped);
    }
}

#[test]
fn people_are_told_what_was_seen_and_what_is_waited_for() {
    assert_eq!(Sighted::RenamedIn.to_string(), "renamed in");
    assert_eq!(format!("{:<18}|", Sighted::Scan), "found by a scan   |");
    for (why, words) in [
        (WaitReason::StillOpen, "open for writing"),
        (WaitReason::JustClosed, "closed a moment ago"),
        (WaitReason::JustChanged, "changed a moment ago"),
        (WaitReason::JustSeen, "stay unchanged"),
        (WaitReason::CannotTell, "quiet_unsure"),
        (WaitReason::Incomplete, "cut off"),
    ] {
        assert!(why.to_string().contains(words), "{why}");
    }
}
