//! The service over HTTP: the wire types, and the client that speaks them.
//!
//! One call is one request ([`client::HttpApi`]). The parts of it:
//! - `multipart` puts an import's body together,
//! - `valve` hands that body out, and can stop it for good at any byte,
//! - `exchange` sends a request, watches over it and fetches the answer,
//! - [`raw`] is what came, bounded, and [`answer`] reads it;
//! - `mask` takes the key out of what came,
//! - `reuse` says which uploads may take a connection that was used before,
//! - `failure` says in words why nothing came.
//!
//! Must not: retry, follow a redirect, or decide what an answer means for a
//! file (that is `domain::error_table`).

pub mod answer;
pub mod client;
mod exchange;
mod failure;
mod mask;
pub mod multipart;
pub mod raw;
mod retry_after;
mod reuse;
mod text;
mod valve;
pub mod wire;
