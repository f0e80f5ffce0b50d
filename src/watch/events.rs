//! The kernel's events, reduced to hints.
//!
//! notify subscribes to more than is wanted: it reports OPEN, so every read of
//! our own would come back as an event. Of `Access` only the close after
//! writing is kept, and of the rest what says that a name may now hold
//! something new. A hint is never believed: it makes someone look.
//!
//! The watches are set one directory at a time, by the scan, and never
//! recursively: notify's own recursion sets a new folder's watch after files
//! were put there, and stops at the first directory it can't read.
//!
//! Must not: block. The handler runs on notify's thread, and while it blocks
//! the kernel's queue overflows; so it hands over or raises a flag.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::places::Places;
use super::probe::Told;
use super::root::Identity;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Something may have happened at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// As notify gave it: the folder's path and more.
    pub path: PathBuf,
    /// What.
    pub kind: HintKind,
}

/// What may have happened at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HintKind {
    /// A writer closed it.
    Closed,
    /// It was renamed to this name: a file or a whole tree.
    RenamedIn,
    /// A file's name appeared: a writer begins, or a hard link.
    Created,
    /// A directory's name appeared.
    NewDirectory,
    /// It was written to.
    Modified,
    /// Its rights or times changed: it may be readable now.
    Touched,
    /// It was removed or renamed away.
    Removed,
}

/// What an event comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Someone should look there.
    Hint(Hint),
    /// Events were lost: someone should look everywhere.
    Rescan(String),
    /// The kernel has no watch left.
    NoWatchLeft,
}

/// Why events can't be had for a folder, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEvents {
    /// The kernel has no watch left.
    #[error(
        "no inotify watch is left (one is needed for each folder); raise the limit with `sysctl fs.inotify.max_user_watches=1048576` and keep it in /etc/sysctl.d/"
    )]
    WatchLimit,
    /// The kernel has no inotify instance left, or the process no file.
    #[error(
        "no inotify instance or no open file is left; raise `sysctl fs.inotify.max_user_instances` and the service's LimitNOFILE"
    )]
    InstanceLimit,
    /// What the system said otherwise.
    #[error("events can't be had: {0}")]
    Other(String),
}

/// Why one directory is not watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWatched {
    /// No watch is left: the folder can't be watched by events.
    WatchLimit,
    /// It is not there any more.
    Gone,
    /// Anything else, such as no right: this one is found by scans only.
    Other(String),
}

/// A folder's event source.
#[derive(Debug)]
pub struct EventWatcher {
    inner: RecommendedWatcher,
    places: Places,
}

impl EventWatcher {
    /// Starts one; what it hears goes to `to`, on a thread of notify's. What
    /// says something of writers goes to `writers` before that.
    pub fn start(
        writers: impl Fn(&Path, Told) + Send + 'static,
        to: impl Fn(Signal) + Send + 'static,
    ) -> Result<EventWatcher, NoEvents> {
        let mut writes = RecentWrites::default();
        let handler = move |event: notify::Result<Event>| {
            if let Some((path, told)) = event.as_ref().ok().and_then(of_writers) {
                writers(path, told);
            }
            translate(event, &mut |signal| {
                if !writes.repeats(&signal, Instant::now()) {
                    to(signal);
                }
            });
        };
        let config = Config::default().with_follow_symlinks(false);
        match RecommendedWatcher::new(handler, config) {
            Ok(inner) => Ok(EventWatcher {
                inner,
                places: Places::default(),
            }),
            Err(e) => Err(match e.kind {
                ErrorKind::MaxFilesWatch => NoEvents::WatchLimit,
                ErrorKind::Io(e) if is_limit(&e) => NoEvents::InstanceLimit,
                _ => NoEvents::Other(e.to_string()),
            }),
        }
    }

    /// Watches one directory, not those below it. Again is harmless, and mends
    /// a watch that died unseen.
    pub fn watch(&mut self, dir: &Path) -> Result<(), NotWatched> {
        let identity = identity_of(dir).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => NotWatched::Gone,
            _ => NotWatched::Other(e.to_string()),
        })?;
        for stale in self.places.put(dir, identity) {
            // It may have heard of it already.
            let _ = self.inner.unwatch(&stale);
        }
        self.inner
            .watch(dir, RecursiveMode::NonRecursive)
            .map_err(|e| match e.kind {
                ErrorKind::MaxFilesWatch => NotWatched::WatchLimit,
                ErrorKind::PathNotFound => NotWatched::Gone,
                ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::NotFound => NotWatched::Gone,
                ErrorKind::Io(e) => NotWatched::Other(e.to_string()),
                _ => NotWatched::Other(e.to_string()),
            })
    }
}

impl EventWatcher {
    /// After a whole scan that has set `live` watches: gives up those of
    /// directories that lie elsewhere or nowhere now.
    pub fn prune(&mut self, live: u64) {
        if self.places.len() as u64 <= live {
            return;
        }
        let lies = |path: &Path, dir| identity_of(path).is_ok_and(|now| now == dir);
        for stale in self.places.prune(lies) {
            let _ = self.inner.unwatch(&stale);
        }
    }
}

fn identity_of(dir: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let facts = std::fs::symlink_metadata(dir)?;
    Ok(Identity {
        dev: facts.dev(),
        inode: facts.ino(),
    })
}

