//! Who watches the tasks: every long-running task has a name and a supervisor.
//! One that panics, fails or returns while the daemon is meant to run ends the
//! daemon with an error, and the service manager starts it again. A dead task
//! is loud.
//!
//! Must not: restart anything itself. The ordinary path of a restart is the
//! one that is tested.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The tasks of a running daemon.
pub struct Supervisor {
    tasks: JoinSet<Result<(), TaskFailure>>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

/// Why a task ended of its own accord.
pub type TaskFailure = Box<dyn std::error::Error + Send + Sync>;

/// A task ended that should not have.
#[derive(Debug, thiserror::Error)]
pub enum TaskEnded {
    /// It panicked; the message is in the log, too.
    #[error(
        "the {name} task panicked: {message}. This is a fault of the program; nothing is lost, start it again and report this line"
    )]
    Panicked {
        /// Which.
        name: &'static str,
        /// What it said.
        message: String,
    },
    /// It gave up.
    #[error("the {name} task failed: {source}")]
    Failed {
        /// Which.
        name: &'static str,
        /// Why.
        source: TaskFailure,
    },
    /// It returned though nobody had asked it to.
    #[error(
        "the {name} task ended early. This is a fault of the program; nothing is lost, start it again and report this line"
    )]
    Early {
        /// Which.
        name: &'static str,
    },
}

impl Supervisor {
    /// A supervisor whose tasks are asked to stop by `stop`.
    pub fn new(stop: CancellationToken) -> Supervisor {
        Supervisor {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            stop,
        }
    }

    /// What its tasks are asked to stop by.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), TaskFailure>> + Send + 'static,
    {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits until all tasks have ended after a stop was asked for, or one has
    /// ended that should not have. A task that has not ended `grace` after that
    /// is given up: it waits for a file system that does not answer, and what
    /// matters is in the ledger.
    pub async fn run(&mut self, grace: impl Fn() -> Duration) -> Result<(), TaskEnded> {
        let stop = self.stop.clone();
        let over = async move {
            stop.cancelled().await;
            tokio::time::sleep(grace()).await;
        };
        let mut over = std::pin::pin!(over);
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next_with_id() => match ended {
                    Some(ended) => ended,
                    None => return Ok(()),
                },
                () = &mut over => {
                    self.give_up();
                    return Ok(());
                }
            };
            let id = match &ended {
                Ok((id, _)) => *id,
                Err(error) => error.id(),
            };
            let name = self.names.remove(&id).unwrap_or("unnamed");
            match ended {
                Ok((_, Ok(()))) if self.stop.is_cancelled() => {
                    tracing::debug!(task = name, "task ended");
                }
                Ok((_, Ok(()))) => return Err(TaskEnded::Early { name }),
                Ok((_, Err(source))) => return Err(TaskEnded::Failed { name, source }),
                Err(error) => {
                    return Err(TaskEnded::Panicked {
                        name,
                        message: panic_text(error),
                    });
                }
            }
        }
    }

    fn give_up(&mut self) {
        let mut names: Vec<&str> = self.names.values().copied().collect();
        names.sort_unstable();
        tracing::warn!(
            "ending without {}: still waiting for a file system that does not answer; the ledger has all that is needed to go on",
            names.join(", ")
        );
        self.tasks.abort_all();
    }
}

/// What a panicking task said.
pub fn panic_text(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned()),
        Err(_) => "it was cancelled".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn long() -> Duration {
        Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_task_that_returns_early_is_an_error() {
        let mut tasks = Supervisor::new(CancellationToken::new());
        tasks.spawn("forgetful", async { Ok(()) });
        tasks.spawn("steady", std::future::pending());
        let ended = tasks.run(long).await.unwrap_err();
        assert!(
            matches!(ended, TaskEnded::Early { name: "forgetful" }),
            "{ended}"
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_words() {
        let mut tasks = Supervisor::new(CancellationToken::new());
        tasks.spawn("nervous", async { panic!("mice") });
        let ended = tasks.run(long).await.unwrap_err().to_string();
        assert!(
            ended.contains("nervous") && ended.contains("mice"),
            "{ended}"
        );
    }

    #[tokio::test]
    async fn after_a_stop_an_end_is_an_end() {
        let stop = CancellationToken::new();
        let mut tasks = Supervisor::new(stop.clone());
        let token = tasks.stop_token();
        tasks.spawn("obedient", async move {
            token.cancelled().await;
            Ok(())
        });
        stop.cancel();
        tasks.run(long).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_hangs_does_not_hold_up_the_end() {
        let stop = CancellationToken::new();
        let mut tasks = Supervisor::new(stop.clone());
        tasks.spawn("hanging", std::future::pending());
        stop.cancel();
        let began = tokio::time::Instant::now();
        tasks.run(|| Duration::from_secs(3)).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 3);
    }
}
