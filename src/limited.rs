//! Calls that may never return, each on a thread of its own, with a limit.
//!
//! A file system whose server is away holds up whoever asks it anything, and
//! no signal ends the wait. So each question to one is asked on a thread that
//! may be lost, and the caller goes on after [`LIMIT`]. What was asked about a
//! path is remembered until its thread returns: meanwhile nothing else is asked
//! at or below that path. So a folder costs one thread, however often it is
//! asked about.
//!
//! Must not: know what is asked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How long a file system may take to answer one question.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Stack of a thread that asks. It walks no tree by recursion, and many may
/// wait at a time.
const STACK: usize = 512 * 1024;

/// There was no answer within the limit, or to an earlier question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer {
    /// How long the oldest question has waited.
    pub waited: Duration,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the file system has not answered for {} s",
            self.waited.as_secs()
        )
    }
}

/// The calls of this process that are waiting for an answer.
#[derive(Debug, Clone)]
pub struct Calls {
    open: Arc<Mutex<Vec<Call>>>,
    limit: Duration,
}

#[derive(Debug)]
struct Call {
    number: u64,
    about: PathBuf,
    since: Instant,
    /// Its caller has given up.
    lost: bool,
}

/// Takes a call off the list when its thread returns, a panic included.
struct Open {
    calls: Calls,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.calls.list().retain(|call| call.number != self.number);
    }
}

impl Calls {
    /// With a limit of one's own, and nothing known of other calls.
    pub fn with_limit(limit: Duration) -> Calls {
        Calls {
            open: Arc::default(),
            limit,
        }
    }