fn is_limit(e: &std::io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What an event says of a path's writers.
fn of_writers(event: &Event) -> Option<(&Path, Told)> {
    let told = match event.kind {
        EventKind::Create(CreateKind::File) => Told::Created,
        EventKind::Access(AccessKind::Open(_)) => Told::Opened,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Told::ClosedByWriter,
        EventKind::Modify(ModifyKind::Data(_)) => Told::Written,
        // Without a number it is a watched directory that tells of itself, by
        // the path that it had.
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            Told::RenamedFrom(event.tracker()?)
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Told::RenamedTo(event.tracker()?),
        EventKind::Remove(_) => Told::Removed,
        _ => return None,
    };
    Some((event.paths.first()?, told))
}

/// What an event comes to: nothing, or one signal for each of its paths.
pub fn translate(event: notify::Result<Event>, to: &mut impl FnMut(Signal)) {
    let event = match event {
        Ok(event) => event,
        Err(e) if matches!(e.kind, ErrorKind::MaxFilesWatch) => return to(Signal::NoWatchLeft),
        Err(e) => return to(Signal::Rescan(format!("the event source failed: {e}"))),
    };
    if event.need_rescan() {
        return to(Signal::Rescan(
            "more happened at once than the kernel keeps events for".to_owned(),
        ));
    }
    let Some(kind) = hint_kind(event.kind) else {
        return;
    };
    for path in event.paths {
        to(Signal::Hint(Hint { path, kind }));
    }
}

fn hint_kind(kind: EventKind) -> Option<HintKind> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(HintKind::Closed),
        EventKind::Create(CreateKind::Folder) => Some(HintKind::NewDirectory),
        EventKind::Create(_) => Some(HintKind::Created),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(HintKind::RenamedIn),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(HintKind::Removed),
        // `Both` repeats what `From` and `To` said.
        EventKind::Modify(ModifyKind::Name(_)) => None,
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(HintKind::Touched),
        EventKind::Modify(_) => Some(HintKind::Modified),
        EventKind::Remove(RemoveKind::File) => None,
        EventKind::Remove(_) => Some(HintKind::Removed),
        EventKind::Access(_) | EventKind::Any | EventKind::Other => None,
    }
}

/// A writer at full speed is many thousand events a second that all say the
/// same. One in [`RecentWrites::GAP`] is enough: what settles is looked at
/// later anyway, and its close is never held back.
#[derive(Debug, Default)]
struct RecentWrites {
    /// The last few files; a handful, as only the busiest matter.
    seen: [Option<(PathBuf, Instant)>; 4],
    next: usize,
}

impl RecentWrites {
    const GAP: Duration = Duration::from_millis(100);

    fn repeats(&mut self, signal: &Signal, now: Instant) -> bool {
        let Signal::Hint(Hint {
            path,
            kind: HintKind::Modified,
        }) = signal
        else {
            return false;
        };
        if let Some((_, last)) = self.seen.iter_mut().flatten().find(|(p, _)| p == path) {
            let soon = now.duration_since(*last) < Self::GAP;
            if !soon {
                *last = now;
            }
            return soon;
        }
        self.seen[self.next] = Some((path.clone(), now));
        self.next = (self.next + 1) % self.seen.len();
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use notify::event::{DataChange, Flag, MetadataKind};

    use super::*;

    fn signals(event: notify::Result<Event>) -> Vec<Signal> {
        let mut out = Vec::new();
        translate(event, &mut |s| out.push(s));
        out
    }

    fn kind_of(kind: EventKind) -> Option<HintKind> {
        match signals(Ok(Event::new(kind).add_path("/d/a".into()))).as_slice() {
            [] => None,
            [Signal::Hint(h)] => Some(h.kind),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn own_reads_are_dropped_and_the_rest_is_reduced() {
        use EventKind as E;
        let name = |m| E::Modify(ModifyKind::Name(m));
        for (kind, expected) in [
            (E::Access(AccessKind::Open(AccessMode::Any)), None),
            (E::Access(AccessKind::Close(AccessMode::Read)), None),
            (
                E::Access(AccessKind::Close(AccessMode::Write)),
                Some(HintKind::Closed),
            ),
            (E::Create(CreateKind::File), Some(HintKind::Created)),
            (E::Create(CreateKind::Folder), Some(HintKind::NewDirectory)),
            (name(RenameMode::To), Some(HintKind::RenamedIn)),
            (name(RenameMode::From), Some(HintKind::Removed)),
            (name(RenameMode::Both), None),
            (
                E::Modify(ModifyKind::Data(DataChange::Any)),
                Some(HintKind::Modified),
            ),
            (
                E::Modify(ModifyKind::Metadata(MetadataKind::Any)),
                Some(HintKind::Touched),
            ),
            (E::Remove(RemoveKind::File), None),
            (E::Remove(RemoveKind::Folder), Some(HintKind::Removed)),
        ] {
            assert_eq!(kind_of(kind), expected, "{kind:?}");
        }
    }

    #[test]
    fn an_overflow_and_an_error_ask_for_a_rescan() {
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(matches!(
            signals(Ok(overflow)).as_slice(),
            [Signal::Rescan(_)]
        ));
        let failed = signals(Err(notify::Error::generic("x")));
        assert!(matches!(failed.as_slice(), [Signal::Rescan(_)]));
        let limit = signals(Err(notify::Error::new(ErrorKind::MaxFilesWatch)));
        assert_eq!(limit, [Signal::NoWatchLeft]);
    }

    #[test]
    fn a_fast_writer_is_heard_now_and_then_and_its_close_always() {
        let mut writes = RecentWrites::default();
        let hint = |path: &str, kind| {
            Signal::Hint(Hint {
                path: path.into(),
                kind,
            })
        };
        let start = Instant::now();
        let modified = hint("/d/a", HintKind::Modified);
        assert!(!writes.repeats(&modified, start));
        assert!(writes.repeats(&modified, start + RecentWrites::GAP / 2));
        assert!(!writes.repeats(&hint("/d/b", HintKind::Modified), start));
        assert!(!writes.repeats(&hint("/d/a", HintKind::Closed), start));
        assert!(!writes.repeats(&modified, start + RecentWrites::GAP));
    }
}
