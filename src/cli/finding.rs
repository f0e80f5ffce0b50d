//! What `check` finds: about the configuration, or about what surrounds it.
//!
//! Must not: look for anything.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::{Problem, Severity};

/// One thing that was found.
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub text: String,
    /// The service can't be asked: nothing is wrong with the configuration.
    pub is_outage: bool,
    /// What to do about it; may be empty.
    remedy: String,
    /// Where it is written, if it is about the configuration.
    place: Option<Place>,
}

struct Place {
    file: PathBuf,
    line: Option<usize>,
    key: String,
    /// The whole message, with the place.
    told: String,
}

impl Finding {
    /// About the surroundings.
    pub fn new(severity: Severity, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            severity,
            text: text.into(),
            is_outage: false,
            remedy: remedy.into(),
            place: None,
        }
    }

    /// The service, or the way there, does not work now.
    pub fn outage(text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            is_outage: true,
            ..Finding::new(Severity::Error, text, remedy)
        }
    }

    /// About the configuration.
    pub fn of(problem: &Problem) -> Finding {
        Finding {
            severity: problem.severity,
            text: problem.what.clone(),
            is_outage: false,
            remedy: problem.remedy.clone(),
            place: Some(Place {
                file: problem.file.clone(),
                line: problem.line,
                key: problem.key.clone(),
                told: problem.to_string(),
            }),
        }
    }

    /// For scripts.
    pub fn as_json(&self) -> Value {
        let place = self.place.as_ref();
        json!({
            "severity": self.severity.to_string(),
            "file": place.map(|place| place.file.to_string_lossy()),
            "line": place.and_then(|place| place.line),
            "key": place.map(|place| &place.key).filter(|key| !key.is_empty()),
            "text": self.text,
            "remedy": Some(&self.remedy).filter(|remedy| !remedy.is_empty()),
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            return f.write_str(&place.told);
        }
        write!(f, "{}: {}", self.severity, self.text)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}
