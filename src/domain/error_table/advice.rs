//! A row of the table in whole sentences, for a person who has one answer in
//! front of them: what happens to the file, who else waits and how long, and
//! what to do.
//!
//! Must not: say anything that is not in the row, or know the configuration
//! but for the limits that it is given.

use std::time::Duration;

use super::{Calls, Follow, Holds, Lifts, On, Pause, Row, Rule, Scope, Then};
use crate::domain::policy::{OnUnconfirmed, Policy};

/// What happens to the file; for a query, to its task. `policy`: with its
/// limits, where one is known.
pub fn for_the_file(row: &Row, policy: Option<&Policy>) -> String {
    let query = row.calls == Calls::Query;
    match row.rule {
        Rule::Done if row.on == On::Success => {
            "taken; its task is asked about until it ends".to_owned()
        }
        Rule::Done => {
            "counts as taken; without a task ID it ends as `untracked`, and is sent again only by `retry`"
                .to_owned()
        }
        Rule::Retry { limit: None } if query => format!(
            "the task is asked about again, {}; the file is not touched",
            waits(policy)
        ),
        Rule::Retry { limit: None } => format!(
            "sent again, {}, for as long as `give_up_after` allows{}; after that it ends as `exhausted`{}",
            waits(policy),
            policy.map_or(String::new(), |p| format!(" ({})", time(p.give_up_after))),
            marked(row),
        ),
        Rule::Retry { limit: Some(limit) } => format!(
            "{} up to {} more times, {}; one failure more, and it ends as `{}`{}",
            if query { "the task is asked about" } else { "sent again" },
            limit.times,
            waits(policy),
            then(limit.then),
            if query { "" } else { marked(row) },
        ),
        Rule::Reject => {
            "ends as `rejected`: it is never sent again by itself, only with `retry`, or when it is dropped anew"
                .to_owned()
        }
        Rule::Hold => {
            "not its fault: it goes back to its place in the queue, and the try does not count"
                .to_owned()
        }
        Rule::Unconfirmed => {
            let times = match policy.map(|p| p.unconfirmed) {
                Some(OnUnconfirmed::Resend { times, first }) => {
                    format!(", after {} at least, at most {times} times in a row", time(first))
                }
                _ => String::new(),
            };
            format!(
                "the service may have it or not: with `unconfirmed = \"resend\"` it is sent again and \
                 marked as a possible duplicate{times}; with \"hold\" it ends as `unconfirmed`, and you \
                 decide; an answer that came before the last byte is simply tried again"
            )
        }
        Rule::Follow(Follow::Get) => {
            "the result is fetched from the address that the answer names, if that is on the same host"
                .to_owned()
        }
        Rule::Follow(Follow::Same) => {
            "sent to the address that the answer names, if that is on the same host; at most 3 times in a row"
                .to_owned()
        }
        Rule::Unchanged => "nothing: the task is asked about again later".to_owned(),
    }
}

/// Who else waits, how long, and what ends it.
pub fn for_the_others(row: &Row) -> String {
    let Some(pause) = row.pause else {
        return "nobody else waits".to_owned();
    };
    if row.calls == Calls::Query && pause.scope == Scope::Route {
        return "nobody else waits: a query says nothing about a route".to_owned();
    }
    let scope = match (pause.scope, pause.holds) {
        (Scope::Route, _) => "its route (this folder's files of this media type)",
        (Scope::Dataset, Holds::Calls) => {
            "its dataset (all that is sent or asked with the same Access-Key)"
        }
        (Scope::Dataset, Holds::Uploads) => {
            "its dataset's uploads (all that is sent with the same Access-Key; tasks are followed)"
        }
        (Scope::Service, Holds::Calls) => "everything that is sent or asked, whatever its folder",
        (Scope::Service, Holds::Uploads) => {
            "everything that is sent, whatever its folder; tasks are followed"
        }
    };
    format!("{}{scope} {}", after(&pause), probes(&pause))
}

/// What opens the pause before its time.
pub fn ends(row: &Row) -> Option<&'static str> {
    Some(match row.pause?.lifts {
        Lifts::Time => "`supametas-sync resume` ends the pause at once",
        Lifts::KeyChange => {
            "another Access-Key and a reload (a restart, where it is a `credential`) end the pause at once; so does `supametas-sync resume`"
        }
        Lifts::ConfigChange => {
            "changed settings and a reload end the pause at once; so does `supametas-sync resume`"
        }
    })
}

/// What the operator can do.
pub fn to_do(row: &Row) -> &'static str {
    match (row.advice, row.rule, row.pause) {
        ("", Rule::Retry { .. }, _) => "nothing: it mends itself, or `list --attention` has it",
        ("", _, _) => "nothing",
        (advice, _, _) => advice,
    }
}

/// Said of an answer that does not prove that the file was not taken.
const fn marked(row: &Row) -> &'static str {
    if row.marks {
        "; an answer after the last byte may come from a gateway, so what is sent again is marked as a possible duplicate"
    } else {
        ""
    }
}

fn after(pause: &Pause) -> String {
    match (pause.after, pause.scope) {
        (0 | 1, _) => String::new(),
        (n, Scope::Route) => format!("after {n} different files in a row: "),
        (n, _) => format!("after {n} such answers in a row: "),
    }
}

fn probes(pause: &Pause) -> String {
    format!(
        "waits; after {} one file goes out to see, then after twice as long each time, up to {}",
        time(pause.first),
        time(pause.max)
    )
}

fn waits(policy: Option<&Policy>) -> String {
    let bounds = policy.map_or(String::new(), |p| {
        let (first, longest) = (p.backoff.ceiling(1), p.backoff.ceiling(u32::MAX));
        format!(" ({} at first, up to {})", time(first), time(longest))
    });
    format!("after a wait that doubles with each failure{bounds}")
}

