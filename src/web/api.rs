//! The questions: how things stand, files, one file, the error table.
//!
//! Must not: change anything, or ask the ledger on the daemon's own lane.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::door::Entry;
use super::refusal::Refusal;
use super::{Site, ask};
use crate::domain::ids::FileId;
use crate::ledger::FileRecord;
use crate::view::charts::ChartsView;
use crate::view::standing::{DaemonView, QueueView, RateView, Standing, UploadView, Watches};
use crate::view::{self, Surroundings};

impl Site {
    /// How things stand, the daemon included.
    pub(super) async fn standing(&self) -> Result<Standing, Refusal> {
        let (back, config) = (&self.back, self.back.config());
        let now = back.world().clock.now();
        let ledger = back.ledger();
        let found = self.ask(ledger.standing(now)).await?;
        let mut standing =
            Standing::of(&config, &found, &ledger.gates(), &ledger.halts(), true, now);
        standing.stopped = ledger.trouble().borrow().as_ref().map(ToString::to_string);
        let (live, folders) = (back.live(), back.folders());
        let in_flight = live.in_flight();
        let in_flight = in_flight.iter().map(|(u, pace)| UploadView::of(u, *pace));
        let in_flight: Vec<UploadView> = in_flight.collect();
        let rates = live.rates();
        let daemon = DaemonView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: view::Stamp(live.started_at),
            queue: QueueView::of(&standing, &in_flight, rates.last()),
            in_flight,
            rates: rates.iter().map(RateView::of).collect(),
            watches: Watches {
                used: folders.values().map(|folder| folder.watches).sum(),
                limit: back.watch_limit(),
            },
            doors: self.doors.all(),
            long_log_bytes: ledger.long_log().map(|log| log.bytes),
            stale_keys: live.stale_keys(),
            may_act: self.entry == Entry::Socket || config.http.token.is_some(),
        };
        let questions = live.questions();
        let mut standing = standing.with_daemon(daemon, &questions, &folders, &live.settling_now());
        let oldest = found.oldest.as_ref();
        let ahead = self.ask(ledger.ahead(oldest.cloned().into_iter().collect()));
        let around = Surroundings::new(&config, ledger, &standing, ahead.await?, now);
        around.tell_oldest(&mut standing, oldest);
        Ok(standing)
    }

    /// What the wait of these files depends on.
    async fn around(&self, files: &[FileRecord]) -> Result<Surroundings, Refusal> {
        let waits = |file: &&FileRecord| !file.state.kind().is_final();
        let waiting: Vec<FileRecord> = files.iter().filter(waits).take(COUNTED).cloned().collect();
        if waiting.is_empty() {
            return Ok(Surroundings::default());
        }
        let (config, ledger) = (self.back.config(), self.back.ledger());
        let ahead = self.ask(ledger.ahead(waiting)).await?;
        let (standing, now) = (self.standing().await?, self.back.world().clock.now());
        Ok(Surroundings::new(&config, ledger, &standing, ahead, now))
    }
}

/// `GET /api/status`.
pub async fn status(State(site): State<Arc<Site>>) -> Result<Json<Standing>, Refusal> {
    Ok(Json(site.standing().await?))
}

/// Files of a list whose place in the queue is counted, at most.
const COUNTED: usize = 10_000;

/// How many files match, on all pages.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// `GET /api/files`: a page of a list. The headers say how many files there are
/// in all, and where the next page is (RFC 8288), so that the body is the list
/// that the command prints.
pub async fn files(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
) -> Result<(HeaderMap, Json<Vec<Value>>), Refusal> {
    let now = site.back.world().clock.now();
    let query = query.unwrap_or_default();
    let asked = ask::listing(&query, now)?;
    let ledger = site.back.ledger();
    let (found, attempts) = site
        .ask(async {
            let found = ledger
                .browse(asked.filter, asked.order, asked.after)
                .await?;
            let ids = found.files.iter().map(|file| file.id).collect();
            let attempts: BTreeMap<FileId, u64> = ledger.attempt_counts(ids).await?;
            Ok((found, attempts))
        })
        .await?;
    let mut headers = HeaderMap::new();
    headers.insert(TOTAL, HeaderValue::from(found.total));
    let next = found.next.map(|place| {
        let query = ask::next_page(&query, &place);
        HeaderValue::try_from(format!("</api/files?{query}>; rel=\"next\""))
    });
    if let Some(Ok(next)) = next {
        headers.insert(header::LINK, next);
    }
    let (config, around) = (site.back.config(), site.around(&found.files).await?);
    let one = |file: &FileRecord| {
        let attempts = attempts.get(&file.id).copied().unwrap_or(0);
        view::as_json(&config, file, attempts, &around.of(file), now)
    };
    Ok((headers, Json(found.files.iter().map(one).collect())))
}

/// `GET /api/files/{id}`.
pub async fn file(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "there is no such file in the ledger");
    let id = id.parse().map(FileId).map_err(|_| unknown())?;
    let story = site.ask(site.back.ledger().show(id)).await?;
    let story = story.ok_or_else(unknown)?;
    let now = site.back.world().clock.now();
    let around = site.around(std::slice::from_ref(&story.file)).await?;
    let (config, waiting) = (site.back.config(), around.of(&story.file));
    Ok(Json(view::story_json(&config, &story, &waiting, now)))
}

/// `GET /api/charts`.
pub async fn charts(State(site): State<Arc<Site>>) -> Json<ChartsView> {
    let live = site.back.live();
    let (hour, day) = live.series();
    let now = site.back.world().clock.now();
    Json(ChartsView::of(&hour, &day, live.started_at, now))
}

/// `GET /api/errors`.
pub async fn errors(State(site): State<Arc<Site>>) -> Json<Vec<Value>> {
    let config = site.back.config();
    Json(
        config
            .errors
            .rows()
            .iter()
            .map(view::errors::as_json)
            .collect(),
    )
}
