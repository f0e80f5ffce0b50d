//! What is dropped: a random mix of files, and a register of every version that
//! was ever dropped, with what became of it by our own hand.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use supametas_sync::domain::settle::Openness;
use supametas_sync::watch::lease;

use super::stage::{After, FOLDERS, Stage};

/// What we did to a version after it was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was left there: it must be imported.
    Left,
    /// Replaced or removed: it may have been imported before that.
    TakenAway,
}

/// One version of one file.
#[derive(Debug, Clone)]
pub struct Version {
    /// Index into [`FOLDERS`].
    pub folder: usize,
    /// Relative to the folder.
    pub path: String,
    /// As the sandbox knows it: the blake3 of the content, or a page's address.
    pub identity: String,
    pub size: u64,
    pub fate: Fate,
    /// Nothing that the service takes.
    pub unsupported: bool,
}

/// Everything that was dropped on one stage.
#[derive(Default)]
pub struct Register {
    pub versions: Vec<Version>,
    next: u64,
    contents: Vec<(usize, Vec<u8>)>,
    writers: Vec<JoinHandle<()>>,
    /// Whether this file system tells who has a file open for writing.
    leases: Option<bool>,
}

impl Register {
    /// Drops something, or takes something away.
    pub fn drop_one(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        match rng.u32(0..100) {
            0..38 => {
                let len = rng.usize(20..3000);
                self.fresh(stage, rng, "txt", len);
            }
            38..50 => {
                let len = rng.usize(300_000..1_500_000);
                self.fresh(stage, rng, "md", len);
            }
            50..58 => self.link(stage, rng),
            58..66 => self.tree(stage, rng),
            66..76 => self.replace(stage, rng),
            76..86 => self.duplicate(stage, rng),
            86..90 => self.remove(stage, rng),
            90..96 => self.slow(stage, rng),
            _ => self.unsupported(stage, rng),
        }
    }

    /// Waits for those who write slowly.
    pub fn all_written(&mut self) {
        for writer in self.writers.drain(..) {
            writer.join().unwrap();
        }
    }

    fn name(&mut self, extension: &str) -> String {
        self.next += 1;
        format!("file {}.{extension}", self.next)
    }

    /// Text that nobody else has.
    fn text(&mut self, rng: &mut fastrand::Rng, len: usize) -> Vec<u8> {
        self.next += 1;
        let mut text = format!("{} {:016x}\n", self.next, rng.u64(..)).into_bytes();
        while text.len() < len {
            text.extend(format!("{:x} ", rng.u64(..)).as_bytes());
            if rng.u8(..) < 20 {
                text.push(b'\n');
            }
        }
        text
    }

    fn enter(&mut self, folder: usize, path: &str, identity: String, size: usize) {
        self.versions.push(Version {
            folder,
            path: path.to_owned(),
            identity,
            size: size as u64,
            fate: Fate::Left,
            unsupported: path.ends_with(".bin"),
        });
    }

    fn fresh(&mut self, stage: &Stage, rng: &mut fastrand::Rng, extension: &str, len: usize) {
        let folder = rng.usize(0..FOLDERS.len());
        let content = self.text(rng, len);
        let name = self.name(extension);
        self.publish(stage, rng, folder, &name, content);
    }

    /// Entered first: the daemon may be faster than we are.
    fn publish(
        &mut self,
        stage: &Stage,
        rng: &mut fastrand::Rng,
        folder: usize,
        path: &str,
        content: Vec<u8>,
    ) {
        let identity = blake3::hash(&content).to_hex().to_string();
        let to = stage.folder(&FOLDERS[folder]).join(path);
        if rng.bool() {
            let partial = to.with_extension("part");
            fs::write(&partial, &content).unwrap();
            fs::rename(partial, to).unwrap();
        } else {
            fs::write(to, &content).unwrap();
        }
        self.enter(folder, path, identity, content.len());
        self.contents.push((folder, content));
    }

    fn link(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        let folder = rng.usize(0..FOLDERS.len());
        let name = self.name("url");
        let url = format!("https://example.org/{:016x}", rng.u64(..));
        let content = format!("[InternetShortcut]\r\nURL={url}\r\n");
        fs::write(stage.folder(&FOLDERS[folder]).join(&name), &content).unwrap();
        self.enter(folder, &name, url, content.len());
    }

    /// A tree, built outside and renamed in, or built in its place.
    fn tree(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        let folder = rng.usize(0..FOLDERS.len());
        let name = self.name("d");
        let inside = stage.folder(&FOLDERS[folder]);
        let renamed = rng.bool();
        let at = if renamed {
            stage.outside()
        } else {
            inside.clone()
        };
        let mut files = Vec::new();
        for n in 0..rng.usize(1..4) {
            let path = match n {
                0 => format!("{name}/a.txt"),
                1 => format!("{name}/b/c/d.txt"),
                _ => format!("{name}/b/e.md"),
            };
            let len = rng.usize(20..2000);
            let content = self.text(rng, len);
            shared_dirs(&at, Path::new(&path).parent().unwrap());
            fs::write(at.join(&path), &content).unwrap();
            files.push((path, content));
        }
        if renamed {
            fs::rename(at.join(&name), inside.join(&name)).unwrap();
        }
        for (path, content) in files {
            let identity = blake3::hash(&content).to_hex().to_string();
            self.enter(folder, &path, identity, content.len());
            self.contents.push((folder, content));
        }
    }

