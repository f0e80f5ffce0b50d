//! `/metrics`: figures for a monitoring system, in the OpenMetrics text format
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! Must not: have a label whose values come from outside or grow with the files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Site;
use super::refusal::Refusal;
use crate::domain::health::Limits;
use crate::domain::ids::FolderName;
use crate::live::FolderFacts;
use crate::live::attempts::Counted;
use crate::live::calls::Calls;
use crate::live::histogram::Snapshot;
use crate::live::rates::Tally;
use crate::view::health::health;
use crate::view::standing::Standing;

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`.
pub async fn metrics(State(site): State<Arc<Site>>) -> Result<impl IntoResponse, Refusal> {
    let standing = site.standing().await?;
    let live = site.back.live();
    let figures = Figures {
        started_at_s: live.started_at.0 as f64 / 1000.0,
        standing,
        folders: site.back.folders(),
        settling: live.settling_now(),
        total: live.total(),
        attempts: live.attempts(),
        calls: live.calls(),
        notices: site.ask(site.back.ledger().notices_waiting()).await?,
        uploads: live.uploads.snapshot(),
        tasks: live.tasks.snapshot(),
        commits: site.back.ledger().commit_times(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(figures));
    let mut body = String::new();
    text::encode(&mut body, &registry).map_err(|error| {
        let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, format!("the figures could not be written: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, TYPE)], body))
}

#[derive(Debug)]
struct Figures {
    started_at_s: f64,
    standing: Standing,
    folders: BTreeMap<FolderName, FolderFacts>,
    settling: BTreeMap<FolderName, u64>,
    total: Tally,
    attempts: Vec<(Counted, u64)>,
    calls: Calls,
    notices: u64,
    uploads: Snapshot,
    tasks: Snapshot,
    commits: Snapshot,
}

/// One value of a metric, and its labels.
type Sample<'a, const N: usize> = ([(&'static str, &'a str); N], f64);

/// What is written to.
struct To<'a>(DescriptorEncoder<'a>);

impl To<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut to = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        to.encode_gauge(&value)
    }

    fn gauges<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = Sample<'a, N>>,
    ) -> fmt::Result {
        let mut to = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            to.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut to = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        to.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn histogram(&mut self, name: &str, help: &str, of: &Snapshot) -> fmt::Result {
        let count = of.buckets.iter().map(|(_, count)| count).sum();
        let mut to = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        to.encode_histogram::<NoLabelSet>(of.sum, count, &of.buckets, None)
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut to = To(encoder);
        let info =
            to.0.encode_descriptor("supametas_build", "The program.", None, MetricType::Info);
        info?.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        self.ledger(&mut to)?;
        self.network(&mut to)?;
        self.folders(&mut to)?;
        self.hooks(&mut to)
    }
}

impl Figures {
    fn hooks(&self, to: &mut To<'_>) -> fmt::Result {
        to.gauge(
            "supametas_hook_notices",
            "Notices that hooks are still to be told.",
            self.notices as f64,
        )?;
        let mut calls = to.0.encode_descriptor(
            "supametas_hook_calls",
            "Calls of hooks.",
            None,
            MetricType::Counter,
        )?;
        for ((folder, hook, called), count) in &self.calls {
            let labels = [
                ("folder", folder.0.as_str()),
                ("hook", hook.0.as_str()),
                ("result", called.as_str()),
            ];
            calls
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, u64, u64>(count, None)?;
        }
        Ok(())
    }

    fn ledger(&self, to: &mut To<'_>) -> fmt::Result {
        let standing = &self.standing;
        to.gauge(
            "supametas_start_time_seconds",
            "When the daemon began, Unix time.",
            self.started_at_s,
        )?;
        let states = || {
            standing.folders.iter().flat_map(|folder| {
                let bytes = |state| folder.bytes.get(state).copied().unwrap_or(0);
                folder.files.iter().map(move |(state, files)| {
                    let labels = [
                        ("folder", folder.folder.0.as_str()),
                        ("state", state.as_str()),
                    ];
                    (labels, *files, bytes(state))
                })
            })
        };
        to.gauges(
            "supametas_files",
            "Files in the ledger.",
            states().map(|(labels, files, _)| (labels, files as f64)),
        )?;
        to.gauges(
            "supametas_file_bytes",
            "Sizes of the files in the ledger.",
            states().map(|(labels, _, bytes)| (labels, bytes as f64)),
        )?;
        to.gauge(
            "supametas_attention_files",
            "Files that a person should look at.",
            standing.attention as f64,
        )?;
        to.gauges(
            "supametas_attention_by_state",
            "The same by folder and state, but for tasks in a state that is not documented.",
            standing.folders.iter().flat_map(|folder| {
                folder.attention.iter().map(|(state, files)| {
                    let labels = [
                        ("folder", folder.folder.0.as_str()),
                        ("state", state.as_str()),
                    ];
                    (labels, *files as f64)
                })
            }),
        )?;
        to.gauges(
            "supametas_resolved_files",
            "Files that came to a bad end and need nobody any more.",
            standing
                .resolved
                .iter()
                .map(|(how, files)| ([("how", how.as_str())], *files as f64)),
        )?;
        let health = health(standing, false, &Limits::default());
        to.gauge(
            "supametas_health",
            "0: well; 1: a person should look; 2: files do not go on. As `status --check`.",
            f64::from(health.level.code()),
        )?;
        to.gauge(
            "supametas_oldest_waiting_seconds",
            "Age of the oldest queued file next in line that nobody holds back on purpose.",
            standing.oldest_unpaused_s.unwrap_or(0) as f64,
        )?;
        to.gauges(
            "supametas_gate_closed",
            "Gates that are not open.",
            standing
                .gates
                .iter()
                .map(|gate| ([("gate", gate.gate.as_str()), ("lifts", &gate.lifts)], 1.0)),
        )?;
        to.histogram(
            "supametas_ledger_commit_seconds",
            "One commit of the ledger, the wait for the disk included.",
            &self.commits,
        )
    }

    fn network(&self, to: &mut To<'_>) -> fmt::Result {
        let in_flight = self
            .standing
            .daemon
            .as_ref()
            .map_or(0, |d| d.in_flight.len());
        to.gauge(
            "supametas_in_flight",
            "Uploads on the wire.",
            in_flight as f64,
        )?;
        to.counter(
            "supametas_uploaded_files",
            "Files that the service took.",
            self.total.files,
        )?;
        to.counter(
            "supametas_uploaded_bytes",
            "Bytes of the files that the service took.",
            self.total.bytes,
        )?;
        let mut attempts = to.0.encode_descriptor(
            "supametas_attempts",
            "Answers of the service.",
            None,
            MetricType::Counter,
        )?;
        for (of, count) in &self.attempts {
            let labels = [
                ("call", of.call),
                ("code", of.code.as_str()),
                ("verdict", of.verdict),
            ];
            attempts
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, u64, u64>(count, None)?;
        }
        to.histogram(
            "supametas_upload_seconds",
            "From the first byte of an upload to its answer.",
            &self.uploads,
        )?;
        to.histogram(
            "supametas_task_seconds",
            "From the upload of a file to the end of its task.",
            &self.tasks,
        )
    }

    fn folders(&self, to: &mut To<'_>) -> fmt::Result {
        let all = || {
            self.folders
                .iter()
                .map(|(name, facts)| ([("folder", name.0.as_str())], facts))
        };
        let scans = || all().filter_map(|(of, facts)| Some((of, facts.last_scan.as_ref()?)));
        to.gauges(
            "supametas_folder_online",
            "Whether the folder is there.",
            all().map(|(of, facts)| (of, f64::from(u8::from(facts.online)))),
        )?;
        let settling = |name: &FolderName| self.settling.get(name).copied().unwrap_or(0);
        to.gauges(
            "supametas_folder_settling_files",
            "Files that are there and not known to be finished.",
            self.folders
                .keys()
                .map(|name| ([("folder", name.0.as_str())], settling(name) as f64)),
        )?;
        to.gauges(
            "supametas_folder_scan_seconds",
            "How long the last whole scan took.",
            scans().map(|(of, scan)| (of, scan.took.as_secs_f64())),
        )?;
        to.gauges(
            "supametas_folder_scan_time_seconds",
            "When the last whole scan ended, Unix time.",
            scans().map(|(of, scan)| (of, scan.at.0 as f64 / 1000.0)),
        )?;
        if let Some(daemon) = &self.standing.daemon {
            to.gauge(
                "supametas_watches",
                "Kernel watches in use.",
                daemon.watches.used as f64,
            )?;
            if let Some(limit) = daemon.watches.limit {
                to.gauge(
                    "supametas_watches_limit",
                    "Kernel watches that this user may have.",
                    limit as f64,
                )?;
            }
        }
        Ok(())
    }
}
