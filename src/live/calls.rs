//! How calls of hooks have ended, counted since the start.
//!
//! Must not: have a label that is not from the configuration.

use std::collections::BTreeMap;

use crate::domain::ids::FolderName;
use crate::domain::notice::HookName;

/// How a try has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Called {
    /// The hook was told.
    Told,
    /// It was not; it is tried again.
    Failed,
    /// It was not, and is not tried again.
    GivenUp,
}

impl Called {
    /// As a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Called::Told => "told",
            Called::Failed => "failed",
            Called::GivenUp => "given-up",
        }
    }
}

/// Whose call, and how it has ended.
pub type Call = (FolderName, HookName, Called);

/// The counts.
pub type Calls = BTreeMap<Call, u64>;
