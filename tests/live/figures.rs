//! `/metrics`, read by a strict reader of the OpenMetrics text format.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::support::http::get;
use crate::support::{MAIN_KEY, Stage};

/// Samples by name and labels as written.
type Samples = BTreeMap<String, f64>;

/// Reads the text, and fails on whatever the specification forbids.
fn parse(text: &str) -> (BTreeMap<String, String>, Samples) {
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    assert!(!body.contains("# EOF"), "one end only");
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let mut samples = Samples::new();
    let mut family = String::new();
    let mut closed = BTreeSet::new();
    for line in body.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let (keyword, rest) = meta.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            assert!(["HELP", "TYPE", "UNIT"].contains(&keyword), "{line}");
            if name != family {
                assert!(closed.insert(family.clone()), "{name} comes twice");
                assert!(!closed.contains(name), "{name} comes twice");
                name.clone_into(&mut family);
            }
            if keyword == "TYPE" {
                let known = ["gauge", "counter", "histogram", "info"];
                assert!(known.contains(&value), "{line}");
                assert!(
                    types.insert(name.to_owned(), value.to_owned()).is_none(),
                    "{line}"
                );
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("closed labels")),
            None => (series, ""),
        };
        let suffix = name
            .strip_prefix(family.as_str())
            .expect("below its family");
        let allowed: &[&str] = match types[&family].as_str() {
            "gauge" => &[""],
            "counter" => &["_total"],
            "info" => &["_info"],
            _ => &["_bucket", "_sum", "_count"],
        };
        assert!(allowed.contains(&suffix), "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, text) = label.split_once('=').expect("a label");
            let name = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(key.chars().all(name), "{line}");
            let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/+".contains(c);
            assert!(inner.is_some_and(|t| t.chars().all(plain)), "{line}");
        }
        let number: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(number.is_finite() && number >= 0.0, "{line}");
        assert!(
            samples.insert(series.to_owned(), number).is_none(),
            "{line} twice"
        );
    }
    for (name, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut last = 0.0;
        let buckets = body
            .lines()
            .filter(|l| l.starts_with(&format!("{name}_bucket")));
        let counts: Vec<f64> = buckets
            .map(|l| l.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        for count in &counts {
            assert!(*count >= last, "{name}: buckets add up");
            last = *count;
        }
        assert_eq!(
            samples[&format!("{name}_bucket{{le=\"+Inf\"}}")],
            last,
            "{name}"
        );
        assert_eq!(samples[&format!("{name}_count")], last, "{name}");
        assert!(counts.len() > 5, "{name}");
    }
    (types, samples)
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_right_and_well_formed() {
    let stage = Stage::new().await;
    let faults = "[[fault]]\nfile = \"large.txt\"\nstatus = 413\n\n\
        [[fault]]\nfile = \"odd.txt\"\ntimes = 1\nstatus = 400\ncode = \"OPS77777\"\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(faults).unwrap())
        .unwrap();
    let daemon = stage.start();
    for name in ["a.txt", "b.txt", "large.txt", "odd.txt"] {
        stage.drop_file(name, format!("words of {name}"));
    }
    daemon.until("all have ended", || {
        stage.states().get("succeeded") == Some(&2)
            && stage.states().values().sum::<usize>() == 4
            && stage.state("large.txt") == "rejected"
            && stage.state("odd.txt") == "rejected"
    });
    let told = get(&stage, "/metrics");
    assert!(
        told.header("content-type")
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    let (types, samples) = parse(&told.body);
    for (name, kind) in [
        ("supametas_build", "info"),
        ("supametas_files", "gauge"),
        ("supametas_file_bytes", "gauge"),
        ("supametas_in_flight", "gauge"),
        ("supametas_attempts", "counter"),
        ("supametas_uploaded_bytes", "counter"),
        ("supametas_upload_seconds", "histogram"),
        ("supametas_task_seconds", "histogram"),
        ("supametas_ledger_commit_seconds", "histogram"),
        ("supametas_gate_closed", "gauge"),
        ("supametas_oldest_waiting_seconds", "gauge"),
        ("supametas_folder_scan_seconds", "gauge"),
        ("supametas_watches", "gauge"),
    ] {
        assert_eq!(
            types.get(name).map(String::as_str),
            Some(kind),
            "{name}\n{}",
            told.body
        );
    }
    let value = |series: &str| {
        let found = samples.get(series).copied();
        found.unwrap_or_else(|| panic!("no {series} in\n{}", told.body))
    };
    assert_eq!(
        value("supametas_files{folder=\"inbox\",state=\"succeeded\"}"),
        2.0
    );
    assert_eq!(
        value("supametas_file_bytes{folder=\"inbox\",state=\"succeeded\"}"),
        28.0
    );
    assert_eq!(value("supametas_attention_files"), 2.0);
    assert_eq!(value("supametas_uploaded_files_total"), 2.0);
    assert_eq!(value("supametas_uploaded_bytes_total"), 28.0);
    assert_eq!(value("supametas_upload_seconds_count"), 4.0);
    assert_eq!(value("supametas_task_seconds_count"), 2.0);
    assert_eq!(value("supametas_folder_online{folder=\"inbox\"}"), 1.0);
    let attempts = |code, verdict| {
        value(&format!(
            "supametas_attempts_total{{call=\"upload\",code=\"{code}\",verdict=\"{verdict}\"}}"
        ))
    };
    assert_eq!(attempts("HTTP-413", "reject"), 1.0);
    assert_eq!(attempts("other", "reject"), 1.0);
    assert_eq!(attempts("0", "done"), 2.0);
    assert!(value("supametas_ledger_commit_seconds_count") >= 4.0);
    assert!(!told.body.contains("OPS77777") && !told.body.contains(MAIN_KEY));
    // Every metric is in the paper, and the paper has no other.
    let paper =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http.md")).unwrap();
    let written: BTreeSet<&str> = paper
        .lines()
        .filter_map(|line| line.strip_prefix("| `supametas_")?.split('`').next())
        .collect();
    let there: BTreeSet<String> = types
        .iter()
        .map(|(name, kind)| {
            let name = name.strip_prefix("supametas_").unwrap();
            match kind.as_str() {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            }
        })
        .collect();
    assert_eq!(
        there.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        written
    );
    monitored(&types, &told.body);
    assert_eq!(daemon.terminate().code(), Some(0));
}

/// What the dashboard and the alerts ask for is there, labels included.
fn monitored(types: &BTreeMap<String, String>, told: &str) {
    let read = |name: &str| {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring/");
        std::fs::read_to_string(format!("{dir}{name}")).unwrap()
    };
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked: Vec<String> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(asked.len() > 20, "{asked:#?}");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    asked.extend(variables.iter().map(|v| v["query"].to_string()));
    for (name, least) in [("alerts.yml", 9), ("alerts_test.yml", 15)] {
        let text = read(name);
        assert!(named(&text).len() >= least, "{name}: {:?}", named(&text));
        asked.push(text);
    }
    let mut series = BTreeSet::new();
    for (name, kind) in types {
        let ends: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        series.extend(ends.iter().map(|end| format!("{name}{end}")));
    }
    for text in &asked {
        for name in named(text) {
            assert!(
                series.contains(name),
                "no metric {name}, asked for in {text}"
            );
        }
        // Labels that only the scrape or the alert gives are not the daemon's.
        for labels in text
            .split("by (")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            for label in labels.split(", ") {
                let given = ["job", "instance", "le", "alertname", "gate"].contains(&label);
                assert!(
                    given || told.contains(&format!("{label}=\"")),
                    "no label {label}: {text}"
                );
            }
        }
    }
    assert_eq!(
        named("rate(supametas_x[5m]) + supametas_y_total{a=\"b\"}"),
        ["supametas_x", "supametas_y_total"]
    );
}

/// The metrics of ours that a text names.
fn named(text: &str) -> Vec<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word)
        .filter(|word| word.starts_with("supametas_"))
        .collect()
}

