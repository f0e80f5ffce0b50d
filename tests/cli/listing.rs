//! The order of `list`.

use rusqlite::Connection;

use crate::support::Stage;

/// The names in the rows of `list`, from its first row on.
fn names(stage: &Stage, limit: &str) -> Vec<String> {
    let listed: Vec<serde_json::Value> =
        serde_json::from_str(&stage.said(&["list", "--json", "--limit", limit])).unwrap();
    let names = listed.iter().map(|file| file["file"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// A test can't set the clock of the machine; a ledger of the future shows the
/// same to the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_clock_was_set_back_the_newest_come_first_by_number() {
    const YEAR: i64 = 365 * 24 * 3600 * 1000;
    let stage = Stage::new().await;
    for name in ["first.txt", "second.txt"] {
        stage.drop_file(name, name);
        assert!(stage.cli(&["scan"]).status.success());
    }
    assert_eq!(names(&stage, "0"), ["second.txt", "first.txt"]);
    Connection::open(stage.path("ledger.sqlite"))
        .unwrap()
        .execute_batch(&format!(
            "UPDATE files SET changed_at = changed_at + {YEAR}, seen_at = seen_at + {YEAR};
             UPDATE clock SET seen = seen + {YEAR};"
        ))
        .unwrap();
    // It is a year earlier now.
    stage.drop_file("third.txt", "third.txt");
    assert!(stage.cli(&["scan"]).status.success());
    let newest_first = ["third.txt", "second.txt", "first.txt"];
    assert_eq!(names(&stage, "0"), newest_first);
    for limit in 1..=2 {
        assert_eq!(names(&stage, &limit.to_string()), newest_first[..limit]);
    }
    let shown = stage.said(&["list"]);
    let first = shown.lines().nth(1).unwrap();
    assert!(first.contains("third.txt"), "{shown}");
}
