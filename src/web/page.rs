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
    ("/", HTML, include_str!("page/index.html")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/page.js", SCRIPT, include_str!("page/page.js")),
    ("/files.js", SCRIPT, include_str!("page/files.js")),
    ("/act.js", SCRIPT, include_str!("page/act.js")),
    ("/charts.js", SCRIPT, include_str!("page/charts.js")),
    ("/figures.js", SCRIPT, include_str!("page/figures.js")),
    ("/words.js", SCRIPT, include_str!("page/words.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Whether the page has a file at this path.
pub(super) fn is_one(path: &str) -> bool {
    FILES.iter().any(|(at, ..)| *at == path)
}

/// A route for each file.
pub fn routes() -> Router<Arc<Site>> {
    FILES
        .iter()
        .fold(Router::new(), |router, (path, kind, text)| {
            let answer = move || async move { ([(header::CONTENT_TYPE, *kind)], *text) };
            router.route(path, get(answer))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::state::StateKind;

    fn file(path: &str) -> &'static str {
        let found = FILES.iter().find(|(at, ..)| *at == path);
        found.unwrap_or_else(|| panic!("no {path}")).2
    }

    #[test]
    fn the_page_is_small_and_whole() {
        let bytes: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
        assert!(bytes < 90_000, "{bytes} bytes");
        for (path, _, text) in FILES {
            // What the page loads is here.
            for (before, after) in [("src=\"", '"'), ("<link rel", '>'), ("from \"./", '"')] {
                for rest in text.split(before).skip(1) {
                    let part = rest.split(after).next().unwrap();
                    let name = part.split("href=\"").last().unwrap();
                    file(&format!("/{}", name.split('"').next().unwrap()));
                }
            }
            // What the policy would refuse, or what would read text as HTML.
            for bad in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=",
                " onclick=",
                "javascript:",
                "https://",
                "localStorage",
            ] {
                assert!(!text.contains(bad), "{path} has {bad}");
            }
        }
    }

    /// One place decides how a number looks.
    #[test]
    fn figures_are_formatted_in_one_place() {
        for (path, _, text) in FILES {
            let formats = [".toFixed(", "toLocaleString(\"", "NumberFormat"];
            // Coordinates of a drawing are not shown.
            let text = text.replace("top.toFixed(2)", "");
            let own = *path == "/figures.js";
            let any = formats.iter().any(|format| text.contains(format));
            assert_eq!(any, own, "{path}");
        }
    }

    #[test]
    fn the_page_knows_every_state() {
        let words = file("/words.js");
        let states = words.split_once("STATES = {").unwrap().1;
        let states = states.split_once("\n};").unwrap().0;
        assert_eq!(states.trim().lines().count(), StateKind::ALL.len());
        for state in StateKind::ALL {
            let start = format!("{state}: {{");
            let line = states.lines().find(|line| line.trim().starts_with(&start));
            let line = line.unwrap_or_else(|| panic!("words.js does not know {state}"));
            let needy = line.contains("attention: true");
            assert_eq!(needy, state.needs_attention(), "{state}");
            assert!(
                line.contains("means: \"") && line.contains("do: \""),
                "{state}"
            );
        }
    }
}
