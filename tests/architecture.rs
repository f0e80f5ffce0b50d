//! Architecture invariants, checked from the text of `src/`: who may import
//! whom, what the domain keeps out, and the house rules for a module file.
//!
//! The rules are the three tables below; `docs/design.md` says why they are
//! there. Test code (a `tests`, `testing` or `*_tests` module, or what stands
//! behind `#[cfg(test)]`) is free to import what it needs.
#![allow(clippy::unwrap_used)]

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/text.rs"]
mod text;
#[path = "architecture/writing.rs"]
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

/// A layer is a module of `src/` (or the crate root `main`), with the layers
/// that it may import. From the inside out.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("failpoint", &[]),
    ("tls", &[]),
    // Whoever asks a file system may use it: any of them may hang.
    ("limited", &[]),
    // Below all that has a file to change: the one place where files are
    // created, renamed and deleted outside the ledger's directory.
    ("files", &["domain", "failpoint"]),
    ("ports", &["domain"]),
    ("live", &["domain", "ports"]),
    ("config", &["domain", "ports", "limited"]),
    ("ledger", &["domain", "ports", "live", "files", "failpoint"]),
    ("watch", &["domain", "ports", "limited", "files"]),
    ("media", &["domain", "ports"]),
    ("api", &["domain", "ports", "tls"]),
    ("hooks", &["domain", "ports", "tls"]),
    ("sandbox", &[]),
    ("view", &["domain", "ports", "live", "config", "ledger"]),
    (
        "web",
        &["domain", "ports", "live", "config", "ledger", "view"],
    ),
    (
        "daemon",
        &[
            "domain",
            "ports",
            "limited",
            "live",
            "config",
            "ledger",
            "files",
            "watch",
            "media",
            "api",
            "hooks",
            "view",
            "web",
            "failpoint",
        ],
    ),
    (
        "explain",
        &[
            "domain", "ports", "limited", "config", "ledger", "watch", "media", "daemon",
        ],
    ),
    (
        "cli",
        &[
            "domain", "ports", "limited", "config", "ledger", "files", "watch", "media", "api",
            "hooks", "view", "web", "sandbox", "daemon", "explain",
        ],
    ),
    ("main", &["cli"]),
];

/// What a layer may share beyond that: the importing layer, the path, and why.
const SHARED: &[(&str, &[&str], &str)] = &[(
    "sandbox",
    &["api", "wire"],
    "the wire types, so that client and emulator can't drift apart",
)];

