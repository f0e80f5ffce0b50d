//! What there is room for: the lanes of each dataset, and which folders have
//! nothing waiting. The dispatcher keeps it; the express asks.
//!
//! Must not: be what keeps an order. It is a moment old when it is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lane::Lanes;
use crate::config::valid::Dataset;
use crate::domain::ids::{DatasetName, FolderName, Route};
use crate::domain::media::Media;

/// See the module.
#[derive(Debug, Default)]
pub struct Room(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lanes: BTreeMap<DatasetName, (Arc<Dataset>, Arc<Lanes>)>,
    /// Of each folder, the media of which no small file waits.
    idle: HashMap<FolderName, BTreeSet<Media>>,
}

impl Room {
    /// Follows another configuration: a dataset that stays as it is keeps its
    /// lanes. No folder counts as idle before it was looked at again.
    pub fn follow<'d>(&self, datasets: impl IntoIterator<Item = &'d Arc<Dataset>>) {
        let mut inner = self.inner();
        inner.idle.clear();
        let mut known = std::mem::take(&mut inner.lanes);
        for dataset in datasets {
            let lanes = match known.remove(&dataset.name) {
                Some((was, lanes)) if was.same_lanes(dataset) => lanes,
                _ => Lanes::new(dataset),
            };
            let name = dataset.name.clone();
            inner.lanes.insert(name, (dataset.clone(), lanes));
        }
    }

    /// The lanes of a dataset.
    pub fn lanes(&self, dataset: &DatasetName) -> Option<Arc<Lanes>> {
        let inner = self.inner();
        inner.lanes.get(dataset).map(|(_, lanes)| lanes.clone())
    }

    /// Whether small files of a route wait.
    pub fn waits(&self, route: &Route, waits: bool) {
        let mut inner = self.inner();
        match inner.idle.get_mut(&route.folder) {
            Some(idle) if waits => drop(idle.remove(&route.media)),
            Some(idle) => drop(idle.insert(route.media)),
            None if waits => {}
            None => {
                let idle = BTreeSet::from([route.media]);
                inner.idle.insert(route.folder.clone(), idle);
            }
        }
    }

    /// Nothing small of this folder waits, as far as is known.
    pub fn is_idle(&self, folder: &FolderName) -> bool {
        let inner = self.inner();
        let idle = inner.idle.get(folder);
        idle.is_some_and(|idle| idle.len() == Media::ALL.len())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here is ever half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::AccessKey;

    fn dataset(concurrency: usize) -> Arc<Dataset> {
        Arc::new(Dataset {
            name: DatasetName("d".into()),
            key: AccessKey::new("k".into()),
            concurrency,
            max_concurrent: 8,
            polls_per_second: 1.0,
            requests_per_second: None,
            bytes_per_second: None,
            pushes: None,
            key_file: None,
        })
    }

    #[test]
    fn a_folder_is_idle_when_nothing_waits_of_any_media() {
        let room = Room::default();
        let folder = FolderName("f".into());
        let route = |media| Route {
            folder: folder.clone(),
            media,
        };
        for media in Media::ALL {
            assert!(!room.is_idle(&folder), "{media} was not looked at yet");
            room.waits(&route(media), false);
        }
        assert!(room.is_idle(&folder));
        assert!(!room.is_idle(&FolderName("other".into())));
        room.waits(&route(Media::Image), true);
        assert!(!room.is_idle(&folder));
        room.waits(&route(Media::Image), false);
        assert!(room.is_idle(&folder));
        room.follow([&dataset(2)]);
        assert!(!room.is_idle(&folder), "another configuration");
    }

    #[test]
    fn a_dataset_keeps_its_lanes_while_its_settings_stay() {
        let room = Room::default();
        let name = DatasetName("d".into());
        assert!(room.lanes(&name).is_none());
        room.follow([&dataset(2)]);
        let first = room.lanes(&name).expect("its lanes");
        room.follow([&dataset(2)]);
        assert!(Arc::ptr_eq(&first, &room.lanes(&name).expect("its lanes")));
        room.follow([&dataset(3)]);
        assert!(!Arc::ptr_eq(&first, &room.lanes(&name).expect("others")));
        room.follow([]);
        assert!(room.lanes(&name).is_none());
    }
}