    /// A version that was left, and whose file is still where it was dropped.
    fn someone(
        &self,
        stage: &Stage,
        rng: &mut fastrand::Rng,
        keep_only: bool,
    ) -> Option<(usize, PathBuf)> {
        let found: Vec<usize> = (0..self.versions.len())
            .rev()
            .filter(|n| {
                let version = &self.versions[*n];
                version.fate == Fate::Left
                    // Not one that is still being written by us.
                    && version.path.ends_with("txt") && !version.path.starts_with("slow ")
                    && (!keep_only || FOLDERS[version.folder].after == After::Keep)
            })
            .take(20)
            .collect();
        let n = *found.get(rng.usize(0..found.len().max(1)))?;
        let version = &self.versions[n];
        let path = stage.folder(&FOLDERS[version.folder]).join(&version.path);
        path.exists().then_some((n, path))
    }

    /// A new version over an old one: renamed over it, or, where the file
    /// stays, written over its content.
    fn replace(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        let in_place = rng.bool();
        let Some((n, path)) = self.someone(stage, rng, in_place) else {
            return;
        };
        let old = self.versions[n].clone();
        let len = rng.usize(20..3000);
        let mut content = self.text(rng, len);
        // A size of its own tells the rows of one path apart.
        while self.sizes_of(&old).contains(&(content.len() as u64)) {
            content.push(b'.');
        }
        self.versions[n].fate = Fate::TakenAway;
        if in_place {
            fs::write(&path, &content).unwrap();
        } else {
            let partial = path.with_extension("part");
            fs::write(&partial, &content).unwrap();
            fs::rename(partial, &path).unwrap();
        }
        let identity = blake3::hash(&content).to_hex().to_string();
        self.enter(old.folder, &old.path, identity, content.len());
        self.contents.push((old.folder, content));
    }

    fn sizes_of(&self, like: &Version) -> Vec<u64> {
        let same = |v: &&Version| v.folder == like.folder && v.path == like.path;
        self.versions.iter().filter(same).map(|v| v.size).collect()
    }

    /// Content that was dropped before, in another file.
    fn duplicate(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        let from = self.contents.len().saturating_sub(12);
        let recent = &self.contents[from..];
        if recent.is_empty() {
            return;
        }
        let (was_in, content) = recent[rng.usize(0..recent.len())].clone();
        // Somewhere in the same dataset.
        let hold = FOLDERS[was_in].hold;
        let folder = rng.usize(0..3) + if hold { 3 } else { 0 };
        let name = self.name("txt");
        self.publish(stage, rng, folder, &name, content);
    }

    fn remove(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        if let Some((n, path)) = self.someone(stage, rng, true) {
            self.versions[n].fate = Fate::TakenAway;
            fs::remove_file(path).unwrap();
        }
    }

    /// Half of it now, the rest a while later, with the file open all along.
    fn slow(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        let folder = rng.usize(0..FOLDERS.len());
        let name = format!("slow {}", self.name("txt"));
        let len = rng.usize(1000..600_000);
        let content = self.text(rng, len);
        let to = stage.folder(&FOLDERS[folder]).join(&name);
        let mut file = File::create(&to).unwrap();
        let leases = *self.leases.get_or_insert_with(|| {
            lease::open_for_writing(&File::open(&to).unwrap()) == Openness::Yes
        });
        let half = rng.usize(1..content.len());
        file.write_all(&content[..half]).unwrap();
        let pause = rng.u64(100..stage.longest_pause());
        let pause = if leases { pause } else { pause.min(200) };
        self.enter(
            folder,
            &name,
            blake3::hash(&content).to_hex().to_string(),
            content.len(),
        );
        self.writers.push(std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(pause));
            file.write_all(&content[half..]).unwrap();
        }));
    }

    fn unsupported(&mut self, stage: &Stage, rng: &mut fastrand::Rng) {
        let folder = rng.usize(0..FOLDERS.len());
        let name = self.name("bin");
        let content: Vec<u8> = (0..rng.usize(20..2000)).map(|_| rng.u8(..)).collect();
        self.publish(stage, rng, folder, &name, content);
        // Nothing of it is to be sent, by another name neither.
        self.contents.pop();
    }
}

/// Makes the directories of `path` in which the group may write, as users do
/// who share a folder: else nobody but their owner could move a file away.
fn shared_dirs(at: &Path, path: &Path) {
    let mut here = at.to_owned();
    for part in path {
        here.push(part);
        if !here.exists() {
            fs::create_dir(&here).unwrap();
            fs::set_permissions(&here, fs::Permissions::from_mode(0o2775)).unwrap();
        }
    }
}
