//! `[folder.text]` and its like: what is asked of the service for each media
//! type, and which extensions go there.
//!
//! What the service would refuse with OPS40001 or OPS40003 is said here,
//! before anything is sent.
//!
//! Must not: rename or drop what the operator asks for under `extra`; options
//! that are not known here go to the service as they are written.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Report;
use crate::config::raw::{RawCustomKey, RawFolder, RawRoute};
use crate::config::source::join;
use crate::domain::media::{Media, TypeLists, default_lists};

/// The import options of each media type, as they are sent.
pub(super) type Options = BTreeMap<Media, Map<String, Value>>;

/// Keys of our own for options of the service, by the service's name.
const OWN_KEYS: [(&str, &str); 5] = [
    ("getDemandFormat", "format"),
    ("title", "title"),
    ("contentDetails", "content_details"),
    ("getImageText", "get_image_text"),
    ("customKeys", "custom_keys"),
];

fn written(raw: &RawFolder, media: Media) -> &RawRoute {
    match media {
        Media::Text => &raw.text,
        Media::Image => &raw.image,
        Media::Audio => &raw.audio,
        Media::Video => &raw.video,
        Media::Web => &raw.web,
    }
}

/// Checks all five tables of one folder.
pub(super) fn check(here: &str, raw: &RawFolder, to: &mut Report<'_>) -> (Options, TypeLists) {
    let types = types(here, raw, to);
    let mut options = Options::new();
    for media in Media::ALL {
        let key = format!("{here}.{media}");
        let asked = route(&key, media, written(raw, media), to);
        // A media type with no extension is switched off: nothing is sent.
        if types.get(&media).is_some_and(|list| !list.is_empty()) {
            asks_for_something(&key, media, &asked, to);
        }
        options.insert(media, asked);
    }
    (options, types)
}

fn route(key: &str, media: Media, raw: &RawRoute, to: &mut Report<'_>) -> Map<String, Value> {
    let format = to.choice(
        &format!("{key}.format"),
        &raw.format,
        "1",
        &[("json", "1"), ("markdown", "2")],
    );
    let mut options = Map::new();
    options.insert("getDemandFormat".to_owned(), json!(format));
    let mut flag = |only: Media, own: &str, name: &str, value: Option<bool>| {
        if media == only {
            let value = u8::from(value.unwrap_or(true));
            options.insert(name.to_owned(), json!(value));
        } else if value.is_some() {
            to.error(
                &format!("{key}.{own}"),
                format!("is an option for {only}, not for {media}"),
                format!("move it to the table of {only}; to send it all the same, write `{name}` under [folder.{media}.extra]"),
            );
        }
    };
    flag(Media::Text, "title", "title", raw.title);
    flag(
        Media::Text,
        "content_details",
        "contentDetails",
        raw.content_details,
    );
    flag(
        Media::Image,
        "get_image_text",
        "getImageText",
        raw.get_image_text,
    );
    let custom = custom_keys(key, &raw.custom_keys, to);
    if !custom.is_empty() {
        options.insert("customKeys".to_owned(), Value::Array(custom));
    }
    extra(key, raw, &mut options, to);
    options
}

fn custom_keys(key: &str, raw: &[RawCustomKey], to: &mut Report<'_>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for (at, custom) in raw.iter().enumerate() {
        let at = format!("{key}.custom_keys[{}]", at + 1);
        let text = |text: &Option<String>| text.clone().unwrap_or_default().trim().to_owned();
        let (name, desc) = (text(&custom.key), text(&custom.desc));
        if name.is_empty() || desc.is_empty() {
            to.error(
                &at,
                "needs both `key` and `desc`",
                "write { key = \"author\", desc = \"who wrote it\" }",
            );
        } else if found.iter().any(|other| other["key"] == json!(name)) {
            to.error(
                &at,
                "asks for a key a second time",
                "take one of the two out",
            );
        } else {
            found.push(json!({ "key": name, "desc": desc }));
        }
    }
    found
}

