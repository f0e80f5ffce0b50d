//! Writers as they are on other people's servers: scanners, SFTP clients,
//! shares. Each leaves a file half written for a while, in a way that one sign
//! of being finished does not see.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How a file comes into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Made empty, held open, and written at the end: a scanner that warms up.
    ZeroThenContent,
    /// One open descriptor, and a pause after each page.
    PageByPage,
    /// Half a picture, a stall of the line, the rest.
    HalfAPicture,
    /// Full size first, with a time of 1980 while it is filled, and the true
    /// time at the end: Robocopy.
    FullSizeAnd1980,
    /// The same with a time in the future.
    FullSizeAndTheFuture,
    /// `x.part` becomes `x` while its writer goes on.
    RenamedWhileOpen,
    /// The same from beside the folder: it comes in while its writer goes on.
    MovedInWhileOpen,
    /// Written in a directory that comes in by rename meanwhile.
    DirectoryMovedInWhileOpen,
    /// Written in a directory that was made a moment before.
    InANewDirectory,
    /// Half of it, closed, and opened again at once to append the rest.
    ClosedAndOpenedAgain,
    /// Two descriptors: the first is closed, the second goes on. A share does
    /// that, and so does a program that preallocates and then writes.
    ClosedByOneOfTwo,
    /// Linked to its final name while its writer goes on.
    LinkedWhileOpen,
    /// Cut to nothing and written anew, in place.
    Rewritten,
}

impl Way {
    pub const ALL: [Way; 13] = [
        Way::ZeroThenContent,
        Way::PageByPage,
        Way::HalfAPicture,
        Way::FullSizeAnd1980,
        Way::FullSizeAndTheFuture,
        Way::RenamedWhileOpen,
        Way::MovedInWhileOpen,
        Way::DirectoryMovedInWhileOpen,
        Way::InANewDirectory,
        Way::ClosedAndOpenedAgain,
        Way::ClosedByOneOfTwo,
        Way::LinkedWhileOpen,
        Way::Rewritten,
    ];

    /// Those that events tell of. What they do not tell: that a second
    /// descriptor goes on when the first is closed, and that a file is written
    /// under another name (docs/guarantees.md).
    pub const HEARD: [Way; 11] = [
        Way::ZeroThenContent,
        Way::PageByPage,
        Way::HalfAPicture,
        Way::FullSizeAnd1980,
        Way::FullSizeAndTheFuture,
        Way::RenamedWhileOpen,
        Way::MovedInWhileOpen,
        Way::DirectoryMovedInWhileOpen,
        Way::InANewDirectory,
        Way::ClosedAndOpenedAgain,
        Way::Rewritten,
    ];

    /// Where the file is when it is finished, below the folder of this name.
    pub fn path(self, folder: &str) -> PathBuf {
        let name = format!("{self:?}-{folder}.{}", self.extension());
        match self {
            Way::DirectoryMovedInWhileOpen => Path::new("moved-in").join(name),
            Way::InANewDirectory => Path::new("new/deep").join(name),
            _ => name.into(),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Way::HalfAPicture => "jpg",
            // Text is whole at any length: only the writer tells.
            Way::ClosedByOneOfTwo | Way::LinkedWhileOpen | Way::Rewritten => "txt",
            _ => "pdf",
        }
    }

    /// What it is when it is finished. Nobody else's content.
    pub fn content(self, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        match self.extension() {
            "jpg" => picture(&mut random),
            "txt" => text(&mut random),
            _ => pages(&mut random, 3).concat(),
        }
    }

