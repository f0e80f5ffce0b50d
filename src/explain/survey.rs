//! What the daemon would do with each file of its folders, were it to scan
//! them now: its own walk and its own questions, in its order, told file by
//! file. Memory does not grow with the number of files.
//!
//! Must not: change anything, send a request, or have a rule of its own.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::forecast::{Fate, Forecast, Import, Since, by_ledger, by_way};
use super::{gather, opened};
use crate::config::valid::{Config, Folder};
use crate::daemon::folders::watched;
use crate::daemon::upload::prepare::{Hashing, NotReady, Wanted, prepare};
use crate::domain::admit::{Admit, admit_upload, way};
use crate::domain::gate::GateKey;
use crate::domain::ids::FileId;
use crate::domain::media::Media;
use crate::domain::place::FolderPlace;
use crate::domain::settle::WaitReason;
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::domain::waiting::{Around, FolderIs, Waiting, on_the_way};
use crate::ledger::{ContentHash, Ledger, LedgerError, Met, SentBefore};
use crate::watch::root::RootHandle;
use crate::watch::rules::TakeRules;
use crate::watch::scan::{Go, Visit, walk};
use crate::watch::{self, FolderRoot, NotTaken, Offline, OpenedFile, lease, reached};

/// Versions that the ledger is asked about at a time.
const BATCH: usize = 256;

/// Who hears what would become of each file.
pub trait Audience {
    /// So many directories and files were walked by now; called often.
    fn walked(&mut self, _dirs: u64, _files: u64) {}

    /// A file, or a name that is not taken. `Stop`: no further.
    fn file(&mut self, forecast: Forecast) -> Go;
}

/// What is asked.
pub struct Survey<'a> {
    /// The configuration; keys are not needed.
    pub config: &'a Config,
    /// `None`: there is none yet, so every file is new.
    pub ledger: Option<&'a Ledger>,
    /// Where the ledger's answers are waited for. Not to be entered: the
    /// survey blocks.
    pub runtime: Handle,
    /// Whether contents are hashed, to find duplicates.
    pub hash: bool,
    /// The time.
    pub now: Timestamp,
    probed: HashSet<GateKey>,
    dirs: u64,
    files: u64,
}

impl<'a> Survey<'a> {
    /// Of all folders, as of now.
    pub fn new(
        config: &'a Config,
        ledger: Option<&'a Ledger>,
        runtime: Handle,
        hash: bool,
        now: Timestamp,
    ) -> Survey<'a> {
        Survey {
            config,
            ledger,
            runtime,
            hash,
            now,
            probed: HashSet::new(),
            dirs: 0,
            files: 0,
        }
    }

    /// Walks a folder. `before`: what its directory was when the daemon last
    /// worked with it. `Ok(Err(_))`: it can't be reached. Blocks.
    ///
    /// # Errors
    /// When the ledger can't be read.
    pub fn folder(
        &mut self,
        folder: &Arc<Folder>,
        before: Option<FolderPlace>,
        to: &mut impl Audience,
    ) -> Result<Result<Go, Offline>, LedgerError> {
        let (root, handle) = match reached(&folder.path, folder.one_file_system, before) {
            Ok(reached) => reached,
            Err(offline) => return Ok(Err(offline)),
        };
        let rules = TakeRules::new(watched(folder));
        let mut walker = Walker {
            survey: self,
            folder,
            root: &root,
            handle: &handle,
            rules: &rules,
            to,
            batch: Vec::new(),
            failed: None,
        };
        let report = walk(&handle, &rules, b"", &mut walker);
        let mut go = if report.complete { Go::On } else { Go::Stop };
        if go == Go::On {
            go = walker.flush();
        }
        match walker.failed {
            Some(error) => Err(error),
            None => Ok(Ok(go)),
        }
    }
}

struct Walker<'w, 'a, A> {
    survey: &'w mut Survey<'a>,
    folder: &'w Arc<Folder>,
    root: &'w FolderRoot,
    handle: &'w RootHandle,
    rules: &'w TakeRules,
    to: &'w mut A,
    batch: Vec<FileVersion>,
    failed: Option<LedgerError>,
}

