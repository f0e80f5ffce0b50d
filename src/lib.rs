//! supametas-sync
pub mod api;
pub mod domain;
