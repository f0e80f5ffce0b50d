//! The table itself: one literal, read from top to bottom within a kind of
//! match, and printed by `supametas-sync errors`.
//!
//! Must not: hold logic. A new answer of the service is a new row here.

use std::borrow::Cow;
use std::time::Duration;

use super::{Calls, Follow, Holds, Lifts, Limit, On, Pause, Row, Rule, Scope, Then};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
const MIN: u64 = 60;
const HOUR: u64 = 3600;

const fn row(calls: Calls, on: On, meaning: &'static str, rule: Rule) -> Row {
    Row {
        calls,
        on,
        meaning,
        rule,
        pause: None,
        marks: false,
        advice: "",
    }
}

impl Row {
    const fn pausing(mut self, scope: Scope, first: Duration, max: Duration) -> Row {
        self.pause = Some(Pause {
            scope,
            after: 1,
            first,
            max,
            lifts: Lifts::Time,
            holds: Holds::Calls,
        });
        self
    }
    const fn uploads_only(mut self) -> Row {
        if let Some(pause) = &mut self.pause {
            pause.holds = Holds::Uploads;
        }
        self
    }
    const fn marked(mut self) -> Row {
        self.marks = true;
        self
    }
    const fn after(mut self, running: u32) -> Row {
        if let Some(pause) = &mut self.pause {
            pause.after = running;
        }
        self
    }
    const fn until(mut self, lifts: Lifts) -> Row {
        if let Some(pause) = &mut self.pause {
            pause.lifts = lifts;
        }
        self
    }
    const fn advice(mut self, advice: &'static str) -> Row {
        self.advice = advice;
        self
    }
}

const fn code(code: &'static str) -> On {
    On::Code(Cow::Borrowed(code))
}

const RETRY: Rule = Rule::Retry { limit: None };
const fn retry(times: u32, then: Then) -> Rule {
    Rule::Retry {
        limit: Some(Limit { times, then }),
    }
}

/// A gateway that had the whole file and gave up waiting for the service.
const fn gave_up(status: u16) -> Row {
    row(
        Calls::Upload,
        On::Status(status),
        "a gateway gave up waiting for the service, which may have the file",
        Rule::Unconfirmed,
    )
    .pausing(Scope::Service, secs(MIN), secs(HOUR))
    .after(3)
    .uploads_only()
    .advice("look in the service's console: `acknowledge --arrived` if it is there, `retry` if it is not")
}

/// The same gateway, asked about a task.
const fn waits(status: u16) -> Row {
    let meaning = "temporarily unavailable";
    row(Calls::Query, On::Status(status), meaning, RETRY).pausing(
        Scope::Service,
        secs(2),
        secs(15 * MIN),
    )
}

/// A gateway that did not reach the service: it can't have the file.
const fn unreached(status: u16) -> Row {
    let meaning = "a gateway could not reach the service";
    row(Calls::Any, On::Status(status), meaning, RETRY).pausing(
        Scope::Service,
        secs(2),
        secs(15 * MIN),
    )
}

