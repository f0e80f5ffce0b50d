//! How many inotify watches the folders need, against what the kernel gives.
//!
//! Must not: set a watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fstype;
use super::not_taken::{NotTaken, Offline};
use super::root::FolderRoot;
use super::rules::TakeRules;
use super::scan::{Go, Visit, walk};
use super::settings::Watched;
use crate::domain::ids::FolderName;
use crate::domain::version::FileVersion;
use crate::limited::Calls;

/// What all folders together need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchBudget {
    /// For each folder: watches needed (0 where it is polled), or why that
    /// can't be told.
    pub folders: Vec<(FolderName, Result<u64, NotTaken>)>,
    /// `fs.inotify.max_user_watches`: for all programs of this user together.
    /// `None` where the system does not tell.
    pub max_watches: Option<u64>,
    /// `fs.inotify.max_user_instances`: each folder with events takes one.
    pub max_instances: Option<u64>,
}

impl WatchBudget {
    /// Watches needed.
    pub fn needed(&self) -> u64 {
        self.folders
            .iter()
            .filter_map(|(_, n)| n.as_ref().ok())
            .sum()
    }

    /// Instances needed.
    pub fn instances(&self) -> u64 {
        let with_events = self.folders.iter().filter(|(_, n)| !matches!(n, Ok(0)));
        with_events.count() as u64
    }

    /// What is short, with the way out; empty if all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut out = Vec::new();
        let needed = self.needed();
        if let Some(max) = self.max_watches
            && needed > max
        {
            // Room for growth, and for other programs of the user.
            let wanted = needed.saturating_mul(2).max(65_536);
            out.push(format!(
                "the folders need {needed} inotify watches (one for each subfolder), this user may have {max}: `sysctl fs.inotify.max_user_watches={wanted}`, and keep it in /etc/sysctl.d/; without it, folders are scanned every poll_every instead"
            ));
        }
        let instances = self.instances();
        if let Some(max) = self.max_instances
            && instances > max
        {
            let wanted = instances.saturating_mul(2);
            out.push(format!(
                "the folders need {instances} inotify instances, this user may have {max}: `sysctl fs.inotify.max_user_instances={wanted}`"
            ));
        }
        out
    }
}

/// `fs.inotify.max_user_watches`, where the system tells.
pub fn max_watches() -> Option<u64> {
    limit("max_user_watches")
}

fn limit(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
    text.trim().parse().ok()
}

/// Counts the directories that were entered, for who waits.
struct Count(Arc<AtomicU64>);

impl Visit for Count {
    fn enter(&mut self, _: &[u8]) -> Go {
        self.0.fetch_add(1, Ordering::Relaxed);
        Go::On
    }
    fn file(&mut self, _: FileVersion) -> Go {
        Go::On
    }
    fn wants_files(&self) -> bool {
        false
    }
}

/// Counts the directories of the folders that are watched by events. Walks
/// them: takes a while where there are many.
pub fn watch_budget<'a>(folders: impl IntoIterator<Item = &'a Arc<Watched>>) -> WatchBudget {
    WatchBudget {
        folders: folders
            .into_iter()
            .map(|folder| (folder.name.clone(), needed_in_time(folder)))
            .collect(),
        max_watches: max_watches(),
        max_instances: limit("max_user_instances"),
    }
}

/// A walk may take long; one that comes no further for a while hangs.
fn needed_in_time(folder: &Arc<Watched>) -> Result<u64, NotTaken> {
    let entered = Arc::new(AtomicU64::new(0));
    let (seen, asked) = (Arc::clone(&entered), Arc::clone(folder));
    let progress = move || seen.load(Ordering::Relaxed);
    Calls::of_process()
        .ask_while(&folder.path, progress, move || needed(&asked, entered))
        .unwrap_or(Err(Offline::NotAnswering.into()))
}

fn needed(folder: &Arc<Watched>, entered: Arc<AtomicU64>) -> Result<u64, NotTaken> {
    let root = FolderRoot::new(folder.path.clone(), folder.one_file_system);
    // Says what is wrong with the folder, polled or not.
    root.check()?;
    if !fstype::wants_events(folder.how, &folder.path) {
        return Ok(0);
    }
    let rules = TakeRules::new(Arc::clone(folder));
    Ok(walk(&root.handle()?, &rules, b"", &mut Count(entered)).dirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(folders: Vec<Result<u64, NotTaken>>) -> WatchBudget {
        let name = |i| FolderName(format!("f{i}"));
        WatchBudget {
            folders: folders
                .into_iter()
                .enumerate()
                .map(|(i, n)| (name(i), n))
                .collect(),
            max_watches: Some(100),
            max_instances: Some(2),
        }
    }

    #[test]
    fn what_is_short_is_said_with_the_way_out() {
        let well = budget(vec![Ok(60), Ok(40), Ok(0), Ok(0)]);
        assert_eq!((well.needed(), well.instances()), (100, 2));
        assert!(well.problems().is_empty());
        let short = budget(vec![Ok(60), Ok(41), Err(NotTaken::NoRight)]);
        let problems = short.problems();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("sysctl fs.inotify.max_user_watches=65536"));
        assert!(problems[1].contains("max_user_instances=6"));
    }
}
