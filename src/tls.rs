//! Which cryptography TLS is made with: `ring`, for every client of this program.
//!
//! It is the smaller of rustls' two, by about 2 MB of the program and a minute of
//! C to compile; what is left out is post-quantum key exchange. A program names
//! its choice once, and reqwest refuses to guess it.
//!
//! Must not: loosen what rustls checks, or choose versions and ciphers.

/// Makes the choice, unless it was made before. Whoever builds a
/// [`reqwest::Client`] calls it first: without it building panics.
pub fn choose() {
    // An error means that it is made: by another client, or another thread.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
