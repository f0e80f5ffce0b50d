//! What each answer of the service means for the file, and for everything
//! else in the queue. The heart of the product.
//!
//! [`TABLE`] is the literal table, one row per answer, in the words of the
//! service's own error page (<https://doc.supametas.ai>, "错误编码表") and, where
//! that page is silent, of RFC 9110. [`ErrorTable::judge`] finds the row of an
//! outcome and says what follows. The configuration can override rows; nothing
//! else decides about retrying.
//!
//! Must not: know a file's state (that is `lifecycle`), keep count of what came
//! before (that is `gate`), or do I/O.

pub mod advice;
mod judge;
mod lookup;
mod table;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::answer::Call;
pub use judge::{ErrorTable, Judgement, MAX_RETRY_AFTER, Trail, UNKNOWN_STATE, Verdict};
pub use lookup::{About, WORDS};
pub use table::TABLE;

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The calls that it is about.
    pub calls: Calls,
    /// The answer that it is about.
    pub on: On,
    /// What the service means by it.
    pub meaning: &'static str,
    /// What follows for the file.
    pub rule: Rule,
    /// Who else has to wait.
    pub pause: Option<Pause>,
    /// The answer may come from something between here and the service: after
    /// the last byte it does not prove that the file was not taken, so what is
    /// sent again is marked as a possible duplicate.
    pub marks: bool,
    /// What an operator can do about it; empty where there is nothing to do.
    pub advice: &'static str,
}

/// Which calls a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Every call.
    Any,
    /// Imports only.
    Upload,
    /// `query-task` only.
    Query,
}

impl Calls {
    /// Whether a row about these is about `call`.
    pub fn include(self, call: Call) -> bool {
        match self {
            Calls::Any => true,
            Calls::Upload => call == Call::Upload,
            Calls::Query => call == Call::Query,
        }
    }
}

/// What a row matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// 2xx and code `"0"`, with what the call asked for.
    Success,
    /// 2xx and no task ID: 204, an empty body, or code `"0"` without one.
    NoTask,
    /// 2xx and a body that is not the envelope.
    NotEnvelope,
    /// 2xx to a query, about a task that was not asked about.
    OtherTask,
    /// A redirect that leaves the base URL's origin, or leads nowhere.
    Elsewhere,
    /// More redirects in a row than are followed.
    TooManyHops,
    /// This HTTP status.
    Status(u16),
    /// Any other status of this hundred: 3, 4 or 5.
    Class(u16),
    /// This error code of the service.
    Code(Cow<'static, str>),
    /// Any other error code that begins so.
    CodeClass(&'static str),
    /// Any other error code.
    OtherCode,
    /// An error whose message contains this text, in lower case, whatever its
    /// status and code: only where the configuration says so.
    Message(String),
    /// Nothing was sent.
    NoConnection,
    /// Broken off before the last byte was sent.
    BrokenBefore,
    /// Broken off, or no answer in time, after it.
    BrokenAfter,
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            On::Success => f.write_str("success"),
            On::NoTask => f.write_str("no-task-id"),
            On::NotEnvelope => f.write_str("not-envelope"),
            On::OtherTask => f.write_str("other-task"),
            On::Elsewhere => f.write_str("redirect-elsewhere"),
            On::TooManyHops => f.write_str("redirect-loop"),
            On::Status(status) => write!(f, "{status}"),
            On::Class(hundred) => write!(f, "{hundred}xx"),
            On::Code(code) => f.write_str(code),
            On::CodeClass(prefix) => write!(f, "{prefix}…"),
            On::OtherCode => f.write_str("other-code"),
            On::Message(text) => write!(f, "message: {text}"),
            On::NoConnection => f.write_str("no-connection"),
            On::BrokenBefore => f.write_str("broken-before-last-byte"),
            On::BrokenAfter => f.write_str("broken-after-last-byte"),
        }
    }
}

/// What follows for the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It was taken.
    Done,
    /// Again, later.
    Retry {
        /// How often, and what then; `None`: as long as the file's age allows.
        limit: Option<Limit>,
    },
    /// Never again by itself.
    Reject,
    /// Not the file's fault: back to the queue, unharmed and unblamed.
    Hold,
    /// It may or may not have been taken.
    Unconfirmed,
    /// Go where the answer points, on the same origin.
    Follow(Follow),
    /// A query's "as before".
    Unchanged,
}

/// How a redirect is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// With GET, without the body (303).
    Get,
    /// With the same request again (307).
    Same,
}

/// A bound on retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Retries allowed after the first failure.
    pub times: u32,
    /// What the next failure leads to.
    pub then: Then,
}

/// Where a limit leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// `rejected`.
    Rejected,
    /// `exhausted`.
    Exhausted,
    /// `lost`: the service does not know the task.
    Lost,
}

/// Who else has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One folder's files of one media type.
    Route,
    /// Everything sent with one Access-Key.
    Dataset,
    /// Everything behind the base URL.
    Service,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Scope::Route => "route",
            Scope::Dataset => "dataset",
            Scope::Service => "service",
        })
    }
}

/// A pause of everything in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Who waits.
    pub scope: Scope,
    /// After how many such answers running, with no success between; from 1.
    /// In the scope of a route they must be about different files.
    pub after: u32,
    /// How long before one probe request is let through.
    pub first: Duration,
    /// The longest wait: it doubles each time that the probe fails.
    pub max: Duration,
    /// What ends it at once.
    pub lifts: Lifts,
    /// What waits.
    pub holds: Holds,
}

/// What a pause holds back, and so what may be its probe: only a call that
/// waits can show that the pause is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Uploads and queries.
    Calls,
    /// Uploads alone. The service answers queries all the while, and its answer
    /// to one proves nothing about the next upload.
    Uploads,
}

/// What ends a pause before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifts {
    /// Nothing but its time, or an operator.
    Time,
    /// Another Access-Key. A probe now and then goes out all the same, since
    /// nobody may be watching when the service mends itself.
    KeyChange,
    /// Other settings for what is paused. Probed now and then likewise.
    ConfigChange,
}