/// Answers about tasks that are due together wait a moment for each other.
#[tokio::test(flavor = "multi_thread")]
async fn answers_about_many_tasks_share_commits() {
    const TASKS: usize = 120;
    let sandbox = SandboxConfig {
        pending_for: Duration::from_secs(3600),
        ..SandboxConfig::default()
    };
    let later = |s: &mut crate::support::Settings| {
        s.poll = "first = \"1h\"\nmax = \"2h\"".into();
    };
    let stage = Stage::with(sandbox).await.set(later);
    let daemon = stage.start();
    for n in 0..TASKS {
        stage.drop_file(format!("{n}.txt"), format!("words {n}"));
    }
    daemon.until("all are submitted", || {
        stage.states().get("submitted") == Some(&TASKS)
    });
    assert!(daemon.terminate().success());
    let conn = rusqlite::Connection::open(stage.path("ledger.sqlite")).unwrap();
    let due = conn.execute("UPDATE files SET next_poll = 1", []).unwrap();
    assert_eq!(due, TASKS);
    drop(conn);

    let daemon = stage.start();
    let mut figures = Samples::new();
    daemon.until("all were asked about, and the answers recorded", || {
        figures = parse(&get(&stage, "/metrics").body).1;
        let asked = figures
            .iter()
            .filter(|(series, _)| series.starts_with("supametas_attempts_total{call=\"query\""));
        asked.map(|(_, count)| count).sum::<f64>() >= TASKS as f64
    });
    let commits = figures["supametas_ledger_commit_seconds_count"];
    // Those of the start, too: nine in all. Without the hold, 33 to 51.
    assert!(commits <= 24.0, "{commits} commits");
    let polled = stage.sandbox.requests();
    let polled = polled.iter().filter(|r| r.path.ends_with("/query-task"));
    assert_eq!(polled.count(), TASKS, "each once");
    assert!(daemon.terminate().success());
}
