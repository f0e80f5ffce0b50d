//! Opens a file for sending and makes sure that it is the one that was
//! settled: the same version, still what it was sorted as, hashed if asked.
//!
//! Runs on a blocking thread. Must not: change anything, or decide what
//! becomes of a file that is not ready.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};

use bytes::Bytes;

use super::body::CHUNK;
use crate::domain::media::{
    Media, ReasonKind, Refusal, Sorted, TypeLists, UnsupportedReason, sort, still_incomplete,
};
use crate::domain::naming;
use crate::domain::version::FileVersion;
use crate::ledger::ContentHash;
use crate::media;
use crate::watch::root::RootHandle;
use crate::watch::{FolderRoot, NotTaken, Offline};

/// A file that can be sent.
pub struct Prepared {
    /// What is sent.
    pub content: Content,
    /// The name that the service is given.
    pub name: String,
    /// blake3 of the content, where it was taken.
    pub hash: Option<ContentHash>,
}

/// Which content is hashed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashing {
    /// None.
    Nothing,
    /// What is read here: one chunk. Of a larger file, its beginning.
    WhatIsRead,
    /// Larger files, too: they are read once more for it.
    Everything,
}

/// What is sent.
pub enum Content {
    /// One chunk.
    Small(Bytes),
    /// Read while it is sent, from its beginning.
    Large(Large),
    /// A web page's address.
    Link(String),
}

/// A file of more than one chunk.
pub struct Large {
    /// At its beginning.
    pub file: File,
    /// blake3 of its first chunk, if what is read was to be hashed.
    pub beginning: Option<ContentHash>,
}

/// Why a file can't be sent now.
#[derive(Debug)]
pub enum NotReady {
    /// It is not the version that was settled.
    Changed,
    /// It is not there any more, though its folder is.
    Gone,
    /// Its folder is not there.
    Offline,
    /// It can't be read.
    Unreadable(io::Error),
    /// Looked at again, it is not what it was sorted as.
    Unsupported(Refusal),
}

/// What to prepare.
pub struct Wanted<'a> {
    /// The version that was settled.
    pub version: &'a FileVersion,
    /// How it was sorted.
    pub media: Media,
    /// The folder's type lists.
    pub types: &'a TypeLists,
    /// What to hash.
    pub hash: Hashing,
}

/// Opens, checks and, up to one chunk, reads the file.
pub fn prepare(root: &FolderRoot, wanted: &Wanted<'_>) -> Result<Prepared, NotReady> {
    let version = wanted.version;
    let handle = root.handle().map_err(|why| not_taken(why.into()))?;
    let opened = match handle.open_file(&version.path) {
        Ok(opened) => opened,
        Err(NotTaken::Gone) => return Err(not_taken(root.missing(version))),
        Err(why) => return Err(not_taken(why)),
    };
    if !opened.version.matches(version) {
        return Err(NotReady::Changed);
    }
    if wanted.media == Media::Web && version.size > media::link::MAX_LINK_FILE as u64 {
        return Err(bad_link(media::link::LinkError::TooLarge));
    }
    if version.size > CHUNK as u64 {
        return large(root, opened.file, wanted);
    }
    small(&handle, opened.file, wanted)
}

/// What is sent in one chunk is read here. `file` is the version that is wanted,
/// at its beginning.
pub fn small(
    handle: &RootHandle,
    mut file: File,
    wanted: &Wanted<'_>,
) -> Result<Prepared, NotReady> {
    let version = wanted.version;
    let hashed = wanted.hash != Hashing::Nothing;
    // Read once: the type is found, the hash taken and the body sent from memory.
    let bytes = read_all(&mut file, version.size)?;
    let name = upload_name(&mut Cursor::new(&bytes), wanted)?;
    let (content, hash) = if wanted.media == Media::Web {
        let url = media::link::read_link(&bytes, version.name()).map_err(bad_link)?;
        let hash = hashed.then(|| *blake3::hash(url.as_bytes()).as_bytes());
        (Content::Link(url), hash)
    } else {
        let hash = hashed.then(|| *blake3::hash(&bytes).as_bytes());
        (Content::Small(bytes.into()), hash)
    };
    // Asked of the same handle: the folder was there a moment ago.
    if !is_still(handle.look(&version.path), version)? {
        return Err(NotReady::Changed);
    }
    Ok(Prepared {
        content,
        name,
        hash,
    })
}

