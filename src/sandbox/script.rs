//! Which fault acts on which request: counting and matching, pure.
//!
//! Must not: act on a request, or know what the actions mean (`faults` says
//! that, `server` does it).

use std::sync::Arc;

use globset::GlobMatcher;
use serde::Serialize;

use super::faults::{Fault, FaultError, FaultRoute};
use super::rules::{Call, PREFIX};

/// A fault of the script in force, with its counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultStatus {
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
    /// Requests that fitted it since the script was set.
    pub seen: u64,
    /// How often it acted.
    pub fired: u64,
}

/// What is known of a request once its head was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// The call; none for a path or method that the API doesn't have.
    pub(super) call: Option<Call>,
    pub(super) path: &'a str,
    /// Fingerprint of the key; empty without one.
    pub(super) key: &'a str,
}

#[derive(Debug)]
struct Rule {
    fault: Arc<Fault>,
    name: Option<GlobMatcher>,
    seen: u64,
    fired: u64,
}

/// The script in force.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Rule>);

impl Script {
    /// Checks the faults and starts all counts at 0.
    pub(super) fn new(faults: Vec<Fault>) -> Result<Script, FaultError> {
        let mut rules = Vec::with_capacity(faults.len());
        for (at, fault) in faults.into_iter().enumerate() {
            let wrong = |problem| FaultError::Fault {
                number: at + 1,
                problem,
            };
            fault.check().map_err(wrong)?;
            let name = fault.glob().map_err(wrong)?;
            rules.push(Rule {
                fault: Arc::new(fault),
                name,
                seen: 0,
                fired: 0,
            });
        }
        Ok(Script(rules))
    }

    /// Asks the faults without `file`, once for each request.
    pub(super) fn at_head(&mut self, head: &Head<'_>) -> Option<Arc<Fault>> {
        self.first(|rule| rule.name.is_none() && rule.fits(head))
    }

    /// Asks the faults with `file`, once the name is known and no other acts.
    pub(super) fn at_name(&mut self, head: &Head<'_>, name: &str) -> Option<Arc<Fault>> {
        self.first(|rule| {
            rule.name.as_ref().is_some_and(|glob| glob.is_match(name)) && rule.fits(head)
        })
    }

    /// The faults and their counts.
    pub(super) fn list(&self) -> Vec<FaultStatus> {
        let status = |rule: &Rule| FaultStatus {
            fault: (*rule.fault).clone(),
            seen: rule.seen,
            fired: rule.fired,
        };
        self.0.iter().map(status).collect()
    }

    /// Counts for all that fit; the first that is due acts.
    fn first(&mut self, fits: impl Fn(&Rule) -> bool) -> Option<Arc<Fault>> {
        let mut acts: Option<Arc<Fault>> = None;
        for rule in &mut self.0 {
            if !fits(rule) {
                continue;
            }
            rule.seen += 1;
            if acts.is_none() && rule.is_due() {
                rule.fired += 1;
                acts = Some(Arc::clone(&rule.fault));
            }
        }
        acts
    }
}

impl Rule {
    fn fits(&self, head: &Head<'_>) -> bool {
        let route = match self.fault.route {
            None => true,
            Some(FaultRoute::Import) => head.call.is_some_and(Call::is_import),
            Some(FaultRoute::One(call)) => head.call == Some(call),
        };
        let path = self.fault.path.as_deref().is_none_or(|wanted| {
            head.path == wanted || head.path.strip_prefix(PREFIX) == Some(wanted)
        });
        route && path && self.fault.key.as_deref().is_none_or(|key| head.key == key)
    }

    /// Whether it is due at the request that was just counted.
    fn is_due(&self) -> bool {
        if let Some(nth) = self.fault.nth {
            return self.seen == nth;
        }
        let Some(since) = (self.seen + 1).checked_sub(self.fault.from.unwrap_or(1)) else {
            return false;
        };
        let every = self.fault.every.unwrap_or(1).max(1);
        since > 0
            && since % every == 0
            && self.fault.times.is_none_or(|times| since / every <= times)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn script(toml: &str) -> Script {
        Script::new(Fault::from_toml(toml).unwrap()).unwrap()
    }

    fn head(call: Call, path: &'static str) -> Head<'static> {
        Head {
            call: Some(call),
            path,
            key: "0011aabb",
        }
    }

    const FILE: &str = "/openapi/open/v1/file-task";

    /// Which of the first 12 text imports it acts on.
    fn due(counting: &str) -> Vec<u64> {
        let mut all = script(&format!("[[fault]]\nstatus = 500\n{counting}"));
        let head = head(Call::Text, FILE);
        (1..=12).filter(|_| all.at_head(&head).is_some()).collect()
    }

    #[test]
    fn counting() {
        assert_eq!(due(""), (1..=12).collect::<Vec<_>>());
        assert_eq!(due("nth = 3"), [3]);
        assert_eq!(due("times = 2"), [1, 2]);
        assert_eq!(due("from = 11"), [11, 12]);
        assert_eq!(due("from = 4\ntimes = 2"), [4, 5]);
        assert_eq!(due("every = 5"), [5, 10]);
        assert_eq!(due("every = 3\ntimes = 2"), [3, 6]);
        assert_eq!(due("from = 4\nevery = 3"), [6, 9, 12]);
    }

    #[test]
    fn matching() {
        for (matcher, fits) in [
            ("route = \"text\"", true),
            ("route = \"import\"", true),
            ("route = \"query\"", false),
            ("path = \"/file-task\"", true),
            ("path = \"/openapi/open/v1/file-task\"", true),
            ("path = \"/image-task\"", false),
            ("key = \"0011aabb\"", true),
            ("key = \"0011aabc\"", false),
            ("route = \"text\"\nkey = \"0011aabc\"", false),
        ] {
            let mut all = script(&format!("[[fault]]\nstatus = 500\n{matcher}"));
            assert_eq!(
                all.at_head(&head(Call::Text, FILE)).is_some(),
                fits,
                "{matcher}"
            );
        }
    }

    #[test]
    fn names_are_asked_only_when_known() {
        let mut all = script("[[fault]]\nfile = \"b*.{pdf,txt}\"\nstatus = 500");
        let head = head(Call::Text, FILE);
        assert!(all.at_head(&head).is_none());
        assert!(all.at_name(&head, "a.pdf").is_none());
        assert!(all.at_name(&head, "b/x.txt").is_some());
        assert_eq!((all.list()[0].seen, all.list()[0].fired), (1, 1));
    }

    #[test]
    fn the_first_that_is_due_acts_and_all_count() {
        let mut all = script(
            "[[fault]]\nname = \"one\"\nnth = 2\nstatus = 500\n\
             [[fault]]\nname = \"two\"\nfrom = 2\nstatus = 501",
        );
        let head = head(Call::Text, FILE);
        let mut acting = || all.at_head(&head).and_then(|fault| fault.name.clone());
        assert_eq!(acting(), None);
        assert_eq!(acting().as_deref(), Some("one"));
        assert_eq!(acting().as_deref(), Some("two"));
        let counts: Vec<_> = all.list().iter().map(|f| (f.seen, f.fired)).collect();
        assert_eq!(counts, [(3, 1), (3, 1)]);
    }
}
