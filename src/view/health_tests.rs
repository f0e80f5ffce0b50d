//! The line is what plugins print, whatever is in the texts.
#![allow(clippy::unwrap_used)]

use super::*;

fn standing(change: impl FnOnce(&mut Value)) -> Standing {
    let mut told = json!({
        "running": true, "now": "2026-11-23T12:00:00.000Z",
        "service": "https://example.org/", "ledger": "/var/lib/x/ledger.sqlite",
        "pending": {"due": 12, "later": 3, "uploading": 2, "submitted": 40, "sources": 0},
        "attention": 0, "totals": {}, "oldest_waiting": null, "oldest_waiting_s": 9_751,
        "oldest_unpaused_s": 751,
        "stopped": null, "pauses": [], "gates": [], "folders": [], "left_behind": [],
        "daemon": null,
    });
    change(&mut told);
    serde_json::from_value(told).unwrap()
}

fn told(change: impl FnOnce(&mut Value)) -> (Level, String, Value) {
    let (standing, limits) = (standing(change), Limits::default());
    let health = health(&standing, false, &limits);
    let line = line(&health, &standing, &limits);
    (health.level, line, as_json(&health, &standing, &limits))
}

#[test]
fn a_line_says_how_much_there_is_to_do_where_all_is_well() {
    let (level, line, json) = told(|_| {});
    assert_eq!(level, Level::Well);
    assert_eq!(
        line,
        "SUPAMETAS OK - 12 due, 3 later, 2 uploading, 40 at the service | \
         attention=0;0 oldest=751s;3600 gates=0 offline=0 due=12 later=3 uploading=2 submitted=40"
    );
    assert_eq!(json["line"], line.as_str());
    assert_eq!((&json["ok"], &json["exit"]), (&json!(true), &json!(0)));
}

#[test]
fn a_line_names_what_is_wrong_and_stays_one_line_with_one_bar() {
    let (level, line, json) = told(|s| {
        s["attention"] = json!(3);
        s["gates"] = json!([{
            "gate": "dataset:main", "status": "closed", "code": "HTTP-401", "why": "a\nb",
            "since": "2026-11-23T11:50:00.000Z", "until": "2026-11-23T12:10:00.000Z",
            "lifts": "key change", "opens": "later",
        }]);
        s["folders"] = json!([{
            "folder": "nas", "dataset": "main", "path": "/mnt/nas", "configured": true,
            "files": {}, "bytes": {}, "offline": "it | is\nnot \u{1b}[2Jthere", "shared": null,
            "live": null,
        }]);
    });
    assert_eq!(level, Level::Trouble);
    let said = line.split(" | ").next().unwrap();
    assert_eq!(
        said,
        "SUPAMETAS CRITICAL - gate dataset:main is closed for 10 min: HTTP-401; \
         folder nas is off line: it / is not \\x1b[2Jthere; 3 files need attention"
    );
    assert_eq!(line.matches('|').count(), 1, "{line}");
    assert!(!line.contains('\n'));
    assert!(line.contains(" attention=3;0 "), "{line}");
    assert!(line.contains(" gates=1 offline=1 "), "{line}");
    let kinds: Vec<&Value> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["kind"])
        .collect();
    assert_eq!(kinds, ["gate", "folder", "attention"]);
    assert_eq!((&json["ok"], &json["exit"]), (&json!(false), &json!(2)));
}

#[test]
fn many_findings_are_counted() {
    let (_, line, json) = told(|s| {
        let left = |n: u32| json!({"folder": format!("f{n}"), "queued": 1, "out": 0, "why": "w"});
        s["left_behind"] = (0..9).map(left).collect();
    });
    assert!(line.contains("w; w; w; w; w; and 4 more |"), "{line}");
    assert_eq!(json["findings"].as_array().unwrap().len(), 9);
}

#[test]
fn a_check_that_fails_says_why_in_one_line() {
    let line = line_of_failure(
        Level::Unknown,
        "config.toml:3: error\nconfig.toml:9: | more",
    );
    assert_eq!(
        line,
        "SUPAMETAS UNKNOWN - config.toml:3: error config.toml:9: / more"
    );
    assert_eq!(failure_as_json(Level::Unknown, "x")["exit"], 3);
}
