//! The same answer, several times running: when it is the route, the dataset
//! or the service that is to blame, and not the files.

use super::*;

fn reject(code: u16) -> Judgement {
    said(Verdict::Reject, code, Some(pause(Scope::Route, 5)))
}

fn server_error() -> Judgement {
    said(Verdict::Retry(None), 500, Some(pause(Scope::Service, 5)))
}

/// Answers in turn; what became of the last.
fn all(way: &mut Way, answers: impl IntoIterator<Item = (i64, Judgement)>) -> Weighed {
    let mut last = None;
    for (file, judgement) in answers {
        last = Some(weigh(way, FileId(file), judgement, at(0)));
    }
    last.expect("at least one")
}

fn files(way: &Way) -> Vec<i64> {
    let streak = way.route.gate.streak.as_ref();
    streak.map_or(vec![], |s| s.files.iter().map(|f| f.0).collect())
}

#[test]
fn five_different_files_running_are_the_routes_fault() {
    let mut way = way();
    for n in 1..=4 {
        let weighed = weigh(&mut way, FileId(n), reject(400), at(0));
        assert_eq!(weighed.judgement.verdict, Verdict::Reject);
        assert_eq!(weighed.returned, []);
        assert_eq!(way.route.gate.status, Status::Open);
        assert_eq!(files(&way), (1..=n).collect::<Vec<_>>());
    }
    let weighed = weigh(&mut way, FileId(5), reject(400), at(0));
    assert_eq!(
        weighed.judgement.verdict,
        Verdict::Hold,
        "the fifth is held"
    );
    assert_eq!(
        weighed.returned,
        [1, 2, 3, 4].map(FileId),
        "the others return"
    );
    assert_eq!(until(&way.route.gate), (10_000, 1));
    assert_eq!(way.route.gate.streak, None);
    assert_eq!(way.dataset.gate, Gate::default());
    assert_eq!(way.service.gate, Gate::default());
    let held = reject(400);
    assert_eq!(
        weighed.judgement,
        Judgement {
            verdict: Verdict::Hold,
            ..held
        },
        "nothing else of the judgement changes"
    );
}

#[test]
fn one_file_five_times_is_its_own_fault() {
    let mut way = way();
    let last = all(&mut way, [1, 1, 1, 1, 1, 1].map(|f| (f, reject(400))));
    assert_eq!(last.judgement.verdict, Verdict::Reject);
    assert_eq!(files(&way), [1]);
    let last = all(&mut way, [2, 1, 3, 2, 4, 4].map(|f| (f, reject(400))));
    assert_eq!(last.judgement.verdict, Verdict::Reject);
    assert_eq!(files(&way), [1, 2, 3, 4]);
    let last = all(&mut way, [(9, reject(400))]);
    assert_eq!(last.returned, [1, 2, 3, 4].map(FileId));
}

/// Four rejections, then something else, then a fifth: what the something
/// else makes of the row.
#[test]
fn what_breaks_a_routes_row_of_rejections() {
    let task = said(Verdict::Task(TaskState::Success), 200, None);
    #[rustfmt::skip]
    let table = [
        (taken(),                                    true),
        (said(Verdict::Done(None), 204, None),       true),
        (reject(422),                                true),
        // Neither a query nor another's fault is a success of the route.
        (task,                                       false),
        (said(Verdict::Unchanged, 304, None),        false),
        (said(Verdict::Reject, 413, None),           false),
        (said(Verdict::Retry(None), 408, None),      false),
        (unheard(Verdict::Unconfirmed),              false),
        (server_error(),                             false),
        (fails(Scope::Dataset),                      false),
    ];
    for (between, breaks) in table {
        let mut way = way();
        let _ = all(&mut way, [1, 2, 3, 4].map(|f| (f, reject(400))));
        let _ = all(&mut way, [(50, between.clone())]);
        let last = all(&mut way, [(5, reject(400))]);
        let expected = if breaks {
            Verdict::Reject
        } else {
            Verdict::Hold
        };
        assert_eq!(last.judgement.verdict, expected, "{between:?}");
        assert_eq!(way.route.gate.closed().is_none(), breaks);
        assert_eq!(files(&way), if breaks { vec![5] } else { vec![] });
    }
}

#[test]
fn the_service_is_counted_by_requests_and_not_by_files() {
    let mut way = way();
    let last = all(&mut way, [1, 1, 1, 1].map(|f| (f, server_error())));
    assert_eq!(last.judgement.verdict, Verdict::Retry(None));
    assert_eq!(way.service.gate.status, Status::Open);
    let last = all(&mut way, [(1, server_error())]);
    assert_eq!(
        last.judgement.verdict,
        Verdict::Retry(None),
        "it keeps its try"
    );
    assert_eq!(last.returned, [], "there is nothing to take back");
    assert_eq!(until(&way.service.gate), (10_000, 1));
}

#[test]
fn what_breaks_a_row_of_server_errors() {
    let portal = Judgement {
        heard: false,
        ..said(Verdict::Unconfirmed, 200, Some(pause(Scope::Service, 3)))
    };
    #[rustfmt::skip]
    let table = [
        (taken(),                                              true),
        (said(Verdict::Task(TaskState::Pending), 200, None),   true),
        (reject(400),                                          true),
        (fails(Scope::Dataset),                                true),
        (portal,                                               true),
        (unheard(Verdict::Unconfirmed),                        false),
        (unheard(Verdict::Retry(None)),                        false),
    ];
    for (between, breaks) in table {
        let mut way = way();
        let _ = all(&mut way, [1, 2, 3, 4].map(|f| (f, server_error())));
        let _ = all(&mut way, [(50, between.clone())]);
        let _ = all(&mut way, [(5, server_error())]);
        let open = way.service.gate.status == Status::Open;
        assert_eq!(open, breaks, "{between:?}");
    }
}

