//! `check --online`: what one harmless query says of the address, the key and the
//! service.

use std::fs;

use supametas_sync::sandbox::SandboxConfig;

use crate::commands::{code, json, out};
use crate::support::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn check_online_proves_key_and_address() {
    let stage = Stage::with(SandboxConfig {
        keys: vec!["the-right-key".into()],
        ..SandboxConfig::default()
    })
    .await
    .set(|s| s.datasets[0].1 = "the-right-key".into());
    let output = stage.cli(&["check", "--online"]);
    code(&output, 0);
    assert!(out(&output).contains("takes the key"), "{}", out(&output));

    fs::write(stage.path("keys/main"), "another-key").unwrap();
    let output = stage.cli(&["check", "--online"]);
    code(&output, 2);
    let key_file = stage.path("keys/main");
    for said in [
        "error: dataset main: ",
        "does not take the Access-Key",
        key_file.to_str().unwrap(),
        "HTTP-401",
    ] {
        assert!(out(&output).contains(said), "{said}: {}", out(&output));
    }
    assert!(!out(&output).contains("another-key"));

    // The host is right and the path is not: a good key is not blamed.
    fs::write(key_file, "the-right-key").unwrap();
    let config = fs::read_to_string(stage.path("config.toml")).unwrap();
    let base = stage.sandbox.base_url();
    let host = base.replace("/openapi/open/v1", "/openapi/v1");
    assert_ne!(base, host);
    fs::write(stage.path("config.toml"), config.replace(&base, &host)).unwrap();
    let output = stage.cli(&["check", "--online"]);
    code(&output, 2);
    assert!(
        out(&output).contains("the path is wrong: write `service.base_url`"),
        "{}",
        out(&output)
    );
    fs::write(stage.path("config.toml"), config).unwrap();

    // An outage is no fault of the configuration.
    stage.sandbox.shutdown().await;
    let output = stage.cli(&["check", "--online", "--json"]);
    code(&output, 1);
    let told = json(&output);
    assert_eq!(
        (&told["errors"], &told["outages"], &told["ok"]),
        (&0.into(), &1.into(), &false.into())
    );
    let output = stage.cli(&["check", "--online"]);
    code(&output, 1);
    assert!(
        out(&output).contains("can't be asked now") && out(&output).contains("try again later"),
        "{}",
        out(&output)
    );
}
