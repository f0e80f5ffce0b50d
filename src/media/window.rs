//! Bounded reads of a file: the head at once, and a little elsewhere.
//!
//! Must not: know a format, or read on once the budget is spent, whatever the file
//! says of itself.

use std::io::{self, Read, Seek, SeekFrom};

/// How much of a file's start is read at once, in bytes.
pub const HEAD: usize = 64 * 1024;

/// The most that is read of one file, in bytes: the head, the end of a zip,
/// its directory, the boxes of a movie.
pub const MAX_READ: usize = HEAD + 512 * 1024;

/// What a read is counted as at least: a seek and a call aren't free, and this
/// bounds how many there are.
const LEAST: usize = 512;

/// A file's head in memory, and a budget for reads elsewhere.
pub(super) struct Window<'a, F> {
    file: &'a mut F,
    head: Vec<u8>,
    size: u64,
    budget: usize,
}

impl<F> Window<'_, F> {
    /// The first [`HEAD`] bytes, or the whole file.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The size of the file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the head is the whole file.
    pub(super) fn is_whole(&self) -> bool {
        self.head.len() as u64 == self.size
    }
}

impl<'a, F: Read + Seek> Window<'a, F> {
    /// Reads the head.
    pub(super) fn open(file: &'a mut F, size: u64) -> io::Result<Self> {
        file.rewind()?;
        let want = usize::try_from(size).map_or(HEAD, |size| size.min(HEAD));
        let head = read_up_to(file, want)?;
        // Shorter than it was: believe what is there.
        let size = if head.len() < want {
            head.len() as u64
        } else {
            size
        };
        Ok(Window {
            file,
            head,
            size,
            budget: MAX_READ - HEAD,
        })
    }

    /// The last `len` bytes, or all of them.
    pub(super) fn tail(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let from = self.size.saturating_sub(len as u64);
        self.at(from, len)
    }

    /// Up to `len` bytes at `offset`: fewer at the end of the file or of the
    /// budget, and none past them.
    pub(super) fn at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if let Some(bytes) = self.head.get(start..start.saturating_add(len)) {
            return Ok(bytes.to_vec());
        }
        let len = len.min(self.budget);
        if len == 0 {
            return Ok(Vec::new());
        }
        self.budget = self.budget.saturating_sub(len.max(LEAST));
        self.file.seek(SeekFrom::Start(offset))?;
        read_up_to(self.file, len)
    }
}

/// Reads until there are `want` bytes or no more.
fn read_up_to(file: &mut impl Read, want: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; want];
    let mut have = 0;
    while have < want {
        match file.read(&mut bytes[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}
