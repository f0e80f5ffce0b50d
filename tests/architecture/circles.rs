//! Circles: modules that import each other, directly or through others. Whoever
//! reads one of them has to read all.
//!
//! A module and the one that it is in belong together, so that what goes through
//! a parent is no import here. Must not: know which layer may import which.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{self, Path};
use super::{Source, source, sources, text};

/// The circles that there are. The list may only shrink: a new module in a circle
/// breaks the test, and so does one that is out of it and still listed.
const KNOWN: &[&[&str]] = &[
    &[
        "daemon::context",
        "daemon::pushes",
        "daemon::report",
        "daemon::upload::job",
    ],
    &["daemon::upload::body", "daemon::upload::lane"],
    &[
        "explain::checks",
        "explain::counted",
        "explain::decide",
        "explain::story",
    ],
    &[
        "ledger::copies",
        "ledger::erase",
        "ledger::gates",
        "ledger::halts",
        "ledger::intake",
        "ledger::notices",
        "ledger::reimport",
        "ledger::tasks",
        "ledger::uploads",
        "ledger::work",
    ],
    &["media::text", "media::wide"],
];

type Imports = BTreeMap<String, BTreeSet<String>>;

/// What each module imports of the others.
fn imports_of(sources: &[Source]) -> Imports {
    let product = || sources.iter().filter(|s| !s.is_test() && !s.is_root());
    let modules: BTreeSet<String> = product().map(|s| s.module.join("::")).collect();
    let mut found = Imports::new();
    for source in product() {
        let this = source.module.join("::");
        let within = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}::"));
        let of = imports::of(&text::code(&source.text), &source.module)
            .into_iter()
            .filter_map(|import| match import.path {
                Path::Own(path) => (1..=path.len())
                    .rev()
                    .map(|len| path[..len].join("::"))
                    .find(|module| modules.contains(module)),
                Path::Foreign(_) => None,
            })
            .filter(|other| !within(&this, other) && !within(other, &this))
            .collect();
        found.insert(this.clone(), of);
    }
    found
}

/// The modules that can be reached from `from`.
fn reached(imports: &Imports, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(module) = open.pop() {
        for next in imports.get(&module).into_iter().flatten() {
            if found.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    found
}

/// The sets of modules of which each can be reached from each other one.
fn circles(imports: &Imports) -> BTreeSet<BTreeSet<String>> {
    let modules = || imports.keys().cloned();
    let reach: BTreeMap<String, BTreeSet<String>> = modules()
        .map(|module| {
            let reached = reached(imports, &module);
            (module, reached)
        })
        .collect();
    let together = |module: String| -> BTreeSet<String> {
        let others = reach[&module].iter().cloned();
        others
            .filter(|other| reach[other].contains(&module))
            .collect()
    };
    modules()
        .map(together)
        .filter(|all| !all.is_empty())
        .collect()
}

#[test]
fn no_module_comes_into_a_circle() {
    let found = circles(&imports_of(&sources()));
    let known: BTreeSet<BTreeSet<String>> = KNOWN
        .iter()
        .map(|circle| circle.iter().map(|m| (*m).to_owned()).collect())
        .collect();
    for circle in &found {
        assert!(
            known.contains(circle),
            "these modules import each other: {circle:?}\nDo: put what both need into a module \
             of its own; where one has left a circle of KNOWN in tests/architecture/circles.rs, \
             take it out of the list"
        );
    }
    for circle in &known {
        assert!(
            found.contains(circle),
            "this is no circle any more: {circle:?}\nDo: take it out of KNOWN in \
             tests/architecture/circles.rs"
        );
    }
}

#[test]
fn a_circle_is_found_also_through_others_and_not_through_a_parent() {
    let sources = [
        source("a/mod.rs", "mod b; mod c; mod d; use d::D;"),
        source("a/b.rs", "use super::c::C; use super::A;"),
        source("a/c.rs", "fn f() { crate::a::d::g() }"),
        source("a/d.rs", "use crate::a::b::{self, B};"),
        source("a/e.rs", "use super::b; use super::A;"),
    ];
    let found = circles(&imports_of(&sources));
    let circle = ["a::b", "a::c", "a::d"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from([BTreeSet::from(circle)]));
}
