//! supametas-sync
pub mod api;
pub mod config;
pub mod domain;
pub mod media;
pub mod ports;
pub mod sandbox;