    /// Those of the whole process, since its threads are what is limited.
    pub fn of_process() -> &'static Calls {
        static CALLS: OnceLock<Calls> = OnceLock::new();
        CALLS.get_or_init(|| Calls::with_limit(LIMIT))
    }

    /// Asks `question`, which is about `path` and may hang.
    ///
    /// # Errors
    /// When the answer does not come within the limit, or an earlier question
    /// about the path or a directory above it is still without one.
    pub fn ask<T: Send + 'static>(
        &self,
        path: &Path,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        self.begin(path, question)?.wait(self.limit)
    }

    /// The same for a question that takes longer and shows that it goes on:
    /// `progress` gives another number as long as it does.
    ///
    /// # Errors
    /// When the number has stayed the same for the limit.
    pub fn ask_while<T: Send + 'static>(
        &self,
        path: &Path,
        progress: impl Fn() -> u64,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let waiting = self.begin(path, question)?;
        let mut before = progress();
        loop {
            match waiting.answer.recv_timeout(self.limit) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => {
                    let now = progress();
                    if now == before {
                        return Err(self.give_up(waiting.number));
                    }
                    before = now;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.give_up(waiting.number)),
            }
        }
    }

    /// Asks all questions at once, each about its path; the answers in their
    /// order. Waits once for all of them.
    pub fn ask_all<T: Send + 'static, Q: FnOnce() -> T + Send + 'static>(
        &self,
        questions: impl IntoIterator<Item = (PathBuf, Q)>,
    ) -> Vec<Result<T, NoAnswer>> {
        let until = Instant::now() + self.limit;
        let waiting: Vec<_> = questions
            .into_iter()
            .map(|(path, question)| self.begin(&path, question))
            .collect();
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        waiting
            .into_iter()
            .map(|begun| begun?.wait(left(until)))
            .collect()
    }

    /// [`ask`](Self::ask) for a task of the runtime.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask).
    pub async fn ask_async<T: Send + 'static>(
        &self,
        path: &Path,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (tell, answer) = oneshot::channel();
        let open = self.spawn(path, move || {
            let _ = tell.send(question());
        })?;
        match tokio::time::timeout(self.limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(self.give_up(open)),
        }
    }

    fn begin<T: Send + 'static>(
        &self,
        path: &Path,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Waiting<'_, T>, NoAnswer> {
        let (tell, answer) = mpsc::channel();
        let number = self.spawn(path, move || {
            let _ = tell.send(question());
        })?;
        Ok(Waiting {
            calls: self,
            number,
            answer,
        })
    }

    fn spawn(
        &self,
        path: &Path,
        question: impl FnOnce() + Send + 'static,
    ) -> Result<u64, NoAnswer> {
        let number = {
            let mut list = self.list();
            let waiting = list
                .iter()
                .find(|call| call.lost && path.starts_with(&call.about));
            if let Some(call) = waiting {
                return Err(NoAnswer {
                    waited: call.since.elapsed(),
                });
            }
            let number = list.iter().map(|call| call.number).max().unwrap_or(0) + 1;
            list.push(Call {
                number,
                about: path.to_owned(),
                since: Instant::now(),
                lost: false,
            });
            number
        };
        let open = Open {
            calls: self.clone(),
            number,
        };
        let run = move || {
            let _open = open;
            question();
        };
        thread::Builder::new()
            .name("fs-question".into())
            .stack_size(STACK)
            .spawn(run)
            // No thread, no answer; the call is off the list again.
            .map_err(|_| NoAnswer {
                waited: Duration::ZERO,
            })?;
        Ok(number)
    }

    fn give_up(&self, number: u64) -> NoAnswer {
        let mut list = self.list();
        let call = list.iter_mut().find(|call| call.number == number);
        NoAnswer {
            waited: call.map_or(self.limit, |call| {
                call.lost = true;
                call.since.elapsed()
            }),
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Call>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting<'c, T> {
    calls: &'c Calls,
    number: u64,
    answer: mpsc::Receiver<T>,
}

impl<T> Waiting<'_, T> {
    fn wait(&self, limit: Duration) -> Result<T, NoAnswer> {
        match self.answer.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(self.calls.give_up(self.number))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// A question that hangs until its key is turned.
    fn hanging() -> (mpsc::Sender<()>, impl FnOnce() -> u8 + Send + 'static) {
        let (key, wait) = mpsc::channel();
        let question = move || {
            let _: Result<(), _> = wait.recv();
            7
        };
        (key, question)
    }

    fn until(done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < Duration::from_secs(10), "it never came");
            thread::yield_now();
        }
    }

    #[test]
    fn an_answer_in_time_is_given() {
        let calls = Calls::with_limit(LIMIT);
        assert_eq!(calls.ask(Path::new("/a"), || 3), Ok(3));
        until(|| calls.list().is_empty());
    }

    #[test]
    fn what_hangs_is_not_asked_again_until_it_returns() {
        let calls = Calls::with_limit(SHORT);
        let (key, question) = hanging();
        assert!(calls.ask(Path::new("/mnt/nas"), question).is_err());
        for below in ["/mnt/nas", "/mnt/nas/in/a"] {
            let asked = calls.ask(Path::new(below), || panic!("asked again"));
            assert!(asked.unwrap_err().waited >= SHORT, "{below}");
        }
        assert_eq!(calls.list().len(), 1, "one thread, however often");
        // Others are asked all the while.
        assert_eq!(calls.ask(Path::new("/mnt/nasty"), || 1), Ok(1));
        key.send(()).unwrap();
        until(|| calls.list().is_empty());
        assert_eq!(calls.ask(Path::new("/mnt/nas"), || 2), Ok(2));
    }

    #[test]
    fn many_are_waited_for_once() {
        let calls = Calls::with_limit(SHORT);
        let began = Instant::now();
        let (keys, questions): (Vec<_>, Vec<_>) = (0..20).map(|_| hanging()).unzip();
        let paths = (0..20).map(|n| PathBuf::from(format!("/mnt/{n}")));
        let answers = calls.ask_all(paths.zip(questions));
        assert!(answers.iter().all(Result::is_err));
        assert!(began.elapsed() < SHORT * 10, "{:?}", began.elapsed());
        drop(keys);
    }

    #[test]
    fn a_long_question_is_waited_for_while_it_goes_on() {
        let calls = Calls::with_limit(SHORT);
        let steps = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let seen = Arc::clone(&steps);
        let next = move || seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (key, question) = hanging();
        // It is seen to go on twice, and then ends.
        let progress = move || {
            let step = next();
            if step == 3 {
                key.send(()).unwrap();
            }
            step
        };
        assert_eq!(calls.ask_while(Path::new("/a"), progress, question), Ok(7));
        let (_key, question) = hanging();
        assert!(calls.ask_while(Path::new("/a"), || 0, question).is_err());
    }

    #[tokio::test]
    async fn a_task_is_not_held_up() {
        let calls = Calls::with_limit(SHORT);
        let (key, question) = hanging();
        assert!(calls.ask_async(Path::new("/a"), question).await.is_err());
        assert!(calls.ask_async(Path::new("/a/b"), || 1).await.is_err());
        assert_eq!(calls.ask_async(Path::new("/c"), || 1).await, Ok(1));
        drop(key);
    }
}
