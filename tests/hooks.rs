//! Hooks, end to end: the real program, real commands, a real receiver.
#![allow(clippy::unwrap_used)]

#[path = "hooks/command.rs"]
mod command;
#[path = "hooks/post.rs"]
mod post;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use support::Stage;

/// Writes a script that a hook can run.
fn script(stage: &Stage, name: &str, body: &str) -> PathBuf {
    let path = stage.path(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// `[[folder.hook]]` tables for the last folder of a stage.
fn hook(on: &str, more: &str) -> String {
    format!("[[folder.hook]]\non = {on}\n{more}\n")
}

/// A command that notes what it is told, each call in a file of its own in the
/// stage's directory `told`.
fn noting(stage: &Stage, more: &str) -> PathBuf {
    let told = stage.path("told");
    fs::create_dir_all(&told).unwrap();
    let told = told.display();
    let body = format!(
        "at={told}/$SUPAMETAS_EVENT_ID.$SUPAMETAS_TRY\n\
         cat > $at.part\nenv -0 > $at.env\npwd > $at.pwd\nls -l /proc/self/fd > $at.fds\n\
         mv $at.part $at.json\n{more}"
    );
    script(stage, "note", &body)
}

/// All JSON objects that were noted.
fn noted(stage: &Stage) -> Vec<Value> {
    let mut all = Vec::new();
    for entry in fs::read_dir(stage.path("told")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            all.push(serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
        }
    }
    all
}

/// The value of a metric's line that begins so; 0 if there is none.
fn metric(stage: &Stage, line: &str) -> f64 {
    let answer = support::http::get(stage, "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = answer.body.lines().find_map(|l| l.strip_prefix(line));
    found.map_or(0.0, |rest| rest.trim().parse().unwrap())
}
