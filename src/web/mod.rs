//! What a running daemon tells over HTTP, and the few things that it can be
//! asked to do: on a Unix socket beside the ledger, and, where the configuration
//! says so, on a TCP port of this machine. `docs/http.md` is the contract.
//!
//! ```text
//!   opening ─► door ─► serve (bounds, connections) ─► guard (Host, token, time)
//!        ─► api · act · health · metrics · page ─► the ledger's cold reads, `live`
//! ```
//!
//! It looks over the daemon's shoulder through [`Backstage`], and nothing waits
//! for it: who is slow here is slow alone. Must not: spawn (all of it is one
//! future of the daemon's), decide about a file, or show a key.

mod acknowledge;
mod act;
mod api;
mod ask;
mod cancel;
pub mod client;
mod connections;
pub mod door;
mod guard;
mod health;
mod metrics;
pub mod opening;
mod page;
mod push;
mod refusal;
mod serve;
mod socket;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};
use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore};

use self::door::Entry;
use self::opening::{Doors, Opening};
use self::refusal::Refusal;
use crate::config::valid::{Config, Dataset};
use crate::domain::ids::{FileId, FolderName};
use crate::ledger::{Ledger, LedgerError};
use crate::live::{FolderFacts, Live};
use crate::ports::{BoxFuture, World};
use crate::view::reload::Reloaded;

pub use push::PREFIX as WEBHOOK_PREFIX;
pub use socket::path as socket_path;

/// What is wanted of the daemon that this stands in front of.
pub trait Backstage: Send + Sync + 'static {
    /// The configuration in force.
    fn config(&self) -> Arc<Config>;
    /// The ledger.
    fn ledger(&self) -> &Ledger;
    /// Time and chance.
    fn world(&self) -> &World;
    /// What is going on.
    fn live(&self) -> &Live;
    /// How each folder is doing.
    fn folders(&self) -> BTreeMap<FolderName, FolderFacts>;
    /// Kernel watches that this user may have, where the system tells.
    fn watch_limit(&self) -> Option<u64>;
    /// Has everybody look for work: something was changed in the ledger.
    fn wake(&self);
    /// Keeps what the service has pushed, and has its tasks asked about.
    fn pushed<'a>(
        &'a self,
        dataset: &'a Arc<Dataset>,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), Unstored>>;
    /// Has the service delete the tasks of these files, and records it; `dry_run`:
    /// says only whether each has one. What is begun is seen through, also where
    /// nobody waits for the answer any more.
    fn cancel(
        &self,
        ids: Vec<FileId>,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<Cancelled, LedgerError>>;
    /// Reads the configuration again, as SIGHUP does; `None`: the daemon is
    /// stopping.
    fn reload(&self) -> BoxFuture<'_, Option<Reloaded>>;
}

/// What became of files that were to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// The service has deleted their tasks.
    pub cancelled: Vec<FileId>,
    /// It has not, and why.
    pub refused: Vec<(FileId, String)>,
}

/// Why a push was not kept; the log has the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstored {
    /// The disk is full, or nearly so.
    Full,
    /// Something else.
    Other,
}

/// What a request is answered from.
struct Site {
    back: Arc<dyn Backstage>,
    entry: Entry,
    /// One question to the ledger at a time: the next of them is still here,
    /// and gone with its client, while one takes long.
    turn: Mutex<()>,
    /// Pushes that may be read at a time.
    pushes: Semaphore,
    /// Pushes that may be here at a time, those that wait included.
    push_places: Semaphore,
    /// How all doors are doing.
    doors: Doors,
}

impl Site {
    /// Asks the ledger a question of people's.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, Refusal> {
        let _turn = self.turn.lock().await;
        question.await.map_err(|error| Refusal::ledger(&error))
    }
}

/// Answers at all doors for as long as it is polled. `told` hears of each port
/// that is open.
pub async fn run(
    back: Arc<dyn Backstage>,
    openings: Vec<Opening>,
    doors: Doors,
    told: Option<fn(SocketAddr)>,
) {
    let all = openings.into_iter().map(|opening| {
        let (back, doors) = (back.clone(), doors.clone());
        async move {
            let door = opening.door().await;
            if let (Entry::Tcp(address), Some(told)) = (door.entry(), told) {
                told(address);
            }
            let site = Arc::new(Site {
                back,
                entry: door.entry(),
                turn: Mutex::new(()),
                pushes: Semaphore::new(push::AT_ONCE),
                push_places: Semaphore::new(push::PLACES),
                doors,
            });
            serve::serve(door, router(site)).await;
        }
    });
    futures_util::future::join_all(all).await;
    // No door could be opened; that was said, and the files matter more.
    std::future::pending().await
}

fn router(site: Arc<Site>) -> Router {
    page::routes()
        .route("/api/status", get(api::status))
        .route("/api/files", get(api::files))
        .route("/api/files/{id}", get(api::file))
        .route("/api/charts", get(api::charts))
        .route("/api/errors", get(api::errors))
        // What acts: each goes through `act::may`.
        .route("/api/retry", post(act::retry))
        .route("/api/acknowledge", post(acknowledge::acknowledge))
        .route("/api/cancel", post(cancel::cancel))
        .route("/api/pause", post(act::pause))
        .route("/api/resume", post(act::resume))
        .route("/api/reload", post(act::reload))
        .route(&format!("{}{{*secret}}", push::PREFIX), any(push::push))
        .route("/healthz", get(health::healthy))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .fallback(refusal::unknown)
        .method_not_allowed_fallback(refusal::wrong_method)
        .layer(axum::middleware::from_fn_with_state(
            site.clone(),
            guard::guard,
        ))
        .with_state(site)
}
