//! `check`: the configuration and its surroundings, all problems at once.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::{Outcome, runtime, table};
use crate::config::valid::{Config, Dataset};
use crate::config::{Problem, Severity};
use crate::daemon;
use crate::domain::answer::{Body, Call, Outcome as Answered};
use crate::domain::error_table::{Judgement, Trail, Verdict};
use crate::domain::ids::TaskId;
use crate::domain::naming::shown_text;
use crate::ports::World;

/// Check the configuration and its surroundings; say all problems at once.
///
/// Each problem comes with its line, the field, and what to do. Nothing is
/// sent, unless --online is given: then one harmless query per dataset shows
/// whether the base URL and the key are right.
///
/// Examples:
///   supametas-sync check
///   supametas-sync check --config ./config.toml --online
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Ask the service, once per dataset, about a task that does not exist.
    #[arg(long)]
    online: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// One thing that was found.
struct Finding {
    severity: Severity,
    text: String,
}

/// Says what was found; exit code 2 if anything keeps the daemon from running.
pub fn main(path: &Path, args: Args) -> Outcome {
    let mut findings = Vec::new();
    let config = match Config::load(path) {
        Ok(loaded) => {
            findings.extend(loaded.warnings.iter().map(Finding::of));
            Some(loaded.config)
        }
        Err(errors) => {
            findings.extend(errors.problems.iter().map(Finding::of));
            None
        }
    };
    if let Some(config) = &config {
        findings.extend(budget(config));
        if args.online {
            findings.extend(runtime()?.block_on(online(config))?);
        }
    }
    let errors = findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .count();
    let warnings = findings
        .iter()
        .filter(|f| f.severity == Severity::Warning)
        .count();
    if args.json {
        table::print_json(&json!({
            "ok": errors == 0,
            "findings": findings.iter().map(|f| json!({
                "severity": word(f.severity), "text": f.text,
            })).collect::<Vec<_>>(),
        }));
    } else {
        let mut text = String::new();
        for finding in &findings {
            let _ = writeln!(text, "{}", finding.text);
        }
        match &config {
            Some(config) if errors == 0 => {
                let _ = writeln!(
                    text,
                    "{}: good: {} folders, {} datasets, {warnings} warnings",
                    path.display(),
                    config.folders.len(),
                    config.datasets.len()
                );
            }
            _ => {
                let _ = writeln!(
                    text,
                    "{}: {errors} errors, {warnings} warnings",
                    path.display()
                );
            }
        }
        table::print(&text);
    }
    Ok(if errors == 0 {
        Exit::Success
    } else {
        Exit::Usage
    })
}

impl Finding {
    fn of(problem: &Problem) -> Finding {
        Finding {
            severity: problem.severity,
            text: problem.to_string(),
        }
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// Whether the kernel lets all folders be watched.
fn budget(config: &Config) -> Vec<Finding> {
    let budget = daemon::folders::watch_budget(config);
    let short = budget.problems().into_iter().map(|text| Finding {
        severity: Severity::Warning,
        text,
    });
    let mut findings: Vec<Finding> = short.collect();
    if let (true, Some(max)) = (findings.is_empty(), budget.max_watches) {
        let text = format!(
            "the folders take {} of the {max} inotify watches that this user may have",
            budget.needed()
        );
        findings.push(Finding {
            severity: Severity::Note,
            text,
        });
    }
    findings
}

async fn online(config: &Config) -> Result<Vec<Finding>, crate::api::client::SetupError> {
    let world = World::real();
    let api = daemon::api(&config.service, &world)?;
    let nobody = TaskId::new("supametas-sync-check").expect("it is short and printable");
    let mut findings = Vec::new();
    for dataset in config.datasets.values() {
        let answered = api.query(&dataset.key, &nobody, None).await;
        let judgement = config
            .errors
            .judge(Call::Query, &answered, Trail::default());
        findings.push(opinion(config, dataset, &answered, &judgement));
    }
    Ok(findings)
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
    let finding = |severity, text| Finding { severity, text };
    match &judgement.verdict {
        Verdict::Task(_) | Verdict::Unchanged | Verdict::Retry(Some(_)) | Verdict::Reject
            if spoke && judgement.code.as_str() != "HTTP-500" =>
        {
            finding(
                Severity::Note,
                format!(
                    "dataset {name}: the service answers and takes the key ({})",
                    judgement.code
                ),
            )
        }
        Verdict::Hold => finding(
            Severity::Error,
            format!(
                "dataset {name}: {why} ({}). {}",
                judgement.code, judgement.advice
            ),
        ),
        _ => finding(
            Severity::Error,
            format!(
                "dataset {name}: {} gave no usable answer: {why} ({}). {}",
                config.service.base_url, judgement.code, judgement.advice
            ),
        ),
    }
}