#[test]
fn three_answers_that_are_not_the_services_close_it() {
    let portal = || Judgement {
        heard: false,
        ..said(Verdict::Unconfirmed, 200, Some(pause(Scope::Service, 3)))
    };
    let mut way = way();
    let _ = all(&mut way, [(1, portal()), (1, portal())]);
    assert_eq!(way.service.gate.status, Status::Open);
    let last = all(&mut way, [(2, portal())]);
    assert_eq!(last.judgement.verdict, Verdict::Unconfirmed);
    assert!(way.service.gate.closed().is_some());
}

#[test]
fn a_dataset_can_be_counted_too() {
    let refused = || said(Verdict::Reject, 451, Some(pause(Scope::Dataset, 3)));
    let mut way = way();
    let _ = all(&mut way, [(1, refused()), (2, refused())]);
    let _ = all(&mut way, [(3, taken())]);
    assert_eq!(way.dataset.gate.streak, None);
    let _ = all(&mut way, [(1, refused()), (2, refused())]);
    let last = all(&mut way, [(3, refused())]);
    assert_eq!(last.judgement.verdict, Verdict::Hold);
    assert_eq!(last.returned, [1, 2].map(FileId));
    assert!(way.dataset.gate.closed().is_some());
    assert_eq!(way.route.gate, Gate::default());
}

#[test]
fn a_count_of_nothing_closes_at_once() {
    let mut way = way();
    let judgement = said(Verdict::Retry(None), 500, Some(pause(Scope::Service, 0)));
    let _ = all(&mut way, [(1, judgement)]);
    assert!(way.service.gate.closed().is_some());
}

fn lost(code: &'static str) -> Judgement {
    let pause = Pause {
        holds: Holds::Uploads,
        ..pause(Scope::Service, 3)
    };
    Judgement {
        heard: false,
        code: Code::own(code),
        ..said(Verdict::Unconfirmed, 0, Some(pause))
    }
}

/// Whoever loses the answers: the connection, a gateway, a portal.
#[test]
fn answers_that_leave_a_file_in_doubt_are_counted_together() {
    let mut way = way();
    let _ = all(&mut way, [(1, lost("NO-ANSWER")), (2, lost("HTTP-504"))]);
    assert_eq!(way.service.gate.status, Status::Open);
    // What a query is answered says nothing about them.
    let task = said(Verdict::Task(TaskState::Pending), 200, None);
    let last = all(&mut way, [(9, task), (3, lost("HTTP-524"))]);
    assert_eq!(last.judgement.verdict, Verdict::Unconfirmed);
    let closed = way.service.gate.closed().expect("it is closed");
    assert_eq!(closed.code.as_str(), "HTTP-524");
    // An upload that is answered does.
    let mut way = super::way();
    let between = [(1, lost("A")), (2, lost("A")), (3, taken()), (4, lost("A"))];
    let _ = all(&mut way, between);
    assert_eq!(way.service.gate.status, Status::Open);
}

#[test]
fn three_successes_without_a_task_close_it() {
    let untracked = |code| {
        let pause = Pause {
            holds: Holds::Uploads,
            ..pause(Scope::Service, 3)
        };
        said(Verdict::Done(None), code, Some(pause))
    };
    let mut way = way();
    let last = all(
        &mut way,
        [200, 204, 304].map(|code| (i64::from(code), untracked(code))),
    );
    assert_eq!(last.judgement.verdict, Verdict::Done(None), "it was taken");
    assert_eq!(until(&way.service.gate), (10_000, 1));
    way.service.gate.probe(PROBE);
    let _ = weigh(&mut way, PROBE, untracked(204), at(10_000));
    assert_eq!(until(&way.service.gate), (30_000, 2));
}

/// A gate that holds back uploads alone: queries pass, and prove nothing.
#[test]
fn queries_pass_where_uploads_alone_are_held_back() {
    let mut way = way();
    let _ = all(&mut way, [1, 2, 3].map(|n| (n, lost("NO-ANSWER"))));
    assert!(!way.service.gate.holds_queries());
    let task = said(Verdict::Task(TaskState::Success), 200, None);
    let _ = all(&mut way, [(7, task)]);
    assert!(
        way.service.gate.closed().is_some(),
        "a query does not open it"
    );
    // One that shows that the service is down makes queries wait, too.
    let down = Judgement {
        call: Call::Query,
        ..fails(Scope::Service)
    };
    let _ = all(&mut way, [(8, down)]);
    assert!(way.service.gate.holds_queries());
    assert_eq!(until(&way.service.gate), (20_000, 2));
}

#[test]
fn an_answer_to_a_probe_says_that_it_was_one() {
    let mut way = probing(Scope::Dataset);
    assert!(weigh(&mut way, PROBE, taken(), at(0)).judgement.probe);
    assert!(!weigh(&mut way, PROBE, taken(), at(0)).judgement.probe);
}
