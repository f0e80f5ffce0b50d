//! The decisions, and nothing else.
pub mod ids;
pub mod media;
