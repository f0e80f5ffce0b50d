//! `check`: the configuration and its surroundings, all problems at once.
//!
//! Must not: mend anything, or send a file.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::exit::Exit;
use super::finding::Finding;
use super::{Outcome, out, places, rights, runtime};
use crate::config::Severity;
use crate::config::valid::{Config, Dataset};
use crate::daemon;
use crate::domain::answer::{Body, Call, Outcome as Answered};
use crate::domain::error_table::{Judgement, Trail, Verdict};
use crate::domain::ids::TaskId;
use crate::domain::naming::shown_text;
use crate::ledger::Ledger;
use crate::ports::World;
use crate::view::dropped;

/// Check the configuration and its surroundings; say all problems at once
///
/// Each problem comes with its line, the key, and what to do: errors keep the
/// daemon from running (exit code 2), warnings want a look, notes say what is
/// assumed. Run it as the daemon's user, since rights are that user's. Nothing
/// is sent, unless --online is given: then one harmless query per dataset
/// shows whether the base URL and the key are right.
///
/// With --explain it prints the configuration as it is in force, as TOML that
/// can be read back: every key, its value, and whether that is the default or
/// on which line it stands. Of an Access-Key only its place is shown.
///
/// With --json: {"ok", "config", "errors", "warnings", "folders", "datasets",
/// "findings": [{"severity", "file", "line", "key", "text", "remedy"}...]}.
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

/// The longest wait for a dataset's answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Says what was found; exit code 2 if anything keeps the daemon from running.
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
            findings.extend(runtime()?.block_on(online(config))?);
        }
        None if args.online => findings.push(Finding::new(
            Severity::Note,
            "the service was not asked: the configuration can't be used",
            "",
        )),
        _ => {}
    }
    let of = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    if args.json {
        out::print_json(&json!({
            "ok": errors == 0,
            "config": path.to_string_lossy(),
            "errors": errors,
            "warnings": warnings,
            "folders": config.as_ref().map(|c| c.folders.len()),
            "datasets": config.as_ref().map(|c| c.datasets.len()),
            "findings": findings.iter().map(Finding::as_json).collect::<Vec<_>>(),
        }));
    } else {
        let mut text = String::new();
        for finding in &findings {
            let _ = writeln!(text, "{finding}");
        }
        let warnings = out::count(warnings, "warning");
        let _ = match &config {
            Some(config) if errors == 0 => writeln!(
                text,
                "{}: good: {}, {}, {warnings}",
                path.display(),
                out::count(config.folders.len(), "folder"),
                out::count(config.datasets.len(), "dataset"),
            ),
            _ => writeln!(
                text,
                "{}: {}, {warnings}",
                path.display(),
                out::count(errors, "error")
            ),
        };
        out::print(&text);
    }
    Ok(if errors == 0 {
        Exit::Success
    } else {
        Exit::Usage
    })
}

/// Folders that the ledger has work of and the configuration does not have. A
/// ledger that can't be read has been spoken of.
async fn left_behind(config: &Config) -> Vec<Finding> {
    let Ok(ledger) = Ledger::open_visitor(&config.ledger) else {
        return Vec::new();
    };
    let counts = ledger.counts().await.unwrap_or_default();
    ledger.close().await;
    dropped::dropped(config, &counts)
        .into_iter()
        .map(|left| Finding::new(Severity::Warning, left.to_string(), dropped::REMEDY))
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

/// All datasets at once: one that does not answer holds up none.
async fn online(config: &Config) -> Result<Vec<Finding>, crate::api::client::SetupError> {
    let world = World::real();
    let api = daemon::api(&config.service, &world)?;
    let nobody = TaskId::new("supametas-sync-check").expect("it is short and printable");
    let (api, nobody) = (&api, &nobody);
    let asked = config.datasets.values().map(|dataset| async move {
        if dataset.key.expose().is_empty() {
            let text = format!(
                "dataset {}: the service was not asked, since the key is known to systemd alone",
                dataset.name
            );
            let remedy =
                "see it run: `systemctl start supametas-sync`, then `supametas-sync status`";
            return Finding::new(Severity::Note, text, remedy);
        }
        let query = api.query(&dataset.key, nobody, None);
        match tokio::time::timeout(ANSWER, query).await {
            Ok(answered) => {
                let judgement = config
                    .errors
                    .judge(Call::Query, &answered, Trail::default());
                opinion(config, dataset, &answered, &judgement)
            }
            Err(_) => Finding::new(
                Severity::Error,
                format!(
                    "dataset {}: {} did not answer within {} s",
                    dataset.name,
                    config.service.base_url,
                    ANSWER.as_secs()
                ),
                "check `service.base_url` and the way there",
            ),
        }
    });
    Ok(futures_util::future::join_all(asked).await)
}

/// A service that takes the key and does not know the task is the good answer.
fn opinion(
    config: &Config,
    dataset: &Dataset,
    answered: &Answered,
    judgement: &Judgement,
) -> Finding {
    let name = &dataset.name;
    let spoke = matches!(
        answered,
        Answered::Answer(answer) if matches!(answer.body, Body::Envelope { .. })
    );
    let why = shown_text(&judgement.why, 300);
    let usable = matches!(
        &judgement.verdict,
        Verdict::Task(_) | Verdict::Unchanged | Verdict::Retry(Some(_)) | Verdict::Reject
    );
    let code = &judgement.code;
    if usable && spoke && code.as_str() != "HTTP-500" {
        return Finding::new(
            Severity::Note,
            format!("dataset {name}: the service answers and takes the key ({code})"),
            "",
        );
    }
    let text = match &judgement.verdict {
        Verdict::Hold => format!("dataset {name}: {why} ({code})"),
        _ => format!(
            "dataset {name}: {} gave no usable answer: {why} ({code})",
            config.service.base_url
        ),
    };
    Finding::new(Severity::Error, text, judgement.advice)
}
