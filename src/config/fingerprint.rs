//! Fingerprints of settings: a gate that waits for other settings opens when
//! its fingerprint changes, and a duplicate is one only under the same options.
//!
//! Kept in the ledger, so what goes in and how must not change without need: a
//! change opens all gates and forgets all duplicates, once.
//!
//! Must not: give away a key; only [`AccessKey::fingerprint`] goes in.
//!
//! [`AccessKey::fingerprint`]: crate::ports::AccessKey::fingerprint

use serde_json::{Map, Value};

use super::valid::{Config, Folder, ProxyChoice};
use crate::domain::gate::GateKey;
use crate::domain::media::Media;

/// Takes in parts, each with its length, so that `ab`+`c` is not `a`+`bc`.
struct Parts(blake3::Hasher);

impl Parts {
    fn new(of: &str) -> Parts {
        let mut parts = Parts(blake3::Hasher::new_derive_key(
            "supametas-sync 2026 settings fingerprint",
        ));
        parts.add(of);
        parts
    }

    fn add(&mut self, part: &str) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part.as_bytes());
    }

    fn options(&mut self, options: Option<&Map<String, Value>>) {
        let mut text = String::new();
        if let Some(options) = options {
            canonical(&Value::Object(options.clone()), &mut text);
        }
        self.add(&text);
    }

    fn bytes(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        short
    }

    fn hex(&self) -> String {
        self.bytes()[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    }
}

/// JSON with its keys in order, whatever order a map keeps them in.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort();
            into.push('{');
            for name in names {
                into.push_str(&Value::String(name.clone()).to_string());
                into.push(':');
                canonical(&map[name], into);
                into.push(',');
            }
            into.push('}');
        }
        Value::Array(list) => {
            into.push('[');
            for item in list {
                canonical(item, into);
                into.push(',');
            }
            into.push(']');
        }
        plain => into.push_str(&plain.to_string()),
    }
}

impl Config {
    /// Sixteen hex digits that change when the settings behind a gate do:
    /// the base URL and the paths for the service, the key and the base URL
    /// for a dataset; the path, the options and the base URL for a route. A
    /// dataset or folder that is gone has a fingerprint like no other's.
    pub fn gate_fingerprint(&self, gate: &GateKey) -> String {
        let mut parts = Parts::new("gate");
        parts.add(self.service.base_url.as_str());
        match gate {
            GateKey::Service => {
                parts.add("service");
                for path in self.service.paths.values() {
                    parts.add(path);
                }
                parts.add(&self.service.query_path);
                // A gate that a proxy or a certificate closed opens with another
                // way. A log-in goes in as a hash alone.
                if let ProxyChoice::Named(proxy) = &self.service.proxy {
                    parts.add(proxy.url.as_str());
                    let login = proxy.login.as_ref().map_or("", |login| login.expose());
                    parts.add(blake3::hash(login.as_bytes()).to_hex().as_str());
                }
                if let Some(authorities) = &self.service.authorities {
                    parts.add(blake3::hash(&authorities.pem).to_hex().as_str());
                }
            }
            GateKey::Dataset(name) => {
                parts.add("dataset");
                match self.datasets.get(name) {
                    Some(dataset) => parts.add(&dataset.key.fingerprint()),
                    None => parts.add("gone"),
                }
            }
            GateKey::Route(route) => {
                parts.add("route");
                parts.add(self.service.paths.get(&route.media).map_or("", |p| p));
                match self.folders.get(&route.folder) {
                    Some(folder) => parts.options(folder.options.get(&route.media)),
                    None => parts.add("gone"),
                }
            }
        }
        parts.hex()
    }
}

impl Folder {
    /// Changes with what is asked of the service for files of `media`: the
    /// same content under other options is no duplicate. The dataset is not
    /// part of it.
    pub fn options_fingerprint(&self, media: Media) -> [u8; 16] {
        let mut parts = Parts::new("options");
        parts.add(media.as_str());
        parts.options(self.options.get(&media));
        parts.bytes()
    }
}
