//! Tells hooks what the ledger has left for them: each at its own pace, a few
//! calls at a time, and never in anybody's way.
//!
//! Notices come from the ledger and go back there when a try fails, so nothing
//! is kept in memory but the calls under way, and a restart goes on with what is
//! left. A notice that was told and could not be crossed out is told again:
//! hooks know it by its event id. Must not: change anything about a file.

mod facts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::{Context, LOOK_EVERY, Running};
use super::repeats::{Cause, Subject, grouped};
use super::report;
use super::supervise::TaskFailure;
use crate::config::valid::{By, Folder, Hook};
use crate::domain::ids::FolderName;
use crate::domain::notice::{HookName, MOST_TRIES, again_after};
use crate::hooks::post::Poster;
use crate::hooks::{Failure, command};
use crate::ledger::{LedgerError, Notice};
use crate::live::calls::Called;
use crate::view;

/// Calls of one hook at a time. Every hook has places of its own: one that
/// hangs holds up no other.
const AT_ONCE: usize = 2;

/// How long calls under way may go on when the daemon stops. What is cut off is
/// told again by the next one.
const GRACE: Duration = Duration::from_secs(5);

/// How long it rests when there is nothing to tell.
const IDLE: Duration = Duration::from_secs(60);

/// A call under way: whose, and which notice.
type UnderWay = (FolderName, HookName, i64);

