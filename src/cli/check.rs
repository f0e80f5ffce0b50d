//! `check`: the configuration and its surroundings, all problems at once.
//!
//! Must not: mend anything, or send a file.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::finding::Finding;
use super::tone::Tone;
use super::{Outcome, online, out, places, rights, runtime};
use crate::config::Severity;
use crate::config::valid::Config;
use crate::daemon;
use crate::ledger::Ledger;
use crate::view::dropped;

/// Check the configuration and its surroundings; say all problems at once
///
/// Each problem comes with its line, the key, and what to do: errors keep the
/// daemon from running (exit code 2), warnings want a look, notes say what is
/// assumed. Run it as the daemon's user, since rights are that user's. Nothing
/// is sent, unless --online is given: then harmless queries for each dataset
/// tell a wrong path in the base URL from a wrong key and from an outage. Exit
/// code 1: nothing is wrong but that the service can't be asked now.
///
/// With --explain it prints the configuration as it is in force, as TOML that
/// can be read back: every key, its value, and whether that is the default or
/// on which line it stands. Of an Access-Key only its place is shown.
///
/// With --json: {"ok", "config", "errors", "warnings", "outages", "folders",
/// "datasets", "findings": [{"severity", "file", "line", "key", "text", "remedy"}...]}.
///
/// Examples:
///   supametas-sync check
///   supametas-sync check --config ./config.toml --online
///   supametas-sync check --explain
///   sudo -u supametas-sync supametas-sync check
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Ask the service, once per dataset, about a task that does not exist.
    #[arg(long)]
    online: bool,
    /// Print the configuration in force, and where each value is from.
    #[arg(long, conflicts_with_all = ["online", "json"])]
    explain: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Says what was found; exit code 2 if anything keeps the daemon from running, 1
/// if the service can't be asked.
pub fn main(path: &Path, args: Args) -> Outcome {
    if args.explain {
        out::print(&Config::effective(path)?);
        return Ok(Exit::Success);
    }
    let (config, problems) = match Config::load_by_hand(path) {
        Ok(loaded) => (Some(loaded.config), loaded.warnings),
        Err(errors) => (None, errors.problems),
    };
    let mut findings: Vec<Finding> = problems.iter().map(Finding::of).collect();
    // Where only a key is missing, the rest can be looked at all the same.
    let keyless = match config {
        None => Config::load_without_keys(path).ok().map(|l| l.config),
        Some(_) => None,
    };
    if let Some(config) = config.as_ref().or(keyless.as_ref()) {
        findings.extend(places::findings(config));
        findings.extend(rights::findings(path, config));
        findings.extend(budget(config));
        findings.extend(runtime()?.block_on(left_behind(config)));
    }
    match &config {
        Some(config) if args.online => {
            findings.extend(runtime()?.block_on(online::findings(config))?);
        }
        None if args.online => findings.push(Finding::new(
            Severity::Note,
            "the service was not asked: the configuration can't be used",
            "",
        )),
        _ => {}
    }
    let of = |severity| {
        let found = findings.iter().filter(|f| !f.is_outage);
        found.filter(|f| f.severity == severity).count()
    };
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let outages = findings.iter().filter(|f| f.is_outage).count();
    if args.json {
        out::print_json(&json!({
            "ok": errors == 0 && outages == 0,
            "config": path.to_string_lossy(),
            "errors": errors,
            "warnings": warnings,
            "outages": outages,
            "folders": config.as_ref().map(|c| c.folders.len()),
            "datasets": config.as_ref().map(|c| c.datasets.len()),
            "findings": findings.iter().map(Finding::as_json).collect::<Vec<_>>(),
        }));
    } else {
        let mut text = String::new();
        for finding in &findings {
            let severity = format!("{}: ", finding.severity);
            let painted = Tone::of_severity(finding.severity).paint(&severity);
            // The first is the finding's own: a path before it holds no space.
            let told = finding.to_string().replacen(&severity, &painted, 1);
            let _ = writeln!(text, "{told}");
        }
        let warnings = out::count(warnings, "warning");
        let down = match outages {
            0 => "",
            _ => "; the service could not be asked",
        };
        let _ = match &config {
            Some(config) if errors == 0 => writeln!(
                text,
                "{}: good: {}, {}, {warnings}{down}",
                path.display(),
                out::count(config.folders.len(), "folder"),
                out::count(config.datasets.len(), "dataset"),
            ),
            _ => writeln!(
                text,
                "{}: {}, {warnings}{down}",
                path.display(),
                out::count(errors, "error")
            ),
        };
        out::print(&text);
    }
    Ok(match (errors, outages) {
        (0, 0) => Exit::Success,
        // The configuration is good, as far as can be told now.
        (0, _) => Exit::Failure,
        _ => Exit::Usage,
    })
}

/// Folders that the ledger has work of and the configuration does not have. A
/// ledger that can't be read has been spoken of.
async fn left_behind(config: &Config) -> Vec<Finding> {
    let Ok(ledger) = Ledger::open_visitor(&config.ledger) else {
        return Vec::new();
    };
    let counts = ledger.counts().await.unwrap_or_default();
    let places = ledger.places().await.unwrap_or_default();
    ledger.close().await;
    dropped::dropped(config, &counts, &places)
        .into_iter()
        .map(|left| Finding::new(Severity::Warning, left.to_string(), left.remedy()))
        .collect()
}

/// Whether the kernel lets all folders be watched.
fn budget(config: &Config) -> Vec<Finding> {
    let budget = daemon::folders::watch_budget(config);
    let short = budget.problems().into_iter();
    let mut findings: Vec<Finding> = short
        .map(|text| Finding::new(Severity::Warning, text, ""))
        .collect();
    if let (true, Some(max)) = (findings.is_empty(), budget.max_watches) {
        let text = format!(
            "the folders take {} of the {max} inotify watches that this user may have",
            budget.needed()
        );
        findings.push(Finding::new(Severity::Note, text, ""));
    }
    findings
}
