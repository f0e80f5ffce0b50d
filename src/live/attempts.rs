//! Answers of the service, counted by call, code and verdict: for a monitoring
//! system, where each combination is a series of its own.
//!
//! Must not: take a code from outside as it is. The service may send any; those
//! that the error table does not name are `other`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::domain::answer::{Call, Code};
use crate::domain::error_table::{Judgement, On, TABLE, Verdict};

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// `upload` or `query`.
    pub call: &'static str,
    /// A code of the error table, or `other`.
    pub code: String,
    /// What followed.
    pub verdict: &'static str,
}

/// The counts.
#[derive(Debug, Default)]
pub struct Attempts(BTreeMap<Counted, u64>);

impl Attempts {
    /// One more.
    pub fn count(&mut self, call: Call, judgement: &Judgement) {
        let counted = Counted {
            call: match call {
                Call::Upload => "upload",
                Call::Query => "query",
            },
            code: known(&judgement.code),
            verdict: verdict(&judgement.verdict),
        };
        *self.0.entry(counted).or_insert(0) += 1;
    }

    /// All of them.
    pub fn all(&self) -> Vec<(Counted, u64)> {
        self.0.iter().map(|(of, n)| (of.clone(), *n)).collect()
    }
}

/// Codes that are labels as they are: bounded, whatever the service sends.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let of_table = TABLE.iter().filter_map(|row| match &row.on {
        On::Code(code) => Some(code.to_string()),
        On::Status(status) => Some(Code::http(*status).to_string()),
        _ => None,
    });
    let of_success = [200, 201, 202, 204].map(|status| Code::http(status).to_string());
    let own = [
        "0",
        "NO-CONNECTION",
        "BROKEN-OFF",
        "NO-ANSWER",
        "NOT-THE-SERVICE",
    ];
    of_table
        .chain(of_success)
        .chain(own.map(str::to_owned))
        .collect()
});

fn known(code: &Code) -> String {
    let code = code.as_str();
    if KNOWN.contains(code) { code } else { "other" }.to_owned()
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done(_) => "done",
        Verdict::Task(_) => "task",
        Verdict::Unchanged => "unchanged",
        Verdict::Retry(_) => "retry",
        Verdict::Reject => "reject",
        Verdict::Hold => "hold",
        Verdict::Unconfirmed => "unconfirmed",
        Verdict::Follow(..) => "follow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_from_outside_are_bounded() {
        for code in ["OPS40003", "HTTP-429", "0", "NO-ANSWER", "HTTP-200"] {
            assert_eq!(known(&Code::service(code)), code);
        }
        for code in ["OPS49999", "HTTP-599", "", "\"}\n", "no-answer"] {
            assert_eq!(known(&Code::service(code)), "other", "{code:?}");
        }
        assert!(KNOWN.len() < 100, "{}", KNOWN.len());
    }
}
