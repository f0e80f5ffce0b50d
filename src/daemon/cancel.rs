//! Having the service delete the task of a file: for the command `cancel`, and for
//! the page.
//!
//! Must not: call a file cancelled that the service has not said so about.

use std::collections::BTreeSet;

use super::context::Running;
use crate::config::valid::Config;
use crate::domain::answer::Call;
use crate::domain::error_table::Trail;
use crate::domain::ids::{FileId, TaskId};
use crate::domain::lifecycle::{Event, Step, step};
use crate::domain::naming::shown_text;
use crate::domain::state::State;
use crate::ledger::{FileRecord, Ledger, LedgerError, Policies};
use crate::ports::{ImportApi, World};
use crate::web::Cancelled;

/// The task to delete, or why there is none and what can be done instead.
///
/// # Errors
/// In words.
pub fn task_of(file: &FileRecord, world: &World) -> Result<TaskId, String> {
    let policies = Policies::new(Default::default());
    match step(
        &file.state,
        &Event::Deleted,
        world.moment(),
        policies.of(&file.folder),
    ) {
        Step::Refused(_) => Err(why_not(file)),
        Step::Stay | Step::Go(_) => match &file.state {
            State::Submitted { task, .. } => Ok(task.clone()),
            _ => Err("its task was deleted before".to_owned()),
        },
    }
}

/// Why there is no task to delete, and what can be done instead.
fn why_not(file: &FileRecord) -> String {
    let folder = &file.folder;
    match &file.state {
        State::Queued { .. } => format!(
            "it is queued and has no task yet: `supametas-sync pause folder:{folder}` holds it back, and a file that is taken out of its folder is never sent"
        ),
        State::Uploading { .. } => {
            "it is being uploaded right now: cancel it once it has a task".to_owned()
        }
        State::Succeeded { task } => format!(
            "the service has imported it, as task {task}: what came of it is deleted in the service's console"
        ),
        State::Untracked => "the service has taken it and named no task: what came of it is deleted in the service's console".to_owned(),
        State::Unconfirmed { .. } => "nobody knows whether the service has it, so there is no task to name: look in the service's console, and delete it there".to_owned(),
        State::Lost { task } => format!("the service does not know its task {task} any more"),
        State::Cancelled { .. } => "its task was deleted before".to_owned(),
        state => format!(
            "it has ended as {}: there is no task of it that goes on",
            state.kind()
        ),
    }
}

/// Has the service delete the task, and records it. `Some`: why it was not.
///
/// # Errors
/// When the ledger can't be written.
pub async fn cancel(
    config: &Config,
    api: &dyn ImportApi,
    ledger: &Ledger,
    file: &FileRecord,
    task: TaskId,
    world: &World,
) -> Result<Option<String>, LedgerError> {
    let Some(dataset) = config.datasets.get(&file.dataset) else {
        return Ok(Some(format!(
            "the configuration has no dataset {:?}, so there is no key to ask with",
            shown_text(&file.dataset.0, 100)
        )));
    };
    let outcome = api.delete(&dataset.key, &task).await;
    if !outcome.is_done() {
        if let Some(result) = outcome.opt_refused() {
            return Ok(Some(format!(
                "the service did not delete task {task}: it answers {:?}",
                shown_text(result, 100)
            )));
        }
        let judged = config.errors.judge(Call::Query, &outcome, Trail::default());
        return Ok(Some(format!(
            "the service did not say that it deleted task {task}: {} {}",
            judged.code,
            shown_text(&judged.why, 300)
        )));
    }
    match ledger.deleted(file.id, task, world.moment()).await {
        Ok(()) => Ok(None),
        Err(LedgerError::Refused { why, .. }) => Ok(Some(format!(
            "the service has deleted its task, and meanwhile: {why}"
        ))),
        Err(error) => Err(error),
    }
}

/// Has the service delete the tasks of these files, one after another; `dry_run`:
/// says only whether each has one.
///
/// # Errors
/// When the ledger can't be asked, or written.
pub async fn all(
    running: &Running,
    ledger: &Ledger,
    ids: Vec<FileId>,
    dry_run: bool,
    world: &World,
) -> Result<Cancelled, LedgerError> {
    let mut done = Cancelled::default();
    let files = ledger.records(ids.clone()).await?;
    let known: BTreeSet<FileId> = files.iter().map(|file| file.id).collect();
    let unknown = ids.into_iter().filter(|id| !known.contains(id));
    let none = "there is no such file in the ledger";
    done.refused.extend(unknown.map(|id| (id, none.to_owned())));
    for file in files {
        let refused = match task_of(&file, world) {
            Err(why) => Some(why),
            Ok(_) if dry_run => None,
            Ok(task) => {
                let (config, api) = (&running.config, &*running.api);
                cancel(config, api, ledger, &file, task, world).await?
            }
        };
        match refused {
            None => done.cancelled.push(file.id),
            Some(why) => done.refused.push((file.id, why)),
        }
    }
    Ok(done)
}