/// Runs until `stop`, and a little longer.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    let poster = Arc::new(Poster::default());
    let mut calls: FuturesUnordered<BoxFuture<'static, UnderWay>> = FuturesUnordered::new();
    let mut under_way: BTreeSet<UnderWay> = BTreeSet::new();
    let mut in_force: Option<Arc<Running>> = None;
    while !stop.is_cancelled() {
        let mut left = std::pin::pin!(ctx.ledger.noticed());
        left.as_mut().enable();
        let running = ctx.running();
        if !in_force.as_ref().is_some_and(|r| Arc::ptr_eq(r, &running)) {
            forget_others(&ctx, &running).await;
            in_force = Some(running.clone());
        }
        let mut next = Instant::now() + IDLE;
        for folder in running.config.folders.values() {
            for hook in &folder.hooks {
                match due(&ctx, folder, hook, &under_way).await {
                    Ok((now, later)) => {
                        for notice in now {
                            let whose = (folder.name.clone(), hook.name.clone(), notice.id);
                            under_way.insert(whose.clone());
                            let call = Call {
                                ctx: ctx.clone(),
                                poster: poster.clone(),
                                running: running.clone(),
                                folder: folder.clone(),
                                hook: hook.clone(),
                            };
                            calls.push(Box::pin(async move {
                                call.tell(notice).await;
                                whose
                            }));
                        }
                        next = next.min(later.map_or(next, |wait| Instant::now() + wait));
                    }
                    Err(error) => {
                        report::ledger_trouble(&error, "hooks are told later");
                        next = next.min(Instant::now() + LOOK_EVERY);
                    }
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = &mut left => {}
            () = ctx.hooks.notified() => {}
            Some(done) = calls.next(), if !calls.is_empty() => {
                under_way.remove(&done);
            }
            () = tokio::time::sleep_until(next) => {}
        }
    }
    let rest = async { while calls.next().await.is_some() {} };
    if tokio::time::timeout(GRACE, rest).await.is_err() {
        tracing::info!("hooks that have not ended are killed, and told again after the next start");
    }
    Ok(())
}

/// A hook that is not in the configuration any more takes its notices along.
async fn forget_others(ctx: &Context, running: &Running) {
    let hooks = running.config.folders.values().flat_map(|folder| {
        let named = |hook: &Arc<Hook>| (folder.name.clone(), hook.name.clone());
        folder.hooks.iter().map(named)
    });
    match ctx.ledger.keep_notices_of(hooks.collect()).await {
        Ok(0) => {}
        Ok(notices) => tracing::warn!(
            notices,
            "dropped: their hooks are not in the configuration any more"
        ),
        Err(error) => tracing::warn!(%error, "the notices of former hooks stay for now"),
    }
}

/// What a hook is to be told now, as far as it has places; and how long until
/// there is more.
async fn due(
    ctx: &Context,
    folder: &Folder,
    hook: &Hook,
    under_way: &BTreeSet<UnderWay>,
) -> Result<(Vec<Notice>, Option<Duration>), LedgerError> {
    let is_busy =
        |notice: i64| under_way.contains(&(folder.name.clone(), hook.name.clone(), notice));
    let busy = under_way
        .iter()
        .filter(|(f, h, _)| *f == folder.name && *h == hook.name)
        .count();
    let Some(free) = AT_ONCE.checked_sub(busy).filter(|free| *free > 0) else {
        return Ok((Vec::new(), None));
    };
    // Those under way are among them; and one more, to see when it is due.
    let next = ctx
        .ledger
        .next_notices(folder.name.clone(), hook.name.clone(), AT_ONCE + 1)
        .await?;
    let now = ctx.world.clock.now();
    let mut waiting = next.into_iter().filter(|notice| !is_busy(notice.id));
    let mut ready = Vec::new();
    for notice in waiting.by_ref() {
        if notice.due > now {
            return Ok((ready, Some(notice.due.since(now))));
        }
        ready.push(notice);
        if ready.len() == free {
            break;
        }
    }
    // Its places are taken, or nothing is left: a bell rings in both cases.
    Ok((ready, None))
}

/// A try, and all that belongs to it.
struct Call {
    ctx: Arc<Context>,
    poster: Arc<Poster>,
    running: Arc<Running>,
    folder: Arc<Folder>,
    hook: Arc<Hook>,
}

impl Call {
    async fn tell(&self, notice: Notice) {
        let tried = self.attempt(&notice).await;
        let called = match tried {
            Ok(()) => Called::Told,
            Err(failure) => self.failed(&notice, &failure),
        };
        let whose = (self.folder.name.clone(), self.hook.name.clone());
        self.ctx.live.called((whose.0, whose.1, called));
        loop {
            let at = self.ctx.world.moment();
            let wait = again_after(notice.tries + 1, at.chance);
            let ledger = &self.ctx.ledger;
            let recorded = match (called, wait) {
                (Called::Failed, Some(wait)) => {
                    ledger.notice_put_off(notice.id, at.now.plus(wait)).await
                }
                _ => ledger.notice_settled(notice.id).await,
            };
            match recorded {
                // Told again after a restart, if there is no better time.
                Err(error) if error.is_passing() => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return report::ledger_trouble(&error, "a hook is told again"),
                Ok(()) => return,
            }
        }
    }

    async fn attempt(&self, notice: &Notice) -> Result<(), Failure> {
        let (config, now) = (&self.running.config, self.ctx.world.clock.now());
        let told = view::notice_json(config, &self.folder, &self.hook, notice, now);
        let mut body = told.to_string().into_bytes();
        let timeout = self.hook.timeout;
        match &self.hook.by {
            By::Command(argv) => {
                body.push(b'\n');
                let facts = facts::facts(config, &self.folder, &self.hook, notice);
                let argv = argv.clone();
                // Loading a program may wait for a disk.
                let started = tokio::task::spawn_blocking(move || command::start(&argv, &facts));
                let started = started
                    .await
                    .map_err(|error| Failure::NotRun(std::io::Error::other(error.to_string())))??;
                started.finish(&body, timeout).await
            }
            By::Post(to) => {
                let id = notice.event_id();
                self.poster
                    .send(&to.url, to.secret.as_ref(), &id, body, timeout)
                    .await
            }
        }
    }

    /// Says so: once when it begins, and once when it is given up.
    fn failed(&self, notice: &Notice, failure: &Failure) -> Called {
        let (folder, hook) = (&self.folder.name, &self.hook.name.0);
        let (event, tries) = (notice.event_id(), notice.tries + 1);
        let event_name = notice.occasion.as_str();
        let (lines, now) = (&self.ctx.lines, self.ctx.world.clock.now());
        let subject = |cause| Subject::at(format_args!("{folder}, hook {hook}"), cause);
        if again_after(tries, 0.0).is_none() {
            grouped!(
                lines, now, subject(Cause::HookGivenUp), error,
                %folder, hook, event, event_name,
                "a hook could not be told, and after {MOST_TRIES} tries is not told any more: {failure}"
            );
            return Called::GivenUp;
        }
        if tries == 1 {
            grouped!(
                lines, now, subject(Cause::HookFailed), warn,
                %folder, hook, event, event_name, "a hook failed, and is tried again: {failure}"
            );
        } else {
            grouped!(
                lines, now, subject(Cause::HookFailed), info,
                %folder, hook, event, event_name, tries, "a hook failed again: {failure}"
            );
        }
        Called::Failed
    }
}
