//! What an open file shows: whether it is finished, as a scan would find it
//! now, and which import takes it under what name.
//!
//! Must not: have a rule of its own; it asks those that the intake asks.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::Duration;

use super::facts::{Opened, Sorted};
use super::process;
use crate::config::valid::Folder;
use crate::daemon::sorting::{self, Found};
use crate::domain::media::{Media, ReasonKind, Refusal, UnsupportedReason, extension};
use crate::domain::naming::upload_name;
use crate::domain::settle::{Decision, Look, Openness, Settling, Sighted, WaitReason};
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::ledger::NewSorted;
use crate::media::link;
use crate::watch::lease::{self, Asked};
use crate::watch::root::RootHandle;
use crate::watch::{NotTaken, OpenedFile};

/// Opens a file and collects all that it shows, the programs included that
/// have it open.
pub(super) fn open(
    folder: &Folder,
    handle: &RootHandle,
    rel: &[u8],
    now: Timestamp,
) -> Result<Opened, NotTaken> {
    let OpenedFile {
        mut file,
        version,
        ctime_ns,
    } = handle.open_file(rel)?;
    let asked = lease::ask(&file);
    let open = asked.lease;
    let writers = match open {
        // The kernel has seen that there is none.
        Openness::No => Default::default(),
        Openness::Yes | Openness::Writing(_) | Openness::Unknown => process::writers_of(&file),
    };
    Ok(Opened {
        open,
        writers,
        settling: settling(folder, &version, ctime_ns, asked, now),
        sorted: sorted(folder, &mut file, &version).map_err(|error| error.to_string()),
    })
}

/// How much longer a file settles, as a scan would find it now, for the first
/// time; `None`: it is finished.
pub(super) fn settling(
    folder: &Folder,
    version: &FileVersion,
    ctime_ns: i64,
    asked: Asked,
    now: Timestamp,
) -> Option<(Duration, WaitReason)> {
    let mut settling = Settling::new(Sighted::Scan, version.clone(), Duration::ZERO);
    let look = Look {
        version: version.clone(),
        ctime_ns,
        now: Duration::ZERO,
        wall: asked.local.then_some(now),
        open_for_writing: asked.lease,
    };
    match settling.look(&look, &folder.settle_rules()) {
        Decision::Finished => None,
        Decision::Wait(until, reason) => Some((until, reason)),
    }
}

/// What a file is.
///
/// # Errors
/// Those of reading.
pub(super) fn sorted(
    folder: &Folder,
    file: &mut File,
    version: &FileVersion,
) -> io::Result<Sorted> {
    let sorting = sorting::sort_file(folder, file, version)?;
    let (sorted, incomplete) = match sorting.found {
        Found::New(sorted) => (sorted, false),
        Found::Incomplete(otherwise) => (otherwise, true),
    };
    let import = match sorted {
        NewSorted::Media(media) | NewSorted::Incomplete(media) => {
            let name = upload_name(version.name(), sorting.extension_fix.as_deref());
            address(media, file, version.name())?.map(|()| (media, name))
        }
        NewSorted::Unsupported(refusal) => Err(refusal),
        NewSorted::Unreadable(why) => Err(Refusal::new(ReasonKind::Unlisted, why)),
    };
    Ok(Sorted {
        content: sorting.content.map(|content| content.what().into_owned()),
        extension: extension(version.name()),
        import,
        incomplete,
    })
}

/// Of a link file, whether its address can be sent.
fn address(media: Media, file: &mut File, name: &[u8]) -> io::Result<Result<(), Refusal>> {
    if media != Media::Web {
        return Ok(Ok(()));
    }
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(link::MAX_LINK_FILE as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(match link::read_link(&bytes, name) {
        Ok(_) => Ok(()),
        Err(why) => Err(UnsupportedReason::BadLink(why.to_string()).into()),
    })
}
