//! What writers do to the folder, as data: drawn from a seed, and so that any
//! part of a list can be replayed. A step whose file is not there does nothing.
//!
//! Must not: touch a file.

/// Writers at once; each has a subfolder of its own.
pub const LANES: usize = 3;

/// Subfolders of a lane, the lane's own among them.
pub const DIRS: [&str; 6] = ["", "a", "a/b", "a/b/c", "d", "e"];

/// Names of files: taken, temporary (never taken) and of no type.
pub const FILES: [&str; 7] = [
    "f0.txt", "f1.txt", "f2.txt", "f3.md", "f4.txt", "f5.bin", "f6.part",
];

/// A file of a lane: indices into [`DIRS`] and [`FILES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub u8, pub u8);

/// One act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Written in place, piece by piece, folders made on the way.
    Create {
        at: At,
        pieces: u8,
        slow: bool,
    },
    /// More at its end, in place.
    Append {
        at: At,
        pieces: u8,
        slow: bool,
    },
    /// Cut to a part, by its path: nobody opens or closes it.
    Truncate {
        at: At,
    },
    /// Written anew in place, from length 0.
    Rewrite {
        at: At,
    },
    /// Written outside, then renamed in; replaces what is there.
    Publish {
        at: At,
    },
    /// Written under a temporary name, and renamed while it is still open.
    Early {
        at: At,
    },
    /// Renamed within the lane; replaces what is there.
    Rename {
        from: At,
        to: At,
    },
    /// Moved out of the folder.
    Out {
        at: At,
    },
    /// What was last moved out comes back, under any name; or grows outside
    /// before that.
    Back {
        at: At,
        grown: bool,
    },
    /// Out, and back to the same place at once.
    OutAndBack {
        at: At,
    },
    /// A hard link from one name to another.
    Link {
        from: At,
        to: At,
    },
    Delete {
        at: At,
    },
    MakeDir {
        dir: u8,
    },
    /// A whole tree is removed.
    RemoveTree {
        dir: u8,
    },
    /// Removed and made again at once, with a file in it.
    Remake {
        at: At,
    },
    /// A whole tree gets another name within the lane.
    MoveTree {
        from: u8,
        to: u8,
    },
    TreeOut {
        dir: u8,
    },
    /// A tree comes in from outside: the last that went out, or a new one.
    TreeIn {
        dir: u8,
        new: bool,
    },
    /// Unreadable for a moment.
    Shut {
        at: At,
        ms: u8,
    },
    ShutDir {
        dir: u8,
        ms: u8,
    },
    /// Another modification time, and nothing else.
    Touch {
        at: At,
    },
    /// The daemon is stopped (SIGSTOP) for so long while the kernel's queue of
    /// events runs over: what happens meanwhile it is never told.
    Deaf {
        ms: u16,
    },
}

/// Something that a lane does after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub lane: u8,
    /// Milliseconds.
    pub pause: u16,
    /// What its content begins with: no two steps write the same.
    pub number: u32,
    pub op: Op,
}

impl Step {
    /// Whether events are lost by it.
    pub fn is_deaf(&self) -> bool {
        matches!(self.op, Op::Deaf { .. })
    }
}

/// The steps of a seed; `deaf`: with times at which events are lost.
pub fn steps(seed: u64, count: usize, deaf: bool) -> Vec<Step> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let number = |n| u32::try_from(n).expect("a few steps");
    (0..count)
        .map(|n| Step {
            lane: rng.u8(0..LANES as u8),
            pause: pause(&mut rng),
            number: number(n),
            op: if deaf && rng.u8(0..100) < 2 {
                Op::Deaf {
                    ms: rng.u16(10..150),
                }
            } else {
                op(&mut rng)
            },
        })
        .collect()
}

/// Mostly none: the daemon is to be raced. Now and then long enough for a file
/// to settle, and to be on the wire.
fn pause(rng: &mut fastrand::Rng) -> u16 {
    match rng.u8(0..100) {
        0..55 => 0,
        55..80 => rng.u16(0..12),
        80..96 => rng.u16(0..120),
        _ => rng.u16(100..400),
    }
}

fn at(rng: &mut fastrand::Rng) -> At {
    At(rng.u8(0..DIRS.len() as u8), rng.u8(0..FILES.len() as u8))
}

/// A subfolder, not the lane's own.
fn dir(rng: &mut fastrand::Rng) -> u8 {
    rng.u8(1..DIRS.len() as u8)
}

fn op(rng: &mut fastrand::Rng) -> Op {
    let (here, there) = (at(rng), at(rng));
    let (d, e) = (dir(rng), dir(rng));
    let pieces = rng.u8(1..4);
    let slow = rng.u8(0..4) == 0;
    match rng.u8(0..100) {
        0..14 => Op::Create {
            at: here,
            pieces,
            slow,
        },
        14..22 => Op::Append {
            at: here,
            pieces,
            slow,
        },
        22..25 => Op::Truncate { at: here },
        25..28 => Op::Rewrite { at: here },
        28..40 => Op::Publish { at: here },
        40..44 => Op::Early { at: here },
        44..52 => Op::Rename {
            from: here,
            to: there,
        },
        52..55 => Op::Out { at: here },
        55..58 => Op::Back {
            at: here,
            grown: slow,
        },
        58..62 => Op::OutAndBack { at: here },
        62..65 => Op::Link {
            from: here,
            to: there,
        },
        65..70 => Op::Delete { at: here },
        70..73 => Op::MakeDir { dir: d },
        73..76 => Op::RemoveTree { dir: d },
        76..80 => Op::Remake { at: here },
        80..85 => Op::MoveTree { from: d, to: e },
        85..88 => Op::TreeOut { dir: d },
        88..93 => Op::TreeIn {
            dir: d,
            new: pieces > 1,
        },
        93..95 => Op::Shut {
            at: here,
            ms: rng.u8(0..20),
        },
        95..97 => Op::ShutDir {
            dir: d,
            ms: rng.u8(0..40),
        },
        _ => Op::Touch { at: here },
    }
}

#[test]
fn a_seed_gives_the_same_steps_again() {
    assert_eq!(steps(7, 300, true), steps(7, 300, true));
    assert_ne!(steps(7, 300, false), steps(8, 300, false));
    assert!(steps(7, 300, true).iter().any(Step::is_deaf));
    assert!(!steps(7, 300, false).iter().any(Step::is_deaf));
}