/// What is sent in several chunks is read while it is sent.
fn large(root: &FolderRoot, mut file: File, wanted: &Wanted<'_>) -> Result<Prepared, NotReady> {
    let name = upload_name(&mut file, wanted)?;
    file.rewind().map_err(NotReady::Unreadable)?;
    let (mut hash, mut beginning) = (None, None);
    match wanted.hash {
        Hashing::Nothing => {}
        Hashing::WhatIsRead => beginning = Some(hash_of(&mut file, CHUNK as u64)?),
        Hashing::Everything => hash = Some(hash_of(&mut file, wanted.version.size)?),
    }
    file.rewind().map_err(NotReady::Unreadable)?;
    if !still_there(root, wanted.version)? {
        return Err(NotReady::Changed);
    }
    Ok(Prepared {
        content: Content::Large(Large { file, beginning }),
        name,
        hash,
    })
}

/// Whether the path still leads to this version: asked again before the last
/// byte goes out. An open file that was this version, under a path that still
/// is, has not changed.
pub fn still_there(root: &FolderRoot, version: &FileVersion) -> Result<bool, NotReady> {
    is_still(root.look(&version.path), version)
}

fn is_still(
    looked: Result<FileVersion, NotTaken>,
    version: &FileVersion,
) -> Result<bool, NotReady> {
    match looked {
        Ok(now) => Ok(now.matches(version)),
        Err(error) => match not_taken(error) {
            NotReady::Gone => Ok(false),
            other => Err(other),
        },
    }
}

fn not_taken(why: NotTaken) -> NotReady {
    match why {
        // Not for a retry in a few seconds: a person has to do something.
        NotTaken::Offline(why @ Offline::OtherFileSystem) => {
            NotReady::Unreadable(io::Error::other(why.to_string()))
        }
        NotTaken::Offline(_) => NotReady::Offline,
        NotTaken::NoRight => NotReady::Unreadable(io::ErrorKind::PermissionDenied.into()),
        NotTaken::Io { errno } => NotReady::Unreadable(io::Error::from_raw_os_error(errno)),
        // Gone, or a symlink, a pipe, another mount in its place: either way
        // the file that was settled is not there any more.
        _ => NotReady::Gone,
    }
}

fn bad_link(error: media::link::LinkError) -> NotReady {
    NotReady::Unsupported(UnsupportedReason::BadLink(error.to_string()).into())
}

/// The name that the service is given; on the way the content is looked at
/// once more, since the type lists may have changed since it was queued.
fn upload_name<F: Read + Seek>(file: &mut F, wanted: &Wanted<'_>) -> Result<String, NotReady> {
    let name = wanted.version.name();
    let detected = media::detect(file, name, wanted.version.size).map_err(NotReady::Unreadable)?;
    match sort(&detected.content, name, wanted.types) {
        Sorted::Route {
            media,
            extension_fix,
        } if media == wanted.media => Ok(naming::upload_name(name, extension_fix.as_deref())),
        Sorted::Route { media, .. } => Err(NotReady::Unsupported(Refusal::new(
            ReasonKind::ListsChanged,
            format!(
                "it was sorted as {} and is {media} now: the type lists have changed; `retry` sorts it again",
                wanted.media
            ),
        ))),
        Sorted::Unsupported(reason) => Err(NotReady::Unsupported(reason.into())),
        Sorted::Incomplete => Err(NotReady::Unsupported(
            still_incomplete(&detected.content).into(),
        )),
    }
}

/// Reads exactly `len` bytes and makes sure that there are no more.
fn read_all(file: &mut File, len: u64) -> Result<Vec<u8>, NotReady> {
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    file.take(len + 1)
        .read_to_end(&mut bytes)
        .map_err(NotReady::Unreadable)?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(NotReady::Changed)
    }
}

/// Hashes exactly `len` bytes from where the file is.
fn hash_of(file: &mut File, len: u64) -> Result<ContentHash, NotReady> {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(file.take(len))
        .map_err(NotReady::Unreadable)?;
    if hasher.count() != len {
        return Err(NotReady::Changed);
    }
    Ok(*hasher.finalize().as_bytes())
}
