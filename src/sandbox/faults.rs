//! The fault script: what the sandbox does wrong, on purpose, and to whom.
//!
//! A script is a list of faults. As TOML it is a file of `[[fault]]` tables, as
//! JSON a list of objects (or `{"fault": [...]}`):
//!
//! ```toml
//! [[fault]]                     # the second image import is told to slow down
//! route = "image"
//! nth = 2
//! status = 429
//! retry_after = "3"
//!
//! [[fault]]                     # every tenth import is taken, but the answer gets lost
//! route = "import"
//! every = 10
//! cut = "after-body"
//!
//! [[fault]]                     # these never succeed
//! file = "broken-*.pdf"
//! outcome = "FAIL"
//! ```
//!
//! # Which requests
//! Every key that is there must fit. A fault without any fits every request.
//!
//! | key | fits |
//! |---|---|
//! | `route` | one call: `text image audio video web query delete webhook`, or `import` for the first five |
//! | `path` | this path, whole or without `/openapi/open/v1` |
//! | `key` | the Access-Key with this fingerprint, as the listings show it: the first 8 hex digits of its blake3 |
//! | `file` | a glob on the file's name with its encoding undone: `*`, `?`, `[ab]`, `{a,b}`; upper and lower case differ. For a web page its address, for a query or deletion the name of the task's file. Known only once the file part's head was read (a JSON body: once it was read), so `before-body` then means: before the file's content |
//! | `nth` | only the Nth request that fits, counted from 1 since the script was set |
//! | `from`, `times` | from the N-th that fits on (default 1), so many times (default: without end) |
//! | `every` | of those only every k-th: `every = 3` is the 3rd, 6th, … counted from `from` |
//!
//! Every fault counts the requests that fit it, whether or not another one
//! acts. Of those that would act, the first in the script does. One exception:
//! when a fault without `file` acts on a request, the faults with `file` are
//! not asked and do not count it.
//!
//! # What happens
//!
//! | key | effect |
//! |---|---|
//! | `status` | this HTTP status (200 to 599). Default 200, or 400 when `code` is given |
//! | `code` | `code` of the envelope, as `"OPS40002"`. Default `"0"` under 2xx, else the status as text |
//! | `message` | `message` of the envelope |
//! | `retry_after` | the header `Retry-After`, just as it stands: seconds, a date, or nonsense |
//! | `location` | the header `Location`, just as it stands |
//! | `body`, `content_type` | this text instead of an envelope; the type is `application/json` by default |
//! | `html = true` | a log-in page as a captive portal shows it, status 200 by default |
//! | `empty = true` | the status without a body |
//! | `no_task = true` | a success without `taskId` |
//! | `task_state` | queries are told this state, whatever it is; the task itself stays as it is |
//! | `outcome` | the task that is made ends as `SUCCESS`, `FAIL` or `CANCEL` |
//! | `delay_ms` | the answer (or cut) comes so much later |
//! | `drip_ms` | the answer's body comes one byte at a time, so many ms apart |
//! | `early = true` | `status` is answered before the body is read, and the connection is closed; the client may well see a reset instead, as with real servers |
//! | `cut = "before-body"` | TCP reset before the sandbox takes any of the body from the connection (the kernel may have received some of it) |
//! | `cut = "mid-body"` | reset once half of the announced body was read. Of a body that fits one packet, the client may have sent all |
//! | `cut = "after-body"` | reset when the body was read: an import is taken and its task exists, but no answer is sent |
//! | `cut = "mid-answer"` | reset when the answer's head and half of its body were sent |
//! | `silence = true` or `"after-body"` | never answers, until the client leaves or the sandbox ends; an import is taken |
//! | `silence = "before-body"` | the same without reading the body; a client that leaves while TCP still holds unsent bytes of it is noticed only when the sandbox ends |
//! | `taken` | overrules whether the request is carried out, see below |
//! | `name` | a word for the listing of faults |
//!
//! In `location` and `body` the text `{task_id}` becomes the id of the task
//! that was made. A GET of `/openapi/open/v1/import-result/{task_id}` repeats
//! the answer of that import, so `status = 303` with that location makes a
//! whole redirect.
//!
//! # Is the request carried out?
//! Carried out means: an import is recorded and makes a task, a deletion
//! deletes. That is so when the answer is a success (2xx, 303 or 304, without an
//! error `code`), and when a whole request meets a cut or silence
//! (`after-body`, `mid-answer`). It is not so with an error status, `html`, or
//! what comes before the whole body. `taken = true` or `false` overrules it
//! wherever the body is read. A request that the API itself refuses (wrong key, OPS
//! codes) is never carried out; it then gets the API's own refusal where the
//! fault would have answered a success.
//!
//! Must not: look at a request (that is `script`) or act on one (`server`).

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rules::Call;
use super::tasks::End;