    /// Writes it, on the calling thread and with its rights. `pause`: how long
    /// it is left half written, each time. `beside`: a directory on the same file
    /// system that nobody watches.
    pub fn write(self, to: &Path, beside: &Path, content: &[u8], pause: Duration) {
        let (half, rest) = content.split_at(content.len() / 2);
        let wait = || std::thread::sleep(pause);
        match self {
            Way::ZeroThenContent => {
                let mut file = File::create(to).unwrap();
                wait();
                file.write_all(content).unwrap();
            }
            Way::PageByPage => in_parts(to, content, 4, wait),
            Way::HalfAPicture => in_parts(to, content, 2, wait),
            Way::FullSizeAnd1980 => {
                let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(315_532_800);
                full_size_first(to, content, long_ago, pause);
            }
            Way::FullSizeAndTheFuture => {
                let to_come = SystemTime::now() + Duration::from_secs(86_400);
                full_size_first(to, content, to_come, pause);
            }
            Way::RenamedWhileOpen => {
                moved_while_open(&to.with_extension("pdf.part"), to, half, rest, wait);
            }
            Way::MovedInWhileOpen => {
                moved_while_open(&beside.join("outside.pdf"), to, half, rest, wait);
            }
            Way::DirectoryMovedInWhileOpen => {
                let outside = beside.join("outside");
                shared_dir(&outside);
                let mut file = File::create(outside.join(to.file_name().unwrap())).unwrap();
                file.write_all(half).unwrap();
                fs::rename(&outside, to.parent().unwrap()).unwrap();
                wait();
                file.write_all(rest).unwrap();
            }
            Way::InANewDirectory => {
                let deep = to.parent().unwrap();
                shared_dir(deep.parent().unwrap());
                shared_dir(deep);
                in_parts(to, content, 2, wait);
            }
            Way::ClosedAndOpenedAgain => {
                fs::write(to, half).unwrap();
                let mut file = OpenOptions::new().append(true).open(to).unwrap();
                wait();
                file.write_all(rest).unwrap();
            }
            Way::ClosedByOneOfTwo => {
                let mut first = File::create(to).unwrap();
                let mut second = OpenOptions::new().append(true).open(to).unwrap();
                first.write_all(half).unwrap();
                drop(first);
                wait();
                second.write_all(rest).unwrap();
            }
            Way::LinkedWhileOpen => {
                let partial = to.with_extension("txt.part");
                let mut file = File::create(&partial).unwrap();
                file.write_all(half).unwrap();
                fs::hard_link(&partial, to).unwrap();
                wait();
                file.write_all(rest).unwrap();
                drop(file);
                fs::remove_file(partial).unwrap();
            }
            Way::Rewritten => {
                let mut file = File::create(to).unwrap();
                file.write_all(b"this is not what is meant in the end")
                    .unwrap();
                wait();
                file.set_len(0).unwrap();
                file.write_all_at(content, 0).unwrap();
            }
        }
    }
}

/// A directory as users make it who share a folder: the group may write.
fn shared_dir(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o2775)).unwrap();
}

/// In so many parts, with a pause between them and the file open all along.
fn in_parts(to: &Path, content: &[u8], parts: usize, wait: impl Fn()) {
    let mut file = File::create(to).unwrap();
    for (n, part) in content.chunks(content.len().div_ceil(parts)).enumerate() {
        if n > 0 {
            wait();
        }
        file.write_all(part).unwrap();
    }
}

fn full_size_first(to: &Path, content: &[u8], shown: SystemTime, pause: Duration) {
    let parts = 5u32;
    let file = File::create(to).unwrap();
    file.set_len(content.len() as u64).unwrap();
    file.set_modified(shown).unwrap();
    let len = content.len().div_ceil(parts as usize);
    for (n, part) in content.chunks(len).enumerate() {
        std::thread::sleep(pause / parts);
        file.write_all_at(part, (n * len) as u64).unwrap();
        file.set_modified(shown).unwrap();
    }
    let at_last = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    file.set_modified(at_last).unwrap();
}

fn moved_while_open(from: &Path, to: &Path, half: &[u8], rest: &[u8], wait: impl Fn()) {
    let mut file = File::create(from).unwrap();
    file.write_all(half).unwrap();
    fs::rename(from, to).unwrap();
    wait();
    file.write_all(rest).unwrap();
}

/// A document in parts: a head, so many pages, an end.
fn pages(random: &mut fastrand::Rng, count: usize) -> Vec<Vec<u8>> {
    let mut parts = vec![b"%PDF-1.4\n".to_vec()];
    for page in 0..count {
        let mut part = format!("{} 0 obj\n<< /Type /Page >>\nstream\n", page + 3).into_bytes();
        part.extend(std::iter::repeat_with(|| random.u8(..)).take(20_000));
        part.extend(b"\nendstream\nendobj\n");
        parts.push(part);
    }
    let end = "xref\n0 1\n0000000000 65535 f \ntrailer << /Size 1 >>\nstartxref\n9\n%%EOF\n";
    parts.push(end.into());
    parts
}

/// A JPEG by its marks; what is between them is noise without a mark.
fn picture(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut all = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00".to_vec();
    all.extend(b"\xff\xdb\x00\x43\x00");
    all.extend([1; 64]);
    all.extend(b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00");
    all.extend(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00");
    all.extend(std::iter::repeat_with(|| random.u8(..0xff)).take(60_000));
    all.extend(b"\xff\xd9");
    all
}

fn text(random: &mut fastrand::Rng) -> Vec<u8> {
    let line = |_| format!("{:016x}\n", random.u64(..));
    (0..3000).map(line).collect::<String>().into_bytes()
}
