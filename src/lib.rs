//! supametas-sync
pub mod api;
pub mod config;
pub mod domain;
pub mod ports;
pub mod watch;