/// One fault. The module's docs say what each key does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(
    missing_docs,
    reason = "each key is described in the tables of the module's docs"
)]
pub struct Fault {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<FaultRoute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub html: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub empty: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub no_task: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drip_ms: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub early: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "silence")]
    pub silence: Option<Silence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<bool>,
}

/// The calls that a fault can name: one of them, or all imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultRoute {
    /// `import`: text, image, audio, video and web.
    Import,
    /// One call.
    One(Call),
}

impl FaultRoute {
    const NAMES: [(&'static str, FaultRoute); 9] = [
        ("text", FaultRoute::One(Call::Text)),
        ("image", FaultRoute::One(Call::Image)),
        ("audio", FaultRoute::One(Call::Audio)),
        ("video", FaultRoute::One(Call::Video)),
        ("web", FaultRoute::One(Call::Web)),
        ("query", FaultRoute::One(Call::Query)),
        ("delete", FaultRoute::One(Call::Delete)),
        ("webhook", FaultRoute::One(Call::Webhook)),
        ("import", FaultRoute::Import),
    ];
}

impl Serialize for FaultRoute {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let name = FaultRoute::NAMES.iter().find(|(_, route)| route == self);
        s.serialize_str(name.map_or("import", |(name, _)| name))
    }
}

impl<'de> Deserialize<'de> for FaultRoute {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<FaultRoute, D::Error> {
        let text = String::deserialize(d)?;
        let found = FaultRoute::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, route)| *route).ok_or_else(|| {
            let names = FaultRoute::NAMES.map(|(name, _)| name).join(", ");
            serde::de::Error::custom(format!("route {text:?} is not one of: {names}"))
        })
    }
}

/// Where a connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// Before any of the body was taken.
    BeforeBody,
    /// Half way through the body.
    MidBody,
    /// After the body, before the answer: the request was carried out.
    AfterBody,
    /// Half way through the answer.
    MidAnswer,
}

/// When the sandbox falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// Before any of the body was taken.
    BeforeBody,
    /// After the body: the request was carried out.
    AfterBody,
}

/// Why a fault script can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The file can't be read.
    #[error("cannot read the fault script {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML or JSON, an unknown key, or a value of the wrong kind.
    #[error("the fault script is not valid: {0}")]
    Syntax(String),
    /// Keys that don't go together, or a value out of range.
    #[error("fault {number} of the script: {problem}")]
    Fault {
        /// Counted from 1.
        number: usize,
        /// What is wrong and what to do about it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(default)]
    fault: Vec<Fault>,
}

impl Fault {
    /// Reads a script from a `.json` file, or else as TOML.
    ///
    /// # Errors
    /// When the file can't be read or is not a valid script.
    pub fn load(path: &Path) -> Result<Vec<Fault>, FaultError> {
        let text = std::fs::read_to_string(path).map_err(|source| FaultError::Read {
            path: path.display().to_string(),
            source,
        })?;
        let json = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"));
        if json {
            Fault::from_json(&text)
        } else {
            Fault::from_toml(&text)
        }
    }

    /// Reads a script in TOML.
    ///
    /// # Errors
    /// When it is not a valid script.
    pub fn from_toml(text: &str) -> Result<Vec<Fault>, FaultError> {
        // The error shows the offending line; a script holds no secret.
        let script: Script = toml::from_str(text).map_err(|e| FaultError::Syntax(e.to_string()))?;
        Fault::checked(script.fault)
    }

