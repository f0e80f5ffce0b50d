//! `check --online`: one harmless query for each dataset, and what its answer
//! says of the base URL, the key and the service.
//!
//! Must not: send a file, or take an outage for a fault of the configuration.

use std::sync::Arc;
use std::time::Duration;

use super::finding::Finding;
use crate::api::client::SetupError;
use crate::config::Severity;
use crate::config::valid::{Config, Dataset, Service};
use crate::daemon;
use crate::domain::answer::{Body, Call, Outcome as Answered};
use crate::domain::error_table::{Judgement, Trail, Verdict};
use crate::domain::ids::TaskId;
use crate::domain::naming::shown_text;
use crate::ports::{ImportApi, World};

/// The longest wait for a dataset's answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A path that no API has: what answers there is what answers everything.
const NOWHERE: &str = "/supametas-sync-asks-whether-this-path-exists";

/// What one query came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The service answers, and takes the key.
    Fine,
    /// Nothing of the service is at the address.
    WrongPath,
    /// The service does not take the key.
    WrongKey,
    /// The service, or the way there, does not work now.
    Down,
    /// The service answers, and refuses for another reason.
    Refused,
}

/// All datasets at once: one that does not answer holds up none.
pub async fn findings(config: &Config) -> Result<Vec<Finding>, SetupError> {
    let world = World::real();
    let api = daemon::api(&config.service, &world)?;
    let elsewhere = Service {
        query_path: NOWHERE.to_owned(),
        ..config.service.clone()
    };
    let nowhere = daemon::api(&elsewhere, &world)?;
    let (api, nowhere) = (&api, &nowhere);
    let asked = config
        .datasets
        .values()
        .map(|dataset| async move { one(config, dataset, api, nowhere).await });
    Ok(futures_util::future::join_all(asked).await)
}

async fn one(
    config: &Config,
    dataset: &Dataset,
    api: &Arc<dyn ImportApi>,
    nowhere: &Arc<dyn ImportApi>,
) -> Finding {
    if dataset.key.expose().is_empty() {
        let text = format!(
            "dataset {}: the service was not asked, since the key is known to systemd alone",
            dataset.name
        );
        let remedy = "see it run: `systemctl start supametas-sync`, then `supametas-sync status`";
        return Finding::new(Severity::Note, text, remedy);
    }
    let Some(answered) = ask(dataset, api).await else {
        return Finding::outage(
            format!(
                "dataset {}: {} did not answer within {} s",
                dataset.name,
                config.service.base_url,
                ANSWER.as_secs()
            ),
            OUTAGE,
        );
    };
    // The service says 404 to a task that it does not know, and something else
    // may say so to every path.
    let says_404_to_all = match answered.status() {
        Some(404) => ask(dataset, nowhere)
            .await
            .is_some_and(|other| other == answered),
        _ => false,
    };
    let judgement = config
        .errors
        .judge(Call::Query, &answered, Trail::default());
    opinion(
        config,
        dataset,
        meaning(&answered, &judgement, says_404_to_all),
        &judgement,
    )
}

/// `None`: no answer in time.
async fn ask(dataset: &Dataset, api: &Arc<dyn ImportApi>) -> Option<Answered> {
    let nobody = TaskId::new("supametas-sync-check").expect("it is short and printable");
    let query = api.query(&dataset.key, &nobody, None);
    tokio::time::timeout(ANSWER, query).await.ok()
}

fn meaning(answered: &Answered, judgement: &Judgement, says_404_to_all: bool) -> Meaning {
    let Answered::Answer(answer) = answered else {
        return Meaning::Down;
    };
    let spoke = matches!(answer.body, Body::Envelope { .. } | Body::OtherTask { .. });
    match answer.status {
        401 => Meaning::WrongKey,
        404 if says_404_to_all || !spoke => Meaning::WrongPath,
        // Nothing of the service redirects, or knows no POST, at a query.
        301..=308 | 405 => Meaning::WrongPath,
        200..=299 if !spoke => Meaning::WrongPath,
        407 | 511 => Meaning::Refused,
        408 | 500..=599 => Meaning::Down,
        429 => Meaning::Fine,
        _ if !spoke => Meaning::WrongPath,
        _ => match &judgement.verdict {
            Verdict::Task(_) | Verdict::Unchanged | Verdict::Retry(Some(_)) | Verdict::Reject => {
                Meaning::Fine
            }
            _ => Meaning::Refused,
        },
    }
}