/// What the domain must not name: it is pure and is told the time.
const IMPURE: &[&[&str]] = &[
    &["tokio"],
    &["tokio_util"],
    &["futures_util"],
    &["rusqlite"],
    &["reqwest"],
    &["axum"],
    &["notify"],
    &["walkdir"],
    &["rustix"],
    &["libc"],
    &["fastrand"],
    &["tracing"],
    &["signal_hook"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "env"],
    &["std", "os"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
];

/// Files of product code that may hold `unsafe`: each is explained in
/// `docs/security.md`.
const UNSAFE: &[&str] = &["src/watch/lease.rs"];

/// Longest file in `src/`, in lines.
const MAX_LINES: usize = 600;

/// Longest `main.rs`, in lines.
const MAX_MAIN: usize = 39;

/// A source file.
struct Source {
    /// Relative to the project, for messages.
    name: String,
    /// The module that it is: `["sandbox", "faults"]`; `["main"]` for a root.
    module: Vec<String>,
    text: String,
}

impl Source {
    fn new(relative: &Path, text: String) -> Source {
        let mut module: Vec<String> = relative
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        Source {
            name: format!("src/{}", relative.display()),
            module,
            text,
        }
    }

    fn layer(&self) -> &str {
        &self.module[0]
    }

    /// `lib.rs` names every module; `main.rs` has rules of its own.
    fn is_root(&self) -> bool {
        self.module.len() == 1 && matches!(self.layer(), "lib" | "main")
    }

    fn is_test(&self) -> bool {
        self.module.iter().any(|part| is_test_name(part))
    }
}

fn is_test_name(name: &str) -> bool {
    matches!(name, "tests" | "testing") || name.ends_with("_tests")
}

fn sources() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(&root).unwrap();
                found.push(Source::new(relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() > 30, "only {} files found in src", found.len());
    found
}

/// Runs a rule over all files and shows all that break it at once.
fn all(rule: impl Fn(&Source) -> Vec<String>) {
    let broken: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(
        broken.is_empty(),
        "{} broken:\n\n{}\n",
        broken.len(),
        broken.join("\n")
    );
}

// ── the rules ───────────────────────────────────────────────────────────────

fn import_rule(source: &Source) -> Vec<String> {
    if source.is_test() || source.layer() == "lib" {
        return Vec::new();
    }
    let layer = source.layer();
    let Some((_, may)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!(
            "{}: `{layer}` is not a layer. Do: put the file into one of the modules of src, or \
             decide what the new one may import and add it to LAYERS in tests/architecture.rs and \
             to docs/design.md",
            source.name
        )];
    };
    let mut broken = Vec::new();
    for import in imports::of(&text::code(&source.text), &source.module) {
        let imports::Path::Own(path) = &import.path else {
            continue;
        };
        let Some(target) = path.first() else { continue };
        let known = LAYERS.iter().any(|(name, _)| name == target);
        let shared = SHARED.iter().any(|(from, to, _)| {
            *from == layer && path.len() >= to.len() && path.iter().zip(*to).all(|(a, b)| a == b)
        });
        if target == layer || may.contains(&target.as_str()) || shared || (!known && target != "*")
        {
            // An unknown target is a module that is no file of src: the
            // compiler's business, or a layer whose own files are refused.
            continue;
        }
        let may = if may.is_empty() {
            "nothing of the crate".to_owned()
        } else {
            may.join(", ")
        };
        broken.push(format!(
            "{}:{}: `{layer}` uses `crate::{}`. Rule: {layer} may import {may}. Do: pass it in from \
             the layer above, move what both need inwards, or ask in a trait of `ports`",
            source.name,
            import.line,
            path.join("::"),
        ));
    }
    broken
}

fn purity_rule(source: &Source) -> Vec<String> {
    if source.is_test() || source.layer() != "domain" {
        return Vec::new();
    }
    let mut broken = Vec::new();
    for import in imports::of(&text::code(&source.text), &source.module) {
        let imports::Path::Foreign(path) = &import.path else {
            continue;
        };
        let starts =
            |with: &[&str]| path.len() >= with.len() && path.iter().zip(with).all(|(a, b)| a == b);
        let clock = path.len() > 1 && path.last().is_some_and(|last| last == "now")
            || path[0] == "SystemTime";
        // `std::time::*` and `std::*` would bring the clock in by the back door.
        let glob = starts(&["std", "time", "*"]) || starts(&["std", "*"]);
        if clock || glob || IMPURE.iter().any(|impure| starts(impure)) {
            broken.push(format!(
                "{}:{}: the domain uses `{}`. Rule: the domain is pure: no I/O, no clock, no \
                 chance, no runtime. Do: take the value as a parameter (`now`, `chance`), or do it \
                 in an adapter",
                source.name,
                import.line,
                path.join("::"),
            ));
        }
    }
    broken
}

fn doc_rule(source: &Source) -> Vec<String> {
    if source.is_test() || source.is_root() {
        return Vec::new();
    }
    let docs: Vec<&str> = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    let wrong = if docs.is_empty() {
        "does not begin with `//!` docs"
    } else if !docs.join(" ").contains("Must not") {
        "does not say in its `//!` docs what it must not do"
    } else {
        return Vec::new();
    };
    vec![format!(
        "{}:1: the module {wrong}. Rule: a module says what it is for and where it ends. Do: begin \
         it with `//! What it is for.` and `//! Must not: …`",
        source.name
    )]
}

fn size_rule(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let most = if source.name == "src/main.rs" {
        MAX_MAIN
    } else {
        MAX_LINES
    };
    if lines <= most {
        return Vec::new();
    }
    vec![format!(
        "{}:{lines}: the file has {lines} lines. Rule: at most {most}. Do: give the second thing in \
         it a module of its own",
        source.name
    )]
}

