//! The comparison benchmark's own parts: its sink, its measuring, its tables and
//! pictures. Their tests stand beside them, in `benches/compare/`; a benchmark
//! without cargo's harness can't run them itself.
#![allow(dead_code, reason = "what only the benchmark uses")]

#[path = "../benches/compare/chart.rs"]
mod chart;
#[path = "../benches/common/mod.rs"]
mod common;
#[path = "../benches/compare/field.rs"]
mod field;
#[path = "../benches/compare/page.rs"]
mod page;
#[path = "../benches/compare/process.rs"]
mod process;
#[path = "../benches/compare/rounds.rs"]
mod rounds;
#[path = "../benches/compare/rows.rs"]
mod rows;
#[path = "../benches/compare/slow_disk.rs"]
mod slow_disk;
#[path = "../benches/compare/store.rs"]
mod store;
#[path = "../benches/compare/table.rs"]
mod table;
