//! The page: files that are part of the program, each with its type.
//!
//! Must not: read a file while it runs, or allow what the policy in `guard`
//! does not: scripts and styles are files of their own.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use super::Site;

/// Address, type and content of each file.
const FILES: &[(&str, &str, &str)] = &[
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
];

/// A route for each file.
pub fn routes() -> Router<Arc<Site>> {
    FILES
        .iter()
        .fold(Router::new(), |router, (path, kind, text)| {
            let answer = move || async move { ([(header::CONTENT_TYPE, *kind)], *text) };
            router.route(path, get(answer))
        })
}