const OUTAGE: &str = "as far as this shows the configuration is right: try again later; if it stays so, look at the host in `service.base_url`, at `service.proxy` and at the way there";

fn opinion(config: &Config, dataset: &Dataset, meaning: Meaning, judgement: &Judgement) -> Finding {
    let name = &dataset.name;
    let (base, query) = (&config.service.base_url, &config.service.query_path);
    let why = shown_text(&judgement.why, 300);
    let code = &judgement.code;
    let error = |text: String, remedy: String| Finding::new(Severity::Error, text, remedy);
    match meaning {
        Meaning::Fine => Finding::new(
            Severity::Note,
            format!("dataset {name}: the service answers and takes the key (asked about a task that is not there: {code})"),
            "",
        ),
        Meaning::WrongPath => error(
            format!(
                "dataset {name}: something answers at {base}{query}, but not the service's API ({code})"
            ),
            "the host is there, and the path is wrong: write `service.base_url` as the service's page has it, with its path, and look at `service.paths.query`"
                .to_owned(),
        ),
        Meaning::WrongKey => {
            let place = dataset.key_file.as_deref();
            let place = place.map_or("the place that the dataset names".to_owned(), |path| {
                shown_text(&path.to_string_lossy(), 300)
            });
            error(
                format!("dataset {name}: the service is there and does not take the Access-Key from {place} ({code})"),
                "copy the dataset's key from the service's console anew: the whole of it, and of this dataset".to_owned(),
            )
        }
        Meaning::Down => Finding::outage(
            format!("dataset {name}: the service can't be asked now at {base}: {why} ({code})"),
            OUTAGE,
        ),
        Meaning::Refused => error(
            format!("dataset {name}: {base} answers, and refuses: {why} ({code})"),
            judgement.advice.to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::Answer;
    use crate::domain::error_table::ErrorTable;

    fn envelope() -> Body {
        Body::Envelope {
            code: "404".to_owned(),
            message: Some("no such task".to_owned()),
            task: None,
            task_state: None,
            opt_result: None,
        }
    }

    #[test]
    fn a_wrong_path_a_wrong_key_and_an_outage_are_told_apart() {
        let table = ErrorTable::default();
        let answer = |status, body: &Body| {
            Answered::Answer(Answer {
                status,
                body: body.clone(),
                ..Answer::default()
            })
        };
        let (spoke, page) = (envelope(), Body::Empty);
        let down = Answered::NoConnection {
            detail: "refused".to_owned(),
        };
        let broken = Answered::Broken {
            last_byte_sent: true,
            detail: "cut".to_owned(),
        };
        for (answered, to_all, wanted) in [
            (answer(404, &spoke), false, Meaning::Fine),
            (answer(404, &spoke), true, Meaning::WrongPath),
            (answer(404, &page), false, Meaning::WrongPath),
            (answer(405, &spoke), false, Meaning::WrongPath),
            (answer(301, &page), false, Meaning::WrongPath),
            (answer(200, &page), false, Meaning::WrongPath),
            (answer(401, &spoke), false, Meaning::WrongKey),
            (answer(401, &page), false, Meaning::WrongKey),
            (answer(403, &spoke), false, Meaning::Refused),
            (answer(429, &spoke), false, Meaning::Fine),
            (answer(500, &page), false, Meaning::Down),
            (answer(503, &spoke), false, Meaning::Down),
            (answer(407, &page), false, Meaning::Refused),
            (down, false, Meaning::Down),
            (broken, false, Meaning::Down),
        ] {
            let judgement = table.judge(Call::Query, &answered, Trail::default());
            let meant = meaning(&answered, &judgement, to_all);
            assert_eq!(meant, wanted, "{answered:?}");
        }
    }
}