impl<A: Audience> Visit for Walker<'_, '_, A> {
    fn enter(&mut self, _: &[u8]) -> Go {
        self.survey.dirs += 1;
        self.to.walked(self.survey.dirs, self.survey.files);
        Go::On
    }

    fn file(&mut self, version: FileVersion) -> Go {
        self.survey.files += 1;
        self.to.walked(self.survey.dirs, self.survey.files);
        self.batch.push(version);
        if self.batch.len() < BATCH {
            return Go::On;
        }
        self.flush()
    }

    fn not_taken(&mut self, rel: &[u8], why: &NotTaken) {
        // Deleted between listing and look.
        if why.is_gone() {
            return;
        }
        let patterns = gather::patterns(self.folder, self.rules, rel, why);
        let told = self.told(rel, None, Fate::NotTaken(why.clone(), patterns));
        // The walk asks no leave here; the next file hears of a stop.
        let _ = self.to.file(told);
    }
}

impl<A: Audience> Walker<'_, '_, A> {
    fn told(&self, path: &[u8], size: Option<u64>, fate: Fate) -> Forecast {
        Forecast {
            folder: self.folder.name.clone(),
            path: path.to_vec(),
            size,
            id: None,
            import: None,
            fate,
        }
    }

    /// Tells of the files that were collected.
    fn flush(&mut self) -> Go {
        let batch = std::mem::take(&mut self.batch);
        let met = match self.survey.ledger {
            None => vec![None; batch.len()],
            Some(ledger) => {
                let asked = ledger.met(self.folder.name.clone(), batch.clone());
                match self.survey.runtime.block_on(asked) {
                    Ok(met) => met,
                    Err(error) => return self.fail(error),
                }
            }
        };
        for (version, met) in batch.into_iter().zip(met) {
            let mut told = self.told(&version.path, Some(version.size), Fate::Send(Since::New));
            told.id = met.as_ref().map(|met| met.file.id);
            match self.ask(&version, met.as_ref(), &mut told) {
                Ok(Some(fate)) => told.fate = fate,
                // Deleted meanwhile.
                Ok(None) => continue,
                Err(error) => return self.fail(error),
            }
            if self.to.file(told) == Go::Stop {
                return Go::Stop;
            }
        }
        Go::On
    }

    fn fail(&mut self, error: LedgerError) -> Go {
        self.failed = Some(error);
        Go::Stop
    }

    /// The daemon's questions, in its order. `None`: the file is not there any
    /// more.
    fn ask(
        &mut self,
        version: &FileVersion,
        met: Option<&Met>,
        told: &mut Forecast,
    ) -> Result<Option<Fate>, LedgerError> {
        let (gates, halts) = match self.survey.ledger {
            Some(ledger) => (ledger.gates(), ledger.halts()),
            None => Default::default(),
        };
        let there = FolderIs::There;
        let around = Around {
            now: self.survey.now,
            gates: &gates,
            halts: &halts,
            running: None,
            stopped: None,
            folder: &there,
            ahead: None,
            pace: None,
        };
        let since = match by_ledger(met, &around) {
            Ok(since) => since,
            Err(fate) => return Ok(Some(fate)),
        };
        let (media, name) = match self.look(version, since) {
            Ok(Some(import)) => import,
            Ok(None) => return Ok(None),
            Err(fate) => return Ok(Some(fate)),
        };
        let paths = &self.survey.config.service.paths;
        let import = told.import.insert(Import {
            dataset: self.folder.dataset.clone(),
            media,
            endpoint: paths.get(&media).cloned().unwrap_or_default(),
            name,
            same_size: false,
        });
        let Some(ledger) = self.survey.ledger else {
            return Ok(Some(Fate::Send(since)));
        };
        let way = way(&self.folder.route(media), &self.folder.dataset);
        let admit = admit_upload(&way, &gates, &halts, &self.survey.probed, self.survey.now);
        let (name, dataset) = (&self.folder.name, &self.folder.dataset);
        let held = on_the_way(name, dataset, Some(media), &around);
        if let Some(fate) = by_way(&admit, held) {
            return Ok(Some(fate));
        }
        let (id, size) = (told.id, version.size);
        let dataset = self.folder.dataset.clone();
        let wait = &self.survey.runtime;
        if wait.block_on(ledger.same_size(dataset, size, id))? {
            let known = met.and_then(|met| met.file.hash);
            let hash = match self.content(version, media) {
                Ok(hash) => hash.or(known),
                Err(fate) => return Ok(fate),
            };
            import.same_size = hash.is_none();
            if let Some(of) = self.sent_before(ledger, version, media, hash, id)? {
                return Ok(Some(Fate::Duplicate(of)));
            }
        }
        if let Admit::Probe(keys) = admit {
            self.survey.probed.extend(keys);
        }
        Ok(Some(Fate::Send(since)))
    }

