//! The rows that a person means by `OPS40003`, `429`, `HTTP-413`, `4xx` or
//! `no-connection`.
//!
//! Must not: decide which row is in force for an answer: [`ErrorTable::row`]
//! does, and is asked here too.

use super::{Calls, ErrorTable, On, Row};
use crate::domain::answer::Call;
use crate::domain::spelling::did_you_mean;

/// The answers that are written as words, as [`On`] shows them.
pub const WORDS: [(&str, On); 13] = [
    ("success", On::Success),
    ("no-task-id", On::NoTask),
    ("not-envelope", On::NotEnvelope),
    ("other-task", On::OtherTask),
    ("redirect-elsewhere", On::Elsewhere),
    ("redirect-loop", On::TooManyHops),
    ("3xx", On::Class(3)),
    ("4xx", On::Class(4)),
    ("5xx", On::Class(5)),
    ("other-code", On::OtherCode),
    ("no-connection", On::NoConnection),
    ("broken-before-last-byte", On::BrokenBefore),
    ("broken-after-last-byte", On::BrokenAfter),
];

impl On {
    /// The label under which `list`, `show` and the log have an answer that has
    /// neither a status nor a code.
    pub(in crate::domain) const fn own_label(&self) -> Option<&'static str> {
        Some(match self {
            On::NoConnection => "NO-CONNECTION",
            On::BrokenBefore => "BROKEN-OFF",
            On::BrokenAfter => "NO-ANSWER",
            On::NotEnvelope => "NOT-THE-SERVICE",
            On::OtherTask => "OTHER-TASK",
            On::NoTask => "NO-TASK-ID",
            On::Success => "0",
            _ => return None,
        })
    }

    /// Reads what a person calls an answer: a word of the table, a status, a
    /// class (`4xx`, `OPS4*`), a code of the service. Upper and lower case are
    /// one. `None`: it is none of these.
    pub fn parse(text: &str) -> Option<On> {
        if let Some((key, message)) = text.split_once(':')
            && key.trim().eq_ignore_ascii_case("message")
        {
            let message = message.trim().to_lowercase();
            return (!message.is_empty()).then_some(On::Message(message));
        }
        let text = text.trim().to_ascii_uppercase();
        let word = |(word, _): &&(&str, On)| word.eq_ignore_ascii_case(&text);
        if let Some((_, on)) = WORDS.iter().find(word) {
            return Some(on.clone());
        }
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if digits(&text) && text.len() == 3 {
            return text.parse().ok().map(On::Status);
        }
        for class in ["OPS4", "OPS5"] {
            let rest = text.strip_prefix(class);
            if matches!(rest, Some("…" | "..." | "*" | "XX" | "XXXX")) {
                return Some(On::CodeClass(class));
            }
        }
        let code = text.strip_prefix("OPS").unwrap_or(&text);
        (digits(code) && (4..=29).contains(&code.len())).then(|| On::Code(text.into()))
    }
}

