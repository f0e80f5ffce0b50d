//! `[service]`: the base URL, the endpoints, the timeouts.
//!
//! Must not: ask the network whether the base URL is right (`check --online`
//! does), or let a key go out unencrypted unless the host is local or allowed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

use super::{DAY, HOUR, Report, proxy};
use crate::config::keys::Keys;
use crate::config::raw::{RawPaths, RawService};
use crate::config::surroundings::Surroundings;
use crate::config::valid::Service;
use crate::domain::media::Media;

/// The documented base URL.
const BASE_URL: &str = "https://api.supametas.ai/openapi/open/v1";

/// Where each import is. Those of audio, video and web pages stand on no
/// public page: they are assumed after the pattern of the other two.
const fn usual_path(media: Media) -> (&'static str, bool) {
    match media {
        Media::Text => ("/file-task", false),
        Media::Image => ("/image-task", false),
        Media::Audio => ("/audio-task", true),
        Media::Video => ("/video-task", true),
        Media::Web => ("/web-task", true),
    }
}

/// `None` only if there is no base URL to work with.
pub(super) fn check(
    raw: &RawService,
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Option<Service> {
    let base_url = base_url(raw, to);
    let acknowledged = raw.acknowledge_assumed_paths.unwrap_or(false);
    let secs = Duration::from_secs;
    let service = |base_url: Url, to: &mut Report<'_>| Service {
        authorities: proxy::authorities(raw, keys, on, to),
        proxy: proxy::check(raw, &base_url, keys, on, to),
        base_url,
        paths: paths(&raw.paths, acknowledged, to),
        acknowledge_assumed_paths: acknowledged,
        webhook_path: path(
            "service.paths.webhook",
            &raw.paths.webhook,
            "/set-webhook",
            to,
        ),
        query_path: path("service.paths.query", &raw.paths.query, "/query-task", to),
        delete_path: path(
            "service.paths.delete",
            &raw.paths.delete,
            "/delete-task",
            to,
        ),
        connect_timeout: to.time(
            "service.connect_timeout",
            &raw.connect_timeout,
            secs(10),
            secs(1),
            HOUR,
        ),
        stall_timeout: to.time(
            "service.stall_timeout",
            &raw.stall_timeout,
            secs(60),
            secs(1),
            DAY,
        ),
        answer_timeout: to.time(
            "service.answer_timeout",
            &raw.answer_timeout,
            secs(120),
            secs(1),
            DAY,
        ),
        idle_timeout: to.time(
            "service.idle_timeout",
            &raw.idle_timeout,
            secs(20),
            secs(0),
            HOUR,
        ),
    };
    let Some(url) = base_url else {
        // The rest is looked at all the same.
        let stand_in = Url::parse(BASE_URL).ok()?;
        service(stand_in, to);
        return None;
    };
    Some(service(url, to))
}

fn base_url(raw: &RawService, to: &mut Report<'_>) -> Option<Url> {
    let key = "service.base_url";
    let hint = format!("write it like the documented one, {BASE_URL}");
    let text = raw.base_url.as_deref().unwrap_or(BASE_URL);
    let Ok(mut url) = Url::parse(text.trim_end_matches('/')) else {
        to.error(key, "is not a URL", hint);
        return None;
    };
    let instead = "leave them out: the Access-Key is all that the service asks for";
    if !to.without_log_in(key, &url, instead) {
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        to.error(key, "has something behind its path", hint);
        return None;
    }
    match url.scheme() {
        "https" => {}
        "http" if plain_is_fine(&url, &raw.allow_http_hosts) => {}
        "http" => {
            to.error(
                key,
                "would send the Access-Key and the files unencrypted",
                "use https, or name the host in `allow_http_hosts` if the network between is yours",
            );
            return None;
        }
        _ => {
            to.error(key, "is neither https nor http", hint);
            return None;
        }
    }
    let bare = url.path().trim_end_matches('/').to_owned();
    if bare.is_empty() && !is_loopback(&url) {
        to.warning(
            key,
            "has no path, so that every call goes to the top of the host",
            format!(
                "write the path that the service's page has, too: the documented one is {BASE_URL}"
            ),
        );
    }
    url.set_path(&bare);
    Some(url)
}

pub(super) fn plain_is_fine(url: &Url, allowed: &[String]) -> bool {
    let named = |host: &str| allowed.iter().any(|a| a.eq_ignore_ascii_case(host));
    is_loopback(url) || url.host_str().is_some_and(named)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

fn paths(raw: &RawPaths, acknowledged: bool, to: &mut Report<'_>) -> BTreeMap<Media, String> {
    let written = |media| match media {
        Media::Text => &raw.text,
        Media::Image => &raw.image,
        Media::Audio => &raw.audio,
        Media::Video => &raw.video,
        Media::Web => &raw.web,
    };
    let mut paths = BTreeMap::new();
    let mut assumed = Vec::new();
    for media in Media::ALL {
        let key = format!("service.paths.{media}");
        let (usual, is_assumed) = usual_path(media);
        if is_assumed && written(media).is_none() {
            assumed.push(format!("{media} = \"{usual}\""));
        }
        paths.insert(media, path(&key, written(media), usual, to));
    }
    if !assumed.is_empty() && !acknowledged {
        to.note(
            "service.paths",
            format!(
                "is assumed in part, since no public page of the service names these paths: {}",
                assumed.join(", ")
            ),
            "set them as soon as you know them for sure; `acknowledge_assumed_paths = true` in [service] ends this note",
        );
    }
    paths
}

fn path(key: &str, written: &Option<String>, usual: &str, to: &mut Report<'_>) -> String {
    let Some(path) = written else {
        return usual.to_owned();
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%:@".contains(&b);
    let fits = path.len() > 1
        && path.starts_with('/')
        && !path.ends_with('/')
        && path.bytes().all(plain)
        && !path
            .split('/')
            .skip(1)
            .any(|part| matches!(part, "" | "." | ".."));
    if !fits {
        to.error(
            key,
            "is not the path of an endpoint",
            format!(
                "write what comes behind the base URL, with a slash in front, such as \"{usual}\""
            ),
        );
        return usual.to_owned();
    }
    path.clone()
}