    /// Looks at the file as the intake does: its import, and its name there.
    fn look(&self, version: &FileVersion, since: Since) -> Result<Option<(Media, String)>, Fate> {
        let settling = |why| Fate::wait(Waiting::Settling(why, None));
        let until = self.survey.now;
        let unreadable = |why: String| Fate::wait(Waiting::Unreadable { why, until });
        let OpenedFile {
            mut file,
            version: now,
            ctime_ns,
        } = match self.handle.open_file(&version.path) {
            Ok(opened) => opened,
            Err(NotTaken::Gone) => return Ok(None),
            // What the intake takes up all the same, to be seen and tried again.
            Err(why @ NotTaken::NoRight) => return Err(unreadable(why.to_string())),
            Err(why) if why.is_passing() => return Err(unreadable(why.to_string())),
            Err(why) => return Err(Fate::NotTaken(why, Vec::new())),
        };
        if !now.matches(version) {
            return Err(settling(WaitReason::JustChanged));
        }
        // What is in the queue has settled.
        if since != Since::Queued {
            let (asked, now) = (lease::ask(&file), self.survey.now);
            let waits = opened::settling(self.folder, version, ctime_ns, asked, now);
            if let Some((_, why)) = waits {
                return Err(settling(why));
            }
        }
        match opened::sorted(self.folder, &mut file, version) {
            Ok(sorted) => match sorted.import {
                // What is in the queue was waited for.
                _ if sorted.incomplete && since != Since::Queued => {
                    Err(settling(WaitReason::Incomplete))
                }
                Ok(import) => Ok(Some(import)),
                Err(why) => Err(Fate::Unsupported(why)),
            },
            Err(error) => Err(unreadable(watch::unreadable(&error))),
        }
    }

    /// Its hash, if it is wanted, as the uploader takes it. `Err(None)`: it is
    /// not there any more.
    fn content(
        &self,
        version: &FileVersion,
        media: Media,
    ) -> Result<Option<ContentHash>, Option<Fate>> {
        if !self.survey.hash {
            return Ok(None);
        }
        let wanted = Wanted {
            version,
            media,
            types: &self.folder.types,
            hash: Hashing::Everything,
        };
        let hold = |waiting| Err(Some(Fate::wait(waiting)));
        let until = self.survey.now;
        let unreadable = |why: String| Waiting::Unreadable { why, until };
        match prepare(self.root, &wanted) {
            Ok(prepared) => Ok(prepared.hash),
            Err(NotReady::Gone) => Err(None),
            Err(NotReady::Changed) => hold(Waiting::Settling(WaitReason::JustChanged, None)),
            Err(NotReady::Offline) => hold(unreadable(
                "its folder can't be reached any more".to_owned(),
            )),
            Err(NotReady::Unreadable(error)) => hold(unreadable(watch::unreadable(&error))),
            Err(NotReady::Unsupported(why)) => Err(Some(Fate::Unsupported(why))),
        }
    }

    fn sent_before(
        &self,
        ledger: &Ledger,
        version: &FileVersion,
        media: Media,
        hash: Option<ContentHash>,
        id: Option<FileId>,
    ) -> Result<Option<FileId>, LedgerError> {
        let Some(hash) = hash else { return Ok(None) };
        let asked = ledger.sent_before(SentBefore {
            id,
            folder: self.folder.name.clone(),
            dataset: self.folder.dataset.clone(),
            version: version.clone(),
            hash,
            options: self.folder.options_fingerprint(media),
            rule: self.folder.duplicates.rule(),
        });
        self.survey.runtime.block_on(asked)
    }
}