/// `unsafe` stands only where a system call needs it, and is written down.
fn unsafe_rule(source: &Source) -> Vec<String> {
    if source.is_test() || UNSAFE.contains(&source.name.as_str()) {
        return Vec::new();
    }
    let code = text::code(&source.text);
    let word = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe")
    };
    code.lines()
        .enumerate()
        .filter(|(_, line)| word(line))
        .map(|(n, _)| {
            format!(
                "{}:{}: `unsafe`. Rule: only where a system call needs it that no crate wraps. Do: \
                 use rustix; else enter the file in UNSAFE in tests/architecture.rs and explain it in \
                 docs/security.md",
                source.name,
                n + 1
            )
        })
        .collect()
}

/// Test modules are exempt by their name, so a name must not make product code
/// exempt.
fn test_name_rule(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    imports::modules(&text::code(&source.text))
        .into_iter()
        .filter(|(name, _)| is_test_name(name))
        .map(|(name, line)| {
            format!(
                "{}:{line}: `mod {name}` is not behind `#[cfg(test)]`. Rule: modules called so are \
                 test code and exempt from the import rule. Do: add `#[cfg(test)]`, or rename it",
                source.name
            )
        })
        .collect()
}

#[test]
fn imports_run_one_way() {
    all(import_rule);
}

#[test]
fn the_domain_is_pure() {
    all(purity_rule);
}

#[test]
fn every_module_says_what_it_must_not_do() {
    all(doc_rule);
}

#[test]
fn files_stay_small() {
    all(size_rule);
}

#[test]
fn unsafe_is_rare_and_explained() {
    all(unsafe_rule);
    let paper = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let paper = fs::read_to_string(paper).unwrap();
    let sources = sources();
    for file in UNSAFE {
        assert!(
            paper.contains(file),
            "docs/security.md does not explain {file}"
        );
        let source = sources.iter().find(|s| s.name == *file).unwrap();
        assert!(
            text::code(&source.text).contains("unsafe"),
            "{file} has none"
        );
    }
    let found = unsafe_rule(&source(
        "domain/x.rs",
        "// unsafe\nfn f() { unsafe { g() } }",
    ));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(unsafe_rule(&source("domain/x.rs", "fn is_unsafe() {}")).is_empty());
}

#[test]
fn only_test_code_is_called_test() {
    all(test_name_rule);
}

// ── the checks can fail ─────────────────────────────────────────────────────

fn source(file: &str, text: &str) -> Source {
    Source::new(Path::new(file), text.to_owned())
}

#[test]
fn forbidden_imports_are_found_however_they_are_written() {
    for (file, snippet, what) in [
        (
            "domain/gate.rs",
            "use crate::ports::World;",
            "crate::ports::World",
        ),
        (
            "ports.rs",
            "use crate::{domain::ids, config::valid::Folder};",
            "crate::config::valid::Folder",
        ),
        (
            "watch/a.rs",
            "use crate::{domain::{ids::*, media as m}, ledger::{self as l}};",
            "crate::ledger",
        ),
        (
            "media/a.rs",
            "fn f() -> crate :: api::wire::Envelope { todo() }",
            "crate::api::wire::Envelope",
        ),
        (
            "api/client.rs",
            "pub(crate) use super::super::watch::root;",
            "crate::watch::root",
        ),
        ("api/mod.rs", "pub use super::media;", "crate::media"),
        (
            "api/client.rs",
            "mod inner { use super::super::super::ledger::Row; }",
            "crate::ledger::Row",
        ),
        (
            "sandbox/app.rs",
            "use crate::api::client::HttpApi;",
            "crate::api::client::HttpApi",
        ),
        (
            "sandbox/app.rs",
            "use crate::domain::ids::TaskId;",
            "crate::domain::ids::TaskId",
        ),
        (
            "daemon/mod.rs",
            "use crate::cli::exit::Exit;",
            "crate::cli::exit::Exit",
        ),
        (
            "daemon/mod.rs",
            "let s = crate::sandbox::Sandbox::start(c);",
            "crate::sandbox::Sandbox::start",
        ),
        ("main.rs", "use supametas_sync::daemon;", "crate::daemon"),
        (
            "ledger/mod.rs",
            "let c = '\"'; use crate::api; // \"",
            "crate::api",
        ),
        (
            "ledger/mod.rs",
            "#[cfg(test)] use a::B;\nuse crate::watch;",
            "crate::watch",
        ),
        ("ledger/mod.rs", "use crate::*;", "crate::*"),
    ] {
        let broken = import_rule(&source(file, snippet));
        assert_eq!(broken.len(), 1, "{file}: {snippet}\n=> {broken:?}");
        assert!(
            broken[0].contains(&format!("`{what}`")),
            "{file}: {snippet}\n=> {broken:?}"
        );
    }
    let broken = import_rule(&source(
        "ledger/mod.rs",
        "//! x\n\nuse crate::{\n    domain,\n    api,\n};",
    ));
    assert!(broken[0].starts_with("src/ledger/mod.rs:5: "), "{broken:?}");
    let unknown = import_rule(&source("extra/mod.rs", ""));
    assert!(unknown[0].contains("not a layer"), "{unknown:?}");
}