    /// Reads a script in JSON.
    ///
    /// # Errors
    /// When it is not a valid script.
    pub fn from_json(text: &str) -> Result<Vec<Fault>, FaultError> {
        let syntax = |e: serde_json::Error| FaultError::Syntax(e.to_string());
        let faults = if text.trim_start().starts_with('[') {
            serde_json::from_str(text).map_err(syntax)?
        } else {
            serde_json::from_str::<Script>(text).map_err(syntax)?.fault
        };
        Fault::checked(faults)
    }

    fn checked(faults: Vec<Fault>) -> Result<Vec<Fault>, FaultError> {
        for (at, fault) in faults.iter().enumerate() {
            fault.check().map_err(|problem| FaultError::Fault {
                number: at + 1,
                problem,
            })?;
        }
        Ok(faults)
    }

    /// Whether it acts before a body was read whole.
    pub(super) fn ends_before_body(&self) -> bool {
        matches!(self.cut, Some(Cut::BeforeBody | Cut::MidBody))
            || self.silence == Some(Silence::BeforeBody)
    }

    /// Whether the fault makes an answer of its own, and not only delays,
    /// cuts or adds to the ordinary one.
    pub(super) fn replaces_answer(&self) -> bool {
        self.status.is_some()
            || self.code.is_some()
            || self.message.is_some()
            || self.body.is_some()
            || self.html
            || self.empty
            || self.no_task
    }

    /// The HTTP status of that answer.
    pub(super) fn answer_status(&self) -> u16 {
        let error_code = self.code.as_ref().is_some_and(|code| code != "0");
        self.status.unwrap_or(if error_code { 400 } else { 200 })
    }

    /// Whether the request is carried out, as the module's docs say.
    pub(super) fn takes(&self) -> bool {
        if self.early || self.ends_before_body() {
            return false;
        }
        let success = matches!(self.answer_status(), 200..=299 | 303 | 304)
            && !self.html
            && self.code.as_ref().is_none_or(|code| code == "0");
        self.taken.unwrap_or(success)
    }

    /// The matcher of `file`, if there is one.
    pub(super) fn glob(&self) -> Result<Option<GlobMatcher>, String> {
        let Some(pattern) = &self.file else {
            return Ok(None);
        };
        glob(pattern)
            .map(Some)
            .map_err(|why| format!("`file`: {why}"))
    }
}

/// A glob on names; `*` also matches `/`, which addresses of web pages hold.
pub(super) fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    let built = GlobBuilder::new(pattern).literal_separator(false).build();
    built
        .map(|glob| glob.compile_matcher())
        .map_err(|e| e.to_string())
}

fn is_false(value: &bool) -> bool {
    !value
}

/// `true`, `false`, or a word.
fn silence<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Silence>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Flag(bool),
        When(Silence),
    }
    let wrong = "`silence` is true, \"before-body\" or \"after-body\"";
    match Given::deserialize(d).map_err(|_| serde::de::Error::custom(wrong))? {
        Given::Flag(on) => Ok(on.then_some(Silence::AfterBody)),
        Given::When(when) => Ok(Some(when)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_example_script_loads() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/example.toml");
        let faults = Fault::load(&path).unwrap();
        assert!(faults.len() >= 10);
        let again = Fault::from_json(&serde_json::to_string(&faults).unwrap()).unwrap();
        assert_eq!(again, faults);
    }

    #[test]
    fn what_is_carried_out() {
        for (script, takes) in [
            ("delay_ms = 1", true),
            ("status = 202", true),
            ("status = 303", true),
            ("status = 500", false),
            ("code = \"OPS40002\"", false),
            ("code = \"OPS40002\"\nstatus = 200", false),
            ("html = true", false),
            ("no_task = true", true),
            ("cut = \"before-body\"", false),
            ("cut = \"mid-body\"", false),
            ("cut = \"after-body\"", true),
            ("cut = \"mid-answer\"", true),
            ("cut = \"mid-answer\"\nstatus = 500", false),
            ("silence = true", true),
            ("silence = \"before-body\"", false),
            ("status = 200\nearly = true", false),
            ("status = 502\ntaken = true", true),
            ("cut = \"after-body\"\ntaken = false", false),
        ] {
            let faults = Fault::from_toml(&format!("[[fault]]\n{script}")).unwrap();
            assert_eq!(faults[0].takes(), takes, "{script}");
        }
    }
}
