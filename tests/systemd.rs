//! The unit that is shipped: valid for systemd, and as closed as promised.
//!
//! Needs `systemd-analyze`; says that it was skipped where there is none. CI
//! installs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the README promises; 0 is closed, 10 is open.
const EXPOSURE: f64 = 1.5;

fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/supametas-sync.service");
    fs::read_to_string(path).expect("the unit is in the repository")
}

fn drop_in() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("systemd/supametas-sync.service.d/folders.conf.example");
    fs::read_to_string(path).expect("the drop-in is in the repository")
}

/// Takes the comment sign off every `#Name=value`.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if is_setting(rest) => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

fn is_setting(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// A copy of the unit that names the binary just built, since `verify` looks
/// whether it is there.
fn copy_in(dir: &Path, text: &str) -> PathBuf {
    let built = env!("CARGO_BIN_EXE_supametas-sync");
    let path = dir.join("supametas-sync.service");
    fs::write(&path, text.replace("/usr/bin/supametas-sync", built)).expect("a fresh directory");
    path
}

/// `None`: the tool is not installed.
fn analyze(args: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .output()
    {
        Ok(output) => Some(output),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: systemd-analyze is not installed");
            None
        }
        Err(e) => panic!("systemd-analyze: {e}"),
    }
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Asserts that `verify` finds nothing to say about the copied unit.
#[track_caller]
fn verifies(unit: &Path) {
    let Some(output) = analyze(&["verify", "--man=no"], unit) else {
        return;
    };
    let said = text(&output);
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("supametas-sync") || line.contains("folders.conf"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_unit_is_valid() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    verifies(&copy_in(dir.path(), &unit()));
}

#[test]
fn the_unit_is_valid_with_all_that_it_offers() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let unit = copy_in(dir.path(), &uncommented(&unit()));
    let beside = dir.path().join("supametas-sync.service.d");
    fs::create_dir(&beside).expect("a fresh directory");
    fs::write(beside.join("folders.conf"), uncommented(&drop_in())).expect("a fresh directory");
    verifies(&unit);
}

#[test]
fn verify_would_notice_a_mistake() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let wrong = unit().replace("RestrictRealtime=", "RestrictSurrealtime=");
    let unit = copy_in(dir.path(), &wrong);
    let beside = dir.path().join("supametas-sync.service.d");
    fs::create_dir(&beside).expect("a fresh directory");
    let wrong = uncommented(&drop_in()).replace("BindPaths=", "BlindPaths=");
    fs::write(beside.join("folders.conf"), wrong).expect("a fresh directory");
    if let Some(output) = analyze(&["verify", "--man=no"], &unit) {
        let said = text(&output);
        for mistake in ["RestrictSurrealtime", "BlindPaths"] {
            assert!(said.contains(mistake), "{mistake} was not noticed: {said}");
        }
    }
}

#[test]
fn the_sandbox_is_as_closed_as_promised() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let unit = copy_in(dir.path(), &unit());
    let Some(output) = analyze(&["security", "--offline=true", "--no-pager"], &unit) else {
        return;
    };
    let said = text(&output);
    let exposure: f64 = said
        .lines()
        .find_map(|line| {
            line.split("exposure level for supametas-sync.service:")
                .nth(1)
        })
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no exposure level in:\n{said}"));
    println!("exposure {exposure}");
    assert!(exposure <= EXPOSURE, "{said}");
}

#[test]
fn the_unit_does_what_the_program_counts_on() {
    let unit = unit();
    for line in [
        "Type=notify",
        "WatchdogSec=60s",
        // It waits, reports and fails where the configuration is refused.
        "ExecReload=/usr/bin/supametas-sync reload --config /etc/supametas-sync/config.toml",
        // A mended configuration starts without `reset-failed`.
        "RestartPreventExitStatus=2 6 243",
        // A stop in the middle of a reload is a stop.
        "SuccessExitStatus=SIGTERM",
        "LogRateLimitIntervalSec=30s",
        "LogRateLimitBurst=100000",
        "StateDirectory=supametas-sync",
        "StateDirectoryMode=0700",
        "UMask=0077",
        "LimitCORE=0",
        "User=supametas-sync",
        "#LoadCredential=inbox-key:/etc/supametas-sync/keys/inbox",
        // The drop folders stay readable.
        "ProtectSystem=strict",
    ] {
        assert!(unit.lines().any(|l| l == line), "{line} is not in the unit");
    }
    // `check` looks at every folder, and a start must not.
    assert!(!unit.contains("ExecStartPre="));
    assert!(drop_in().contains("#ReadWritePaths="));
}

/// The fenced blocks of a language in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = fs::read_to_string(path).expect("the page is in the repository");
    let begin = format!("```{language}\n");
    text.split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned()))
        .collect()
}

#[test]
fn the_units_of_the_operations_page_are_valid() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files: Vec<PathBuf> = blocks("operations.md", "ini")
        .iter()
        .map(|block| {
            let (first, _) = block.split_once('\n').expect("its path is the first line");
            let name = Path::new(first).file_name().expect("a path");
            let path = dir.path().join(name);
            let built = env!("CARGO_BIN_EXE_supametas-sync");
            let text = block.replace("/usr/bin/supametas-sync", built);
            fs::write(&path, text).expect("a fresh directory");
            path
        })
        .collect();
    for timer in ["supametas-sync-backup", "supametas-sync-check"] {
        for kind in ["service", "timer"] {
            let name = format!("{timer}.{kind}");
            assert!(files.iter().any(|file| file.ends_with(&name)), "{name}");
        }
    }
    for file in &files {
        let Some(output) = analyze(&["verify", "--man=no"], file) else {
            return;
        };
        let said = text(&output);
        let name = |file: &PathBuf| {
            file.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let names: Vec<String> = files.iter().filter_map(name).collect();
        let of_ours = |line: &&str| names.iter().any(|name| line.contains(name.as_str()));
        let ours: Vec<&str> = said.lines().filter(of_ours).collect();
        assert!(output.status.success() && ours.is_empty(), "{said}");
    }
}

#[test]
fn the_sftp_recipe_is_one_that_sshd_takes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let blocks = blocks("recipes.md", "text");
    let recipe = blocks
        .iter()
        .find(|block| block.contains("internal-sftp"))
        .expect("the recipe is on the page");
    assert!(recipe.contains("AuthorizedKeysFile"), "{recipe}");
    let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let Some(sshd) = sshd else {
        eprintln!("SKIPPED: sshd is not installed");
        return;
    };
    let key = dir.path().join("host");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "no host key");
    let config = dir.path().join("sshd_config");
    let text_of = format!("HostKey {}\n{recipe}", key.display());
    fs::write(&config, text_of).expect("a fresh directory");
    // The settings of such a user, which also reads the Match block.
    let output = Command::new(sshd)
        .args(["-T", "-C", "user=alice,host=h,addr=127.0.0.1", "-f"])
        .arg(&config)
        .output()
        .expect("it is installed");
    assert!(output.status.success(), "{}", text(&output));
}