#[test]
fn allowed_imports_pass() {
    for (file, snippet) in [
        (
            "watch/a.rs",
            "use crate::{domain::ids::{FileId, Route}, ports::World, watch::rules};",
        ),
        (
            "watch/a.rs",
            "use super::rules; use self::b::C; use super::*;",
        ),
        (
            "sandbox/app.rs",
            "use crate::api::wire::{Envelope, SUCCESS};",
        ),
        ("cli/try_it.rs", "use crate::{daemon, sandbox::Sandbox};"),
        ("main.rs", "fn main() { supametas_sync::cli::main(); }"),
        (
            "domain/a.rs",
            "// use crate::api::X;\n/* use crate::api::X; /* */ use crate::api::Y; */",
        ),
        (
            "domain/a.rs",
            "/// [`crate::ledger`] writes it\nconst A: &str = \"use crate::ledger;\";",
        ),
        (
            "domain/a.rs",
            "const A: &str = r#\"\" use crate::ledger; \"#; fn f<'a>(x: &'a str) {}",
        ),
        (
            "domain/a.rs",
            "#[cfg(test)]\n#[allow(x)]\nmod tests { use crate::ledger::Row; }",
        ),
        ("domain/a_tests.rs", "use crate::ledger::Row;"),
        ("ledger/tests/flow.rs", "use crate::config::valid::Folder;"),
        (
            "ledger/a.rs",
            "pub(crate) fn a() {} pub(in crate::ledger) fn b() {}",
        ),
    ] {
        let broken = import_rule(&source(file, snippet));
        assert!(broken.is_empty(), "{file}: {snippet}\n=> {broken:?}");
    }
}

#[test]
fn impurity_is_found() {
    for snippet in [
        "use tokio::time::sleep;",
        "use std::{fmt, fs::File};",
        "use std::time::{Duration, SystemTime};",
        "use std::time::*;",
        "fn f() { let now = std::time::Instant::now(); }",
        "fn f() { let now = jiff::Timestamp::now(); }",
        "fn f() { let n = fastrand::f64(); }",
        "fn f(c: &rusqlite::Connection) {}",
    ] {
        let broken = purity_rule(&source("domain/a.rs", snippet));
        assert_eq!(broken.len(), 1, "{snippet}\n=> {broken:?}");
        assert!(
            purity_rule(&source("ledger/a.rs", snippet)).is_empty(),
            "{snippet}"
        );
    }
    let pure =
        "use std::time::Duration;\nfn f(at: Moment) { at.now.plus(Duration::ZERO); self::now(); }";
    let broken = purity_rule(&source("domain/a.rs", pure));
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn the_house_rules_can_fail() {
    assert!(doc_rule(&source("media/a.rs", "use x;\n//! Must not"))[0].contains("does not begin"));
    assert!(doc_rule(&source("media/a.rs", "//! What it is for."))[0].contains("must not do"));
    assert!(doc_rule(&source("media/a.rs", "//! It. Must not: guess.\n")).is_empty());
    let long = |n| "//\n".repeat(n);
    assert!(size_rule(&source("media/a.rs", &long(600))).is_empty());
    assert!(size_rule(&source("media/a.rs", &long(601)))[0].contains("601 lines"));
    assert!(size_rule(&source("main.rs", &long(40)))[0].contains("at most 39"));
    assert!(test_name_rule(&source("media/a.rs", "mod tests;"))[0].contains("`mod tests`"));
    assert!(test_name_rule(&source("media/a.rs", "#[cfg(test)]\nmod tests;")).is_empty());
}