/// The table in force where the configuration overrides nothing.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    // ── the service's own codes, under any 2xx or 400 ──────────────────────
    row(Calls::Any, code("OPS40001"), "`getDemandFormat` is not valid", Rule::Hold)
        .pausing(Scope::Route, secs(HOUR), secs(24 * HOUR)).until(Lifts::ConfigChange)
        .advice("set `format` for this media type to \"json\" or \"markdown\" and reload"),
    row(Calls::Any, code("OPS40002"), "`contentType` is not valid", Rule::Reject)
        .pausing(Scope::Route, secs(15 * MIN), secs(6 * HOUR)).after(5).until(Lifts::ConfigChange)
        .advice("look whether the file is what its name says; if many fail alike, look at the route's options"),
    row(Calls::Any, code("OPS40003"), "at least one field or custom key is needed", Rule::Hold)
        .pausing(Scope::Route, secs(HOUR), secs(24 * HOUR)).until(Lifts::ConfigChange)
        .advice("ask for `title`, `content_details` or a custom key for this media type and reload"),
    row(Calls::Any, code("OPS40004"), "a parameter value is wrong", Rule::Reject)
        .pausing(Scope::Route, secs(15 * MIN), secs(6 * HOUR)).after(5).until(Lifts::ConfigChange)
        .advice("look at the route's options; the service's message names the parameter if it says more"),
    row(Calls::Any, On::CodeClass("OPS4"), "an error of the request that the service's page does not list", Rule::Reject)
        .pausing(Scope::Route, secs(15 * MIN), secs(6 * HOUR)).after(5).until(Lifts::ConfigChange)
        .advice("read the service's message; an override in the configuration can change what is done"),
    row(Calls::Any, On::CodeClass("OPS5"), "an error of the service that its page does not list", retry(8, Then::Exhausted))
        .pausing(Scope::Service, secs(30), secs(15 * MIN)).after(5)
        .advice("wait; if it stays, ask the service with the code and message"),
    row(Calls::Any, On::OtherCode, "an error code that the service's page does not list", Rule::Reject)
        .pausing(Scope::Route, secs(15 * MIN), secs(6 * HOUR)).after(5).until(Lifts::ConfigChange)
        .advice("read the service's message; an override in the configuration can change what is done"),

    // ── 2xx ────────────────────────────────────────────────────────────────
    row(Calls::Any, On::Success, "success", Rule::Done),
    row(Calls::Upload, On::NoTask, "success without a task ID: taken, but it can't be followed", Rule::Done)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).after(3).uploads_only()
        .advice("look in the service's console for an import of this file's name and time; `retry` sends it again if it is not there"),
    row(Calls::Query, On::NoTask, "an answer without a state", Rule::Unchanged),
    row(Calls::Upload, On::Status(206), "part of the answer only", Rule::Unconfirmed)
        .advice("look in the service's console: `acknowledge --arrived` if it is there, `retry` if it is not"),
    row(Calls::Upload, On::NotEnvelope, "a success whose body is not the service's: a proxy or portal may have answered", Rule::Unconfirmed)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).after(3)
        .advice("call the base URL from this machine by hand and see who answers"),
    row(Calls::Query, On::NotEnvelope, "a success whose body is not the service's: a proxy or portal may have answered", RETRY)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).after(3)
        .advice("call the base URL from this machine by hand and see who answers"),
    row(Calls::Query, On::OtherTask, "an answer about another task: nothing is concluded", RETRY)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).after(3)
        .advice("a cache or proxy may be mixing up answers: call `query-task` from this machine by hand and see who answers"),

    // ── 3xx ────────────────────────────────────────────────────────────────
    row(Calls::Any, On::Status(301), "moved for good", Rule::Hold)
        .pausing(Scope::Service, secs(HOUR), secs(24 * HOUR)).until(Lifts::ConfigChange)
        .advice("if you trust the new address, set it as `base_url` and reload; the key is never sent there by itself"),
    row(Calls::Any, On::Status(308), "moved for good", Rule::Hold)
        .pausing(Scope::Service, secs(HOUR), secs(24 * HOUR)).until(Lifts::ConfigChange)
        .advice("if you trust the new address, set it as `base_url` and reload; the key is never sent there by itself"),
    row(Calls::Any, On::Elsewhere, "a redirect to another host, or to nowhere", Rule::Hold)
        .pausing(Scope::Service, secs(HOUR), secs(24 * HOUR)).until(Lifts::ConfigChange)
        .advice("if you trust the new address, set it as `base_url` and reload; the key is never sent there by itself"),
    row(Calls::Any, On::TooManyHops, "redirected more than 3 times in a row", Rule::Hold)
        .pausing(Scope::Service, secs(15 * MIN), secs(6 * HOUR)).until(Lifts::ConfigChange)
        .advice("check `base_url`; the service redirects in a circle"),
    row(Calls::Any, On::Status(303), "the result is at another address", Rule::Follow(Follow::Get)),
    row(Calls::Upload, On::Status(304), "not modified: taken, but it can't be followed", Rule::Done)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).after(3).uploads_only()
        .advice("look in the service's console for an import of this file's name and time; `retry` sends it again if it is not there"),
    row(Calls::Query, On::Status(304), "not modified", Rule::Unchanged),
    row(Calls::Any, On::Status(307), "for now at another address", Rule::Follow(Follow::Same)),
    row(Calls::Any, On::Class(3), "a redirect that the service's page does not list", Rule::Hold)
        .pausing(Scope::Service, secs(15 * MIN), secs(6 * HOUR)).until(Lifts::ConfigChange)
        .advice("call the base URL from this machine by hand: a proxy or portal may be answering"),

    // ── 4xx ────────────────────────────────────────────────────────────────
    row(Calls::Any, On::Status(400), "syntax or parameter error", Rule::Reject)
        .pausing(Scope::Route, secs(15 * MIN), secs(6 * HOUR)).after(5).until(Lifts::ConfigChange)
        .advice("read the service's message; if many fail alike, look at the route's options"),
    row(Calls::Any, On::Status(401), "authentication failed", Rule::Hold)
        .pausing(Scope::Dataset, secs(HOUR), secs(24 * HOUR)).until(Lifts::KeyChange)
        .advice("put a valid Access-Key into the dataset's key file and reload (restart where the key is a `credential`: systemd reads it at the start alone), or `resume` the dataset"),
    row(Calls::Any, On::Status(402), "payment required, or the quota is used up", Rule::Hold)
        .pausing(Scope::Dataset, secs(HOUR), secs(24 * HOUR)).until(Lifts::KeyChange).uploads_only()
        .advice("look in the console at the balance and quota of this key; `resume` the dataset once it is filled up"),
    row(Calls::Any, On::Status(403), "refused, for instance after too many bad requests", Rule::Hold)
        .pausing(Scope::Dataset, secs(15 * MIN), secs(6 * HOUR)).until(Lifts::KeyChange)
        .advice("wait; if it stays, check in the console what the key may do"),
    row(Calls::Upload, On::Status(404), "no such address: the path is wrong for this service", Rule::Hold)
        .pausing(Scope::Route, secs(HOUR), secs(24 * HOUR)).until(Lifts::ConfigChange)
        .advice("correct the endpoint path of this media type, or `base_url`, and reload"),
    row(Calls::Query, On::Status(404), "the service does not know the task", retry(3, Then::Lost))
        .advice("look for it in the service's console; `retry` sends the file again"),
    row(Calls::Any, On::Status(405), "the method is not supported: the path is wrong for this service", Rule::Hold)
        .pausing(Scope::Route, secs(HOUR), secs(24 * HOUR)).until(Lifts::ConfigChange)
        .advice("correct the endpoint path of this media type, or `base_url`, and reload"),
    row(Calls::Any, On::Status(406), "the service does not take this data format", Rule::Reject)
        .advice("convert the file, or take its extension out of the type lists"),
    row(Calls::Any, On::Status(407), "a proxy on the way asks for a user name and password", Rule::Hold)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).until(Lifts::ConfigChange)
        .advice("put `user:password` into a file that `proxy_login_file` in [service] names, and reload"),
    row(Calls::Any, On::Status(408), "the service waited too long for the request (RFC 9110 15.5.9)", RETRY).marked(),
    row(Calls::Any, On::Status(409), "state conflict", retry(3, Then::Rejected)),
    row(Calls::Any, On::Status(413), "too large for the service", Rule::Reject)
        .advice("split the file, or lower `max_size` so that such files are not tried"),
    row(Calls::Any, On::Status(415), "the service does not take this media type", Rule::Reject)
        .advice("convert the file, or take its extension out of the type lists"),
    row(Calls::Any, On::Status(421), "what answers there does not serve this host (RFC 9110 15.5.20)", Rule::Hold)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).until(Lifts::ConfigChange)
        .advice("check `base_url` and `proxy`: the request reached another server than the service's"),
    row(Calls::Any, On::Status(422), "the service can't process the content", Rule::Reject)
        .pausing(Scope::Route, secs(15 * MIN), secs(6 * HOUR)).after(5).until(Lifts::ConfigChange)
        .advice("look whether the file is damaged; if many fail alike, look at the route's options"),
    row(Calls::Any, On::Status(425), "too early (RFC 8470)", RETRY),
    row(Calls::Any, On::Status(429), "too many requests", RETRY)
        .pausing(Scope::Dataset, secs(1), secs(15 * MIN))
        .advice("nothing to do; if it is constant, lower `max_concurrent` or set `requests_per_second`"),
    row(Calls::Any, On::Status(431), "the request's headers are too large for something on the way (RFC 6585)", Rule::Hold)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).until(Lifts::ConfigChange)
        .advice("check the length of the Access-Key, and what a proxy on the way adds to requests"),
    row(Calls::Any, On::Class(4), "a client error that the service's page does not list", Rule::Reject)
        .pausing(Scope::Route, secs(15 * MIN), secs(6 * HOUR)).after(5).until(Lifts::ConfigChange)
        .advice("read the service's message; an override in the configuration can change what is done"),

    // ── 5xx ────────────────────────────────────────────────────────────────
    row(Calls::Any, On::Status(500), "unexpected error of the service", retry(8, Then::Exhausted)).marked()
        .pausing(Scope::Service, secs(30), secs(15 * MIN)).after(5)
        .advice("wait; if it stays for one file only, look whether that file is damaged, then `retry` it"),
    row(Calls::Any, On::Status(502), "temporarily unavailable", RETRY).marked()
        .pausing(Scope::Service, secs(2), secs(15 * MIN)),
    row(Calls::Any, On::Status(503), "overloaded, or down for maintenance", RETRY).marked()
        .pausing(Scope::Service, secs(2), secs(15 * MIN)),
    gave_up(504), waits(504),
    row(Calls::Any, On::Status(511), "a network on the way wants a log-in first (RFC 6585)", Rule::Hold)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).until(Lifts::ConfigChange)
        .advice("log this machine in to the network or proxy that answers; uploads go on by themselves"),
    gave_up(520), waits(520),
    unreached(521), unreached(522), unreached(523),
    gave_up(524), waits(524),
    unreached(525), unreached(526), unreached(530),
    row(Calls::Any, On::Class(5), "an error of the service that its page does not list", retry(8, Then::Exhausted)).marked()
        .pausing(Scope::Service, secs(30), secs(15 * MIN)).after(5)
        .advice("wait; if it stays, ask the service with the status and message"),

    // ── no answer ──────────────────────────────────────────────────────────
    row(Calls::Any, On::NoConnection, "no connection, no address or no TLS: nothing was sent", RETRY)
        .pausing(Scope::Service, secs(1), secs(5 * MIN))
        .advice("check the network, the name in `base_url`, and the machine's CA certificates"),
    row(Calls::Any, On::BrokenBefore, "broken off before the last byte was sent: the service cannot have it", RETRY),
    row(Calls::Upload, On::BrokenAfter, "no answer after the last byte was sent: the service may have it", Rule::Unconfirmed)
        .pausing(Scope::Service, secs(MIN), secs(HOUR)).after(3).uploads_only()
        .advice("look in the service's console: `acknowledge --arrived` if it is there, `retry` if it is not"),
    row(Calls::Query, On::BrokenAfter, "no answer to a query", RETRY),
];
