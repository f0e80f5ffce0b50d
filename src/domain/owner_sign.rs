//! The sign that a daemon leaves in a drop folder. It tells another daemon on the
//! same folder, also one in another network namespace or on another machine, which
//! can be told in no other way.
//!
//! Whoever may write to the folder can write a sign. So it is short, what it says is
//! shown with escapes, and nothing follows from it but a warning.
//!
//! Each daemon writes its own sign over the one that is there, once a minute. So
//! two of them find the sign of the other. A sign is left behind when a daemon is
//! killed; it is believed only where its daemon shows that it lives: it was written
//! shortly before one's own, by the clock of the file system, or it has changed
//! since the last look. No clock of a machine is asked.
//!
//! Must not: look at a file, or keep a daemon off a folder.

use std::fmt;
use std::time::Duration;

pub use super::naming::left_out::OWNER_SIGN as NAME;
use super::naming::shown_text;

/// Bytes of a sign, at most.
pub const LONGEST: usize = 512;

/// Between two looks at a folder's sign.
pub const EVERY: Duration = Duration::from_secs(60);

/// How long a sign is believed that was not written anew.
pub const BELIEVED: Duration = Duration::from_secs(3 * 60);

/// The same in looks.
const LOOKS: u32 = 3;

/// Characters of a host's name that are kept.
const HOST: usize = 64;

/// The first line of every sign.
const HEAD: &str = "supametas-sync owner 1";

/// Whom a sign is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerSign {
    /// Tells ledgers apart.
    pub ledger: String,
    /// Tells the runs of the program apart.
    pub run: String,
    /// The machine or container, by its own name. May hold whatever characters a
    /// stranger wrote: it is shown through `Display` alone.
    pub host: String,
    /// The process there.
    pub pid: u32,
}

impl fmt::Display for OwnerSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = shown_text(&self.host, HOST);
        write!(f, "process {} on \"{host}\", as {NAME} says", self.pid)
    }
}

impl OwnerSign {
    /// What is written into the file.
    pub fn text(&self) -> String {
        let host: String = self.host.chars().take(HOST).collect();
        let host = host.replace(['\n', '\r'], " ");
        format!(
            "{HEAD}\nledger {}\nrun {}\nprocess {}\nhost {host}\n\
             This file tells other daemons that the folder is watched; it can be deleted.\n",
            self.ledger, self.run, self.pid
        )
    }

    /// Reads what [`OwnerSign::text`] wrote. `None`: it is something else.
    pub fn parse(bytes: &[u8]) -> Option<OwnerSign> {
        if bytes.len() > LONGEST {
            return None;
        }
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut after = |word: &str| lines.next()?.strip_prefix(word);
        let (ledger, run) = (after("ledger ")?, after("run ")?);
        let sign = OwnerSign {
            ledger: number(ledger)?,
            run: number(run)?,
            pid: after("process ")?.parse().ok()?,
            host: after("host ")?.chars().take(HOST).collect(),
        };
        Some(sign)
    }
}

/// Hexadecimal digits, as they tell ledgers and runs apart.
fn number(text: &str) -> Option<String> {
    let fine = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    fine.then(|| text.to_owned())
}

/// A sign that was found in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSign {
    /// What it says.
    pub sign: OwnerSign,
    /// When it was written, by the clock of the file system: nanoseconds since the
    /// Unix epoch.
    pub written_ns: i64,
}

impl FoundSign {
    /// Whether it is of another ledger and was written shortly before `now_ns`.
    pub fn is_of_another(&self, ledger: &str, now_ns: i64) -> bool {
        let age = i128::from(now_ns) - i128::from(self.written_ns);
        self.sign.ledger != ledger && u128::try_from(age).is_ok_and(|a| a <= BELIEVED.as_nanos())
    }
}

/// Who else watches a folder, as its signs tell from one look to the next.
#[derive(Debug, Default)]
pub struct Others {
    looked: bool,
    /// The run and the time of the sign that was there after the last look.
    left: Option<(String, i64)>,
    /// Who, and for how many looks it is believed.
    believed: Option<(OwnerSign, u32)>,
}

impl Others {
    /// Takes in a look. `found`: the sign that was there. `written_ns`: when `own`
    /// was written right after, by the clock of the file system; `None`: it could
    /// not be.
    pub fn look(
        &mut self,
        own: &OwnerSign,
        found: Option<FoundSign>,
        written_ns: Option<i64>,
    ) -> Option<&OwnerSign> {
        let there = found.as_ref();
        let there = there.map(|found| (found.sign.run.clone(), found.written_ns));
        // What is there is not what was left: somebody has written since.
        let changed = self.looked && self.left != there;
        let lives = |found: &FoundSign| {
            let fresh = written_ns.is_some_and(|now| found.is_of_another(&own.ledger, now));
            found.sign.run != own.run && (changed || fresh)
        };
        self.believed = match found.filter(lives) {
            Some(found) => Some((found.sign, LOOKS)),
            None => self
                .believed
                .take()
                .and_then(|(sign, looks)| Some((sign, looks.checked_sub(1)?))),
        };
        self.looked = true;
        self.left = match written_ns {
            Some(at) => Some((own.run.clone(), at)),
            None => there,
        };
        self.believed.as_ref().map(|(sign, _)| sign)
    }
}

#[cfg(test)]
#[path = "owner_sign_tests.rs"]
mod tests;
