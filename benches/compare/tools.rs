//! The others' tools: where they are, and how their users call them.
//!
//! Nothing is installed here; what is not there is named. Debian's own place
//! comes before `PATH`, so that what is measured is Debian's.
//!
//! Must not: measure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, or what to say where it is missing.
pub fn program(name: &str, package: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(PathBuf::from("/usr/bin")).chain(std::env::split_paths(&path));
    let found = places.map(|dir| dir.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| format!("not installed (`{package}`)"))
}

/// A Python that has these modules.
pub fn python(modules: &str) -> Result<PathBuf, String> {
    let missing = format!("not installed (Python with `{modules}`)");
    let python = program("python3", "python3")?;
    let has = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    match has {
        Ok(output) if output.status.success() => Ok(python),
        _ => Err(missing),
    }
}

/// What `inotifywait` with curl needs, and with a record.
pub fn shell() -> Result<(), String> {
    program("inotifywait", "inotify-tools")?;
    program("curl", "curl")?;
    program("sqlite3", "sqlite3")?;
    Ok(())
}

/// The scripts, in `dir`.
pub fn script(dir: &Path, name: &str) -> PathBuf {
    let text = match name {
        "post.sh" => include_str!("tools/post.sh"),
        "watch.sh" => include_str!("tools/watch.sh"),
        "loop.sh" => include_str!("tools/loop.sh"),
        "watch.py" => include_str!("tools/watch.py"),
        "stream.py" => include_str!("tools/stream.py"),
        _ => panic!("no script {name}"),
    };
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path
}

/// rclone with a remote `s3:` or `dav:` and nothing else of its own.
pub fn rclone(program: &Path, endpoint: &str, dav: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--config", ""])
        .env_remove("AWS_CA_BUNDLE")
        .env("RCLONE_CONFIG_S3_TYPE", "s3")
        .env("RCLONE_CONFIG_S3_PROVIDER", "Other")
        .env("RCLONE_CONFIG_S3_ENDPOINT", endpoint)
        .env("RCLONE_CONFIG_S3_ACCESS_KEY_ID", "bench")
        .env("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY", "bench")
        .env("RCLONE_CONFIG_DAV_TYPE", "webdav")
        .env("RCLONE_CONFIG_DAV_VENDOR", "other")
        .env("RCLONE_CONFIG_DAV_URL", dav);
    command
}

/// `aws s3 …` with eight requests at once.
pub fn aws(program: &Path, endpoint: &str, dir: &Path) -> Command {
    let config = dir.join("aws-config");
    let text = "[default]\nregion = us-east-1\ns3 =\n  max_concurrent_requests = 8\n  \
                addressing_style = path\n";
    fs::write(&config, text).expect("written");
    let mut command = Command::new(program);
    command
        .args(["--endpoint-url", endpoint, "s3"])
        .env_remove("AWS_CA_BUNDLE")
        .env("AWS_CONFIG_FILE", config)
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// `curl -F`, eight at once where there are several files.
pub fn curl(program: &Path, url: &str, files: &[PathBuf]) -> Command {
    const ALWAYS: &[&str] = &[
        "-sS",
        "-f",
        "-o",
        "/dev/null",
        "-H",
        "Access-Key: bench",
        "-H",
        "Expect:",
        "-F",
        "data={};type=application/json",
    ];
    let url = format!("{url}/file-task");
    if let [file] = files {
        let mut command = Command::new(program);
        command.args(ALWAYS);
        command.args(["-F", &format!("file=@{}", file.display()), &url]);
        return command;
    }
    let mut command = Command::new("sh");
    let each = "printf '%s\\0' \"$@\" | xargs -0 -P 8 -I '{}' \"$CURL\"";
    let mut script = each.to_owned();
    for arg in ALWAYS {
        // `{}` is xargs' own here: an empty object is sent as one with a blank.
        script += &format!(" '{}'", arg.replace("{}", "{ }"));
    }
    script += " -F 'file=@{}' \"$URL\"";
    command.args(["-c", &script, "sh"]).args(files);
    command.env("CURL", program).env("URL", url);
    command
}

/// What each says of its version, for the page.
pub fn versions() -> Vec<(&'static str, String)> {
    let ask = |name: &str, args: &[&str]| {
        let program = program(name, name)?;
        let output = Command::new(program).args(args).output();
        let output = output.map_err(|error| error.to_string())?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text
            .lines()
            .find(|line| line.chars().any(|c| c.is_ascii_digit()));
        let line = line.unwrap_or_default().trim();
        // Enough of curl's to know it by.
        let short: Vec<&str> = line.split(' ').take(2).collect();
        Ok::<_, String>(short.join(" "))
    };
    let modules = "import watchdog.version as w, requests as r, platform as p; \
                   print(f'{p.python_version()}, watchdog {w.VERSION_STRING}, requests {r.__version__}')";
    let python = python("watchdog, requests").and_then(|python| {
        let output = Command::new(python).args(["-c", modules]).output();
        let output = output.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    });
    let mut all = vec![
        ("rclone", ask("rclone", &["version"])),
        ("curl", ask("curl", &["--version"])),
        ("inotifywait", ask("inotifywait", &["--help"])),
        ("sqlite3", ask("sqlite3", &["--version"])),
        ("aws", ask("aws", &["--version"])),
        ("Python", python),
    ];
    all.drain(..)
        .map(|(name, said)| (name, said.unwrap_or_else(|missing| missing)))
        .collect()
}