/// What is known of what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum About<'t> {
    /// Rows of its own: one, or one for each kind of call.
    Own(Vec<&'t Row>),
    /// It has none of its own and falls under these.
    Class(Vec<&'t Row>),
    /// A success is told by its body: one of these.
    ByBody(Vec<&'t Row>),
    /// Nothing of this name.
    Unknown {
        /// What may have been meant.
        near: Option<String>,
    },
}

impl ErrorTable {
    /// The rows about what a person asks for.
    pub fn about(&self, asked: &str) -> About<'_> {
        let asked = asked.trim();
        let upper = asked.to_ascii_uppercase();
        // As `show` and `list` have it: HTTP-413, NO-ANSWER.
        let text = upper.strip_prefix("HTTP-").unwrap_or(&upper);
        let labelled = WORDS.iter().find(|(_, on)| on.own_label() == Some(text));
        let on = labelled
            .map(|(_, on)| on.clone())
            .or_else(|| On::parse(text));
        match on {
            Some(On::Status(100..=199 | 600..)) | None => About::Unknown {
                near: self.near(asked),
            },
            Some(On::Status(200..=205 | 207..=299)) => About::ByBody(
                [On::Success, On::NoTask, On::NotEnvelope]
                    .iter()
                    .flat_map(|on| self.both(on))
                    .collect(),
            ),
            Some(on) => {
                let rows = self.both(&on);
                if rows.iter().any(|row| row.on == on) {
                    About::Own(rows)
                } else {
                    About::Class(rows)
                }
            }
        }
    }

    /// The row for uploads and the row for queries; one, where they are one.
    fn both(&self, on: &On) -> Vec<&Row> {
        let (upload, query) = (self.row(Call::Upload, on), self.row(Call::Query, on));
        if upload == query {
            vec![upload]
        } else {
            vec![upload, query]
        }
    }

    /// The documented row in whose place `row` stands; `None` if it is it.
    pub fn documented(row: &Row) -> Option<Row> {
        let call = match row.calls {
            Calls::Query => Call::Query,
            Calls::Any | Calls::Upload => Call::Upload,
        };
        let table = ErrorTable::default();
        let was = table.row(call, &row.on);
        let same = was.rule == row.rule && was.pause == row.pause;
        (!same).then(|| was.clone())
    }

    fn near(&self, asked: &str) -> Option<String> {
        let names: Vec<String> = self.rows().iter().map(|row| row.on.to_string()).collect();
        let labels = || WORDS.iter().filter_map(|(_, on)| on.own_label());
        did_you_mean(asked, names.iter().map(String::as_str))
            .or_else(|| did_you_mean(asked, labels()))
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_table::{Rule, TABLE};

    /// What is asked for, and the rows that answer it; `~` before a class, `?`
    /// before what may have been meant.
    #[rustfmt::skip]
    const ASKED: [(&str, &str); 25] = [
        ("OPS40003", "OPS40003"), ("ops40003", "OPS40003"), (" 429 ", "429"),
        ("HTTP-413", "413"), ("http-413", "413"), ("no-connection", "no-connection"),
        ("NO-CONNECTION", "no-connection"), ("NO-ANSWER", "broken-after-last-byte broken-after-last-byte"),
        ("BROKEN-OFF", "broken-before-last-byte"), ("not-the-service", "not-envelope not-envelope"),
        ("404", "404 404"), ("206", "206 not-envelope"), ("4xx", "4xx"), ("4XX", "4xx"),
        ("OPS4*", "OPS4…"), ("OPS4…", "OPS4…"), ("0", "success"),
        ("418", "~4xx"), ("599", "~5xx"), ("OPS40999", "~OPS4…"), ("123456", "~other-code"),
        ("no-conection", "?no-connection"), ("OPS40003x", "?OPS40003"), ("", "?"), ("999", "?"),
    ];

    #[test]
    fn what_people_call_an_answer_is_found() {
        let table = ErrorTable::default();
        let names = |rows: &[&Row]| {
            let names: Vec<String> = rows.iter().map(|row| row.on.to_string()).collect();
            names.join(" ")
        };
        for (asked, wanted) in ASKED {
            let got = match table.about(asked) {
                About::Own(rows) => names(&rows),
                About::Class(rows) => format!("~{}", names(&rows)),
                About::ByBody(_) => "by body".to_owned(),
                About::Unknown { near } => format!("?{}", near.unwrap_or_default()),
            };
            assert_eq!(got, wanted, "{asked:?}");
        }
        assert!(matches!(table.about("200"), About::ByBody(rows) if rows.len() >= 4));
    }

    #[test]
    fn an_overridden_row_shows_what_it_stands_for() {
        let table = ErrorTable::default();
        for row in table.rows() {
            assert_eq!(ErrorTable::documented(row), None, "{}", row.on);
            let other_pause = Row {
                pause: match row.pause {
                    Some(_) => None,
                    None => TABLE[0].pause,
                },
                ..row.clone()
            };
            let other_rule = Row {
                rule: match row.rule {
                    Rule::Reject => Rule::Hold,
                    _ => Rule::Reject,
                },
                ..row.clone()
            };
            for overridden in [other_pause, other_rule] {
                let documented = ErrorTable::documented(&overridden);
                assert_eq!(documented.as_ref(), Some(row), "{overridden:?}");
            }
        }
    }

    #[test]
    fn every_row_is_found_by_its_own_name() {
        let table = ErrorTable::default();
        for row in table.rows() {
            let found = table.about(&row.on.to_string());
            assert!(
                matches!(&found, About::Own(rows) if rows.contains(&row)),
                "{}: {found:?}",
                row.on
            );
        }
    }
}
