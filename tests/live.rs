//! What a running daemon tells: the real program over real sockets.
#![allow(clippy::unwrap_used)]

#[path = "live/doors.rs"]
mod doors;
#[path = "live/figures.rs"]
mod figures;
#[path = "live/lists.rs"]
mod lists;
#[path = "live/rules.rs"]
mod rules;
#[path = "live/status.rs"]
mod status;
mod support;
#[path = "live/told.rs"]
mod told;

use support::Stage;

/// A word that lets its bearer act.
const TOKEN: &str = "tok-51b7e2c09a6f4d83";

/// A stage whose daemon listens on a free port; `token`: and has a token.
async fn listening(token: bool) -> Stage {
    let stage = Stage::new().await;
    let mut http = "[http]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    if token {
        let file = stage.path("token");
        std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
        http.push_str(&format!("token_file = {:?}\n", file.to_str().unwrap()));
    }
    stage.set(|s| {
        s.tail(&http);
    })
}
