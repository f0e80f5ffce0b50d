//! What comes in through dependencies, by the rules of `deny.toml`: where from,
//! under which licence, and which crates never. Needs no network and no
//! cargo-deny, so that it is checked everywhere; advisories are cargo-deny's
//! (`.ci/run`).
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

fn rules() -> toml::Table {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml"));
    text.unwrap().parse().unwrap()
}

fn texts(list: &toml::Value) -> Vec<String> {
    let texts = list.as_array().unwrap().iter();
    texts.map(|t| t.as_str().unwrap().to_owned()).collect()
}

/// Every package of the lock file, for our own platform.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all["packages"].as_array().unwrap().clone()
}

/// Whether an SPDX expression can be met with these licences. An exception
/// (`WITH`) is part of its licence's name; `/` is the old way to write `OR`.
fn met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let holds = any_of(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "{expression:?} is no licence expression");
    holds
}

fn any_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut holds = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        holds |= all_of(words, at, allowed);
    }
    holds
}

fn all_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut holds = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        holds &= one(words, at, allowed);
    }
    holds
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    if words.get(*at) == Some(&"(") {
        *at += 1;
        let holds = any_of(words, at, allowed);
        assert_eq!(words.get(*at), Some(&")"));
        *at += 1;
        return holds;
    }
    let mut name = words[*at].to_owned();
    *at += 1;
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words[*at + 1]);
        *at += 2;
    }
    allowed.contains(&name)
}

#[test]
fn dependencies_keep_to_the_rules() {
    let rules = rules();
    let licences = texts(&rules["licenses"]["allow"]);
    let registries = texts(&rules["sources"]["allow-registry"]);
    let banned = rules["bans"]["deny"].as_array().unwrap();
    let mut broken = Vec::new();
    let packages = packages();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none");
        if !met(licence, &licences) {
            broken.push(format!("{name}: the licence {licence} is not allowed"));
        }
        if let Some(source) = package["source"].as_str()
            && !registries.iter().any(|r| source == format!("registry+{r}"))
        {
            broken.push(format!("{name} comes from {source}"));
        }
        if banned.iter().any(|b| b["crate"].as_str() == Some(name)) {
            broken.push(format!("{name} is banned"));
        }
    }
    assert!(packages.len() > 50, "only {} packages", packages.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(String::from);
    for (expression, holds) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT/GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND GPL-3.0", false),
        ("GPL-3.0 AND ISC OR MIT", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
    ] {
        assert_eq!(met(expression, &allowed), holds, "{expression}");
    }
}