/// The state that a limit leads to.
pub const fn then(then: Then) -> &'static str {
    match then {
        Then::Rejected => "rejected",
        Then::Exhausted => "exhausted",
        Then::Lost => "lost",
    }
}

/// A length of time that the table has: its largest whole unit.
pub fn time(time: Duration) -> String {
    match time.as_secs() {
        _ if time.subsec_millis() > 0 => format!("{} ms", time.as_millis()),
        s if s >= 86_400 && s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s >= 3600 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ErrorTable, TABLE};
    use super::*;
    use crate::domain::answer::Call;
    use crate::domain::backoff::Backoff;
    use crate::domain::policy::{AfterSuccess, OnReject, PollPace};

    #[test]
    fn every_row_says_something_for_everybody() {
        for row in TABLE {
            let (file, others) = (for_the_file(row, None), for_the_others(row));
            assert!(!file.is_empty() && !others.is_empty() && !to_do(row).is_empty());
            assert_eq!(ends(row).is_some(), row.pause.is_some(), "{}", row.on);
            assert_eq!(
                others == "nobody else waits",
                row.pause.is_none(),
                "{}",
                row.on
            );
        }
    }

    /// An answer to an upload, and what must be in the sentences about it.
    #[rustfmt::skip]
    const SAID: [(&str, Call, [&str; 4]); 6] = [
        ("OPS40003", Call::Upload, ["goes back to its place", "its route", "after 1 h one file", "changed settings"]),
        ("429", Call::Upload, ["sent again", "its dataset", "up to 15 min", "`supametas-sync resume` ends"]),
        ("401", Call::Upload, ["goes back", "Access-Key", "up to 1 d", "another Access-Key"]),
        ("500", Call::Upload, ["up to 8 more times", "after 5 such answers in a row", "everything", "`exhausted`"]),
        ("422", Call::Upload, ["`rejected`", "after 5 different files", "its route", "resume"]),
        ("404", Call::Query, ["asked about up to 3 more times", "`lost`", "nobody else waits", ""]),
    ];

    #[test]
    fn the_sentences_say_what_the_row_says() {
        let table = ErrorTable::default();
        for (asked, call, wanted) in SAID {
            let on = On::parse(asked).expect("an answer");
            let row = table.row(call, &on);
            let said = [
                for_the_file(row, None),
                for_the_others(row),
                ends(row).unwrap_or("").to_owned(),
            ]
            .join("\n");
            for words in wanted {
                assert!(said.contains(words), "{asked}: no {words:?} in\n{said}");
            }
        }
    }

    #[test]
    fn a_length_of_time_has_its_largest_whole_unit() {
        for (ms, text) in [
            (0, "0 s"),
            (999, "999 ms"),
            (1_500, "1500 ms"),
            (59_000, "59 s"),
            (60_000, "1 min"),
            (61_000, "61 s"),
            (120_000, "2 min"),
            (3_600_000, "1 h"),
            (5_400_000, "90 min"),
            (7_200_000, "2 h"),
            (86_400_000, "1 d"),
            (90_000_000, "25 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(time(Duration::from_millis(ms)), text);
        }
    }

    fn row(call: Call, asked: &str) -> Row {
        let on = On::parse(asked).expect("an answer");
        ErrorTable::default().row(call, &on).clone()
    }

    #[test]
    fn only_a_success_with_its_task_is_followed() {
        let said = |asked| for_the_file(&row(Call::Upload, asked), None);
        assert!(said("success").contains("until it ends"));
        for untracked in ["no-task-id", "304"] {
            assert!(said(untracked).contains("`untracked`"), "{untracked}");
        }
    }

    #[test]
    fn the_limits_in_force_are_named() {
        let secs = Duration::from_secs;
        let policy = Policy {
            backoff: Backoff::new(secs(1), secs(15 * 60)).expect("bounds"),
            give_up_after: secs(30 * 86_400),
            unconfirmed: OnUnconfirmed::Resend {
                times: 3,
                first: secs(60),
            },
            resubmit_failed: 0,
            poll: PollPace {
                first: secs(5),
                max: secs(60),
            },
            quiet: secs(2),
            reimport_after: Duration::ZERO,
            after: AfterSuccess::Keep,
            on_reject: OnReject::Keep,
        };
        let said = |call, asked| for_the_file(&row(call, asked), Some(&policy));
        let again = said(Call::Upload, "503");
        assert!(again.contains("sent again"), "{again}");
        assert!(again.contains("(1 s at first, up to 15 min)"), "{again}");
        assert!(again.contains("`give_up_after` allows (30 d)"), "{again}");
        let task = said(Call::Query, "broken-after-last-byte");
        assert!(task.contains("the task is asked about again"), "{task}");
        let unconfirmed = said(Call::Upload, "broken-after-last-byte");
        assert!(unconfirmed.contains("at most 3 times"), "{unconfirmed}");
    }

    #[test]
    fn a_query_holds_up_what_is_wider_than_a_route() {
        let mut portal = row(Call::Query, "not-envelope");
        assert!(for_the_others(&portal).contains("everything"));
        portal.pause = row(Call::Upload, "404").pause;
        assert!(for_the_others(&portal).starts_with("nobody else waits: a query"));
    }

    #[test]
    fn where_the_table_advises_nothing_there_is_nothing_to_do() {
        let to_do = |asked| to_do(&row(Call::Upload, asked));
        assert_eq!(to_do("success"), "nothing");
        assert!(to_do("502").starts_with("nothing: it mends itself"));
        assert!(to_do("413").contains("`max_size`"));
    }
}
