//! `generate`: man pages, completions and the configuration's reference, made
//! by the real binary.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn supametas(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_supametas-sync"))
        .args(args)
        .output()
        .unwrap()
}

fn generated() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let done = supametas(&["generate", dir.path().to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    dir
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands, from the program's own help.
fn commands() -> Vec<String> {
    let help = String::from_utf8(supametas(&["help"]).stdout).unwrap();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names: Vec<String> = list
        .lines()
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    assert!(names.len() >= 12, "{names:?} in {help}");
    names
}

#[test]
fn the_reference_of_the_configuration_is_the_committed_one() {
    let made = read(&generated().path().join("configuration.md"));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    assert!(
        read(&committed) == made,
        "docs/configuration.md is not what the program makes of config.example.toml and \
         src/config/reference.rs: cargo run -- generate target/papers && \
         cp target/papers/configuration.md docs/"
    );
}

#[test]
fn each_command_has_a_man_page_with_its_options_and_examples() {
    let dir = generated();
    for command in commands() {
        let page = read(&dir.path().join(format!("man/supametas-sync-{command}.1")));
        for part in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXAMPLES",
            "\"SEE ALSO\"",
        ] {
            assert!(
                page.contains(&format!(".SH {part}\n")),
                "{command}: no {part}"
            );
        }
        assert!(
            page.contains("\\fB\\-\\-config\\fR"),
            "{command}: no --config"
        );
    }
    let page = read(&dir.path().join("man/supametas-sync.1"));
    for part in ["\"EXIT CODES\"", "ENVIRONMENT", "FILES"] {
        assert!(page.contains(&format!(".SH {part}\n")), "no {part}");
    }
    let version = format!("supametas-sync {}", env!("CARGO_PKG_VERSION"));
    assert!(page.contains(&version), "no version");
    let page = read(&dir.path().join("man/supametas-sync.toml.5"));
    assert!(page.contains(".SH [[folder]]\n") && page.contains("\\fBquiet_unsure\\fR"));
}

#[test]
fn no_man_page_displeases_its_reader() {
    let dir = generated();
    for page in fs::read_dir(dir.path().join("man")).unwrap() {
        let page = page.unwrap().path();
        let read = Command::new("man")
            .args(["--warnings", "--local-file"])
            .arg(&page)
            .env("LC_ALL", "C.UTF-8")
            .output();
        let Ok(read) = read else {
            eprintln!("SKIPPED: man is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(
            read.status.success() && said.is_empty(),
            "{}: {said}",
            page.display()
        );
    }
}

#[test]
fn every_shell_completes_every_command() {
    let dir = generated();
    let completions = dir.path().join("completions");
    for name in ["supametas-sync", "_supametas-sync", "supametas-sync.fish"] {
        let script = read(&completions.join(name));
        for command in commands() {
            assert!(script.contains(&command), "{name}: no {command}");
        }
    }
    // And a shell takes it.
    let script = completions.join("supametas-sync");
    let asked = r#"source "$1"; COMP_WORDS=(supametas-sync st); COMP_CWORD=1
        named=$(complete -p supametas-sync | sed 's/.*-F \([^ ]*\).*/\1/')
        "$named" supametas-sync st supametas-sync; echo "${COMPREPLY[*]}""#;
    let answer = Command::new("bash")
        .args(["-c", asked, "bash"])
        .arg(script)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout),
        "status\n",
        "{answer:?}"
    );
}

#[test]
fn a_place_that_can_t_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    fs::write(&taken, "").unwrap();
    let done = supametas(&["generate", taken.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        said.contains("taken") && said.contains("name another directory"),
        "{said}"
    );
}
