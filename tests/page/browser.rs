//! Chromium without a window, driven through WebDriver
//! (<https://www.w3.org/TR/webdriver2/>): what the tests of the page need of it.
//!
//! Must not: be left running; dropping it ends the driver, and so the browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::support::SOON;
use crate::support::http::request;

/// A key of WebDriver's for "an element".
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one tab.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    at: String,
    session: String,
    /// Its profile: new and empty.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one. `None`, and a word on standard error, where there is none,
    /// unless `REQUIRE_BROWSER=1` says that there has to be.
    pub fn start() -> Option<Browser> {
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0").stdin(Stdio::null());
        driver.stdout(Stdio::piped()).stderr(Stdio::null());
        // A group of its own, to be ended as a whole.
        std::os::unix::process::CommandExt::process_group(&mut driver, 0);
        let mut driver = match driver.spawn() {
            Ok(driver) => driver,
            Err(error) => {
                let required = std::env::var_os("REQUIRE_BROWSER").is_some_and(|v| v == "1");
                assert!(!required, "chromedriver can't be started: {error}");
                eprintln!(
                    "SKIPPED: chromedriver can't be started ({error}): install chromium and chromium-driver"
                );
                return None;
            }
        };
        let said = BufReader::new(driver.stdout.take().unwrap());
        let port = said.lines().find_map(|line| {
            let line = line.unwrap();
            let rest = line.split("successfully on port ").nth(1)?;
            Some(rest.trim_end_matches('.').to_owned())
        });
        let mut browser = Browser {
            driver,
            at: format!("127.0.0.1:{}", port.expect("it names its port")),
            session: String::new(),
            _profile: tempfile::tempdir().unwrap(),
        };
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", profile,
            ] },
        } } });
        let session = browser.ask("POST", "/session", &wanted);
        session["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        Some(browser)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let told = self.try_to(method, path, body);
        told.unwrap_or_else(|told| panic!("{method} {path} {body}: {told:#}"))
    }

    /// `Err`: what the driver refuses.
    fn try_to(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let json = "Content-Type: application/json\r\n";
        // The driver keeps the connection open: its answer ends where it says.
        let mut stream = TcpStream::connect(&self.at).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = request(&self.at, method, path, json, &body);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(answer.read_line(&mut head).unwrap() > 0, "cut: {head}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length:").nth(1).unwrap();
        let length = length.lines().next().unwrap().trim().parse().unwrap();
        let mut told = vec![0; length];
        answer.read_exact(&mut told).unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        let value = told["value"].clone();
        match head.starts_with("http/1.1 200") {
            true => Ok(value),
            false => Err(value),
        }
    }

    fn call(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    /// Goes to an address.
    pub fn open(&self, address: &str) {
        self.call("/url", &json!({ "url": address }));
    }

    /// What a JavaScript function's body returns.
    pub fn run(&self, script: &str) -> Value {
        self.call("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text that is shown of the first element of a CSS selector; empty if
    /// there is none.
    pub fn text(&self, selector: &str) -> String {
        let found = self.run(&format!(
            "return document.querySelector({})?.innerText ?? ''",
            json!(selector)
        ));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// How many elements there are.
    pub fn count(&self, selector: &str) -> u64 {
        let script = format!(
            "return document.querySelectorAll({}).length",
            json!(selector)
        );
        self.run(&script).as_u64().unwrap()
    }

    /// Whether it is there, and shown.
    pub fn shows(&self, selector: &str) -> bool {
        let script = format!(
            "return document.querySelector({})?.checkVisibility({{visibilityProperty: true}}) ?? false",
            json!(selector)
        );
        self.run(&script).as_bool().unwrap()
    }

    fn element(&self, selector: &str) -> String {
        let found = self.call(
            "/element",
            &json!({ "using": "css selector", "value": selector }),
        );
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks as a person does: what is covered can't be clicked. The page may put
    /// a newer element in the place of one that was just found.
    pub fn click(&self, selector: &str) {
        let end = Instant::now() + SOON;
        loop {
            let element = self.element(selector);
            let path = format!("/session/{}/element/{element}/click", self.session);
            match self.try_to("POST", &path, &json!({})) {
                Ok(_) => return,
                Err(told) if told["error"] == "stale element reference" => {
                    assert!(Instant::now() < end, "{selector} never stays: {told:#}");
                }
                Err(told) => panic!("{selector}: {told:#}"),
            }
        }
    }

    /// Types into an element. Keys are WebDriver's: `\u{e007}` is Enter.
    pub fn keys(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.call(
            &format!("/element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    /// Chooses one of a `select`, as a person does.
    pub fn choose(&self, selector: &str, value: &str) {
        self.click(&format!("{selector} option[value={}]", json!(value)));
    }

    /// Types into whatever has the focus.
    pub fn press(&self, key: char) {
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": [
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ] }] });
        self.call("/actions", &actions);
    }

    /// Waits until it holds; fails with what is shown.
    pub fn until(&self, what: &str, mut cond: impl FnMut() -> bool) {
        let end = Instant::now() + SOON;
        while !cond() {
            assert!(
                Instant::now() < end,
                "waited {SOON:?} for: {what}; it shows:\n{}\n{:#}",
                self.text("body"),
                self.console(),
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn tool(&self, command: &str, params: Value) -> Value {
        let body = json!({ "cmd": command, "params": params });
        self.call("/goog/cdp/execute", &body)
    }

    /// Takes the width of a device, in CSS pixels, and a colour scheme.
    pub fn look(&self, width: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.tool("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tool(
            "Emulation.setEmulatedMedia",
            json!({ "features": [scheme] }),
        );
    }

    /// Saves a picture below `target/page/`: of the whole page, or of what is
    /// in sight.
    pub fn picture(&self, name: &str, is_whole: bool) {
        let how = json!({ "format": "png", "captureBeyondViewport": is_whole });
        let shot = self.tool("Page.captureScreenshot", how);
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap());
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../page");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{name}.png")), bytes.unwrap()).unwrap();
    }

    /// What the browser has complained of since it was last asked: errors of
    /// scripts, answers that were refused, what the policy forbade.
    pub fn console(&self) -> Value {
        self.call("/se/log", &json!({ "type": "browser" }))
    }

    /// The addresses that the tab has asked for since this was last asked.
    pub fn requests(&self) -> Vec<String> {
        let log = self.call("/se/log", &json!({ "type": "performance" }));
        let entries = log.as_array().unwrap().iter();
        entries
            .filter_map(|entry| {
                let told: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let told = &told["message"];
                let sent = told["method"] == "Network.requestWillBeSent";
                sent.then(|| {
                    told["params"]["request"]["url"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
            })
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let pid = Pid::from_child(&self.driver);
        // Each may have ended already.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = kill_process(pid, Signal::KILL);
        let _ = self.driver.wait();
    }
}