fn extra(key: &str, raw: &RawRoute, options: &mut Map<String, Value>, to: &mut Report<'_>) {
    for (name, value) in &raw.extra {
        let at = join(&format!("{key}.extra"), name);
        let own = OWN_KEYS.iter().find(|(theirs, _)| theirs == name);
        if let Some((theirs, own)) = own {
            if to.has(&format!("{key}.{own}")) {
                to.error(
                    &format!("{key}.extra"),
                    format!("says `{theirs}`, and so does `{own}`"),
                    "take one of the two out",
                );
                continue;
            }
            to.warning(
                &format!("{key}.extra"),
                format!("sets `{theirs}`, which is sent as written and not checked"),
                format!("use `{own}` unless the service has values that it does not know"),
            );
        }
        match to_json(value) {
            Some(value) => {
                options.insert(name.clone(), value);
            }
            None => to.error(
                &at,
                "holds a date or a number that JSON does not know",
                "write it in quotes, as the service expects it",
            ),
        }
    }
}

fn to_json(value: &toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(n) => json!(n),
        toml::Value::Boolean(b) => json!(b),
        toml::Value::Float(f) => Value::Number(serde_json::Number::from_f64(*f)?),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(list) => Value::Array(list.iter().map(to_json).collect::<Option<_>>()?),
        toml::Value::Table(table) => {
            let pair = |(name, value): (&String, _)| Some((name.clone(), to_json(value)?));
            Value::Object(table.iter().map(pair).collect::<Option<_>>()?)
        }
    })
}

/// OPS40003: at least one field or custom key must be asked for.
fn asks_for_something(key: &str, media: Media, options: &Map<String, Value>, to: &mut Report<'_>) {
    let on = |name: &str| {
        options.get(name).is_some_and(|value| match value {
            Value::Number(n) => n.as_f64() != Some(0.0),
            Value::Array(list) => !list.is_empty(),
            Value::String(text) => text != "0",
            _ => true,
        })
    };
    let strange = options
        .keys()
        .any(|name| !OWN_KEYS.iter().any(|(theirs, _)| theirs == name));
    let asked = OWN_KEYS.iter().skip(1).any(|(name, _)| on(name));
    if asked {
        return;
    }
    match media {
        Media::Text if !strange => to.error(
            key,
            "asks for nothing: the service would refuse every file with OPS40003",
            "set `title` or `content_details` to true, or add one of `custom_keys`",
        ),
        Media::Text | Media::Image if !strange || media == Media::Text => to.warning(
            key,
            "asks for no field that is documented: the service may refuse every file with OPS40003",
            "switch a field on, or add one of `custom_keys`",
        ),
        // What counts as a field for the others is on no public page.
        _ => {}
    }
}

fn types(here: &str, raw: &RawFolder, to: &mut Report<'_>) -> TypeLists {
    let mut taken: BTreeMap<String, Media> = BTreeMap::new();
    let mut lists = TypeLists::new();
    let mut usual = default_lists();
    for media in Media::ALL {
        let route = written(raw, media);
        let base: Vec<String> = match &route.extensions {
            Some(list) => list.clone(),
            None => usual.remove(&media).unwrap_or_default(),
        };
        let counted = base.len();
        let mut list: Vec<String> = Vec::new();
        for (at, written) in base.iter().chain(&route.extra_extensions).enumerate() {
            let key = if at < counted {
                format!("{here}.{media}.extensions")
            } else {
                format!("{here}.{media}.extra_extensions")
            };
            let extension = written.trim_start_matches('.').to_lowercase();
            let part = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if !(1..=16).contains(&extension.len()) || !extension.bytes().all(part) {
                to.error(
                    &key,
                    "holds something that is not a file name extension",
                    "write them like \"pdf\" or \"docx\"",
                );
                continue;
            }
            match taken.insert(extension.clone(), media) {
                Some(other) if other != media => {
                    to.error(
                        &key,
                        format!("holds an extension that {other} has too"),
                        format!("let each extension be in one list only; `extensions` of {other} can leave it out"),
                    );
                }
                _ => {}
            }
            if !list.contains(&extension) {
                list.push(extension);
            }
        }
        lists.insert(media, list);
    }
    lists
}
