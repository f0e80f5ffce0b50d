//! `[service]`: the proxy on the way to the service, and the authorities that its
//! certificates are checked against.
//!
//! Must not: show a log-in, or ask the network whether a proxy is there.

use std::path::{Path, PathBuf};

use url::Url;

use super::Report;
use crate::config::keys::Keys;
use crate::config::raw::RawService;
use crate::config::surroundings::Surroundings;
use crate::config::valid::{Authorities, Proxy, ProxyChoice};
use crate::ports::Secret;

const FILE_REMEDY: &str = "write the full path of a file that holds `user:password` alone, and \
                           that the daemon's user may read";

/// The file that the proxy's log-in is in, and the key that names it.
pub(super) fn login_file(raw: &RawService) -> Option<(String, PathBuf)> {
    let path = raw.proxy_login_file.as_deref()?;
    let absolute = path.starts_with('/');
    absolute.then(|| ("service.proxy_login_file".to_owned(), PathBuf::from(path)))
}

/// More certificate authorities than the system's.
pub(super) fn authorities(
    raw: &RawService,
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Option<Authorities> {
    let key = "service.ca_file";
    let path = to.path(key, &raw.ca_file)?;
    if keys == Keys::NotNeeded {
        let pem = Vec::new();
        return Some(Authorities { path, pem });
    }
    let remedy =
        "write the full path of a file of certificates in PEM that the daemon's user may read";
    match on.authorities(&path) {
        Ok(pem) if is_pem(&pem) => Some(Authorities { path, pem }),
        Ok(_) => {
            to.error(key, "names a file that holds no certificate in PEM", remedy);
            None
        }
        Err(error) => {
            to.error(
                key,
                format!("names a file that can't be read: {error}"),
                remedy,
            );
            None
        }
    }
}

fn is_pem(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains("-----BEGIN CERTIFICATE-----")
}

/// How the service is reached.
pub(super) fn check(
    raw: &RawService,
    base_url: &Url,
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> ProxyChoice {
    let key = "service.proxy";
    let choice = match raw.proxy.as_deref() {
        None => ProxyChoice::Environment,
        Some("none") => ProxyChoice::Straight,
        Some(text) => match address(key, text, base_url, to) {
            Some(url) => ProxyChoice::Named(Proxy {
                url,
                login: None,
                login_file: None,
            }),
            None => return ProxyChoice::Straight,
        },
    };
    let Some(path) = raw.proxy_login_file.as_deref() else {
        return choice;
    };
    let ProxyChoice::Named(proxy) = choice else {
        to.error(
            "service.proxy_login_file",
            "stands without a proxy",
            "name it with `proxy`, or take the file out",
        );
        return choice;
    };
    ProxyChoice::Named(Proxy {
        login: login(path, keys, on, to),
        login_file: Some(Path::new(path).to_owned()),
        ..proxy
    })
}

fn address(key: &str, text: &str, base_url: &Url, to: &mut Report<'_>) -> Option<Url> {
    let hint = "write \"http://proxy.example:3128\", \"socks5h://proxy.example:1080\", or \"none\" \
                for no proxy whatever the environment says";
    let Some(url) = Url::parse(text).ok().filter(Url::has_host) else {
        to.error(key, "is not the address of a proxy", hint);
        return None;
    };
    let instead =
        "leave them out, and put `user:password` into a file that `proxy_login_file` names";
    if !to.without_log_in(key, &url, instead) {
        return None;
    }
    let plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !plain || !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
        to.error(key, "is not the address of a proxy", hint);
        return None;
    }
    if base_url.scheme() == "http" && url.scheme().starts_with("http") {
        to.error(
            key,
            "would see the Access-Key and the files, since `base_url` is http",
            "use https in `base_url`, or take the proxy out",
        );
        return None;
    }
    Some(url)
}

fn login(path: &str, keys: Keys, on: &dyn Surroundings, to: &mut Report<'_>) -> Option<Secret> {
    let key = "service.proxy_login_file";
    if keys == Keys::NotNeeded {
        return None;
    }
    let read = to.secret_file(key, path, on, |_| FILE_REMEDY)?;
    let text = read.expose();
    let user = text.split_once(':').map_or("", |(user, _)| user);
    if user.is_empty() {
        to.error(
            key,
            "names a file that holds no `user:password`",
            FILE_REMEDY,
        );
        return None;
    }
    Some(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::testing::{BASE, load_on, machine, problems};

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn text(service: &str) -> String {
        format!("[service]\n{service}\n{BASE}")
    }

    #[test]
    fn a_proxy_and_its_log_in() {
        let on = machine()
            .key("/etc/login", "me:s3:cr%et\n")
            .key("/etc/ca", PEM);
        let all = "ca_file = '/etc/ca'\nproxy = 'socks5h://proxy.example:1080'\n\
                   proxy_login_file = '/etc/login'";
        let service = load_on(&text(all), &on).unwrap().config.service;
        assert_eq!(service.authorities.clone().unwrap().pem, PEM.as_bytes());
        let ProxyChoice::Named(proxy) = service.proxy.clone() else {
            panic!("no proxy");
        };
        let url = proxy.with_login();
        assert_eq!(url.as_str(), "socks5h://me:s3%3Acr%et@proxy.example:1080");
        assert!(
            !format!("{service:?}").contains("s3:cr"),
            "it shows nowhere"
        );
        let none = load_on(&text("proxy = 'none'"), &on)
            .unwrap()
            .config
            .service;
        assert!(matches!(none.proxy, ProxyChoice::Straight));
        let unsaid = load_on(BASE, &on).unwrap().config.service;
        assert!(matches!(unsaid.proxy, ProxyChoice::Environment));
        assert_eq!(unsaid.authorities, None);
    }

    #[test]
    fn what_can_not_be_used() {
        let on = machine()
            .key("/etc/nobody", "s3cret\n")
            .key("/etc/login", "me:s3cret\n")
            .key("/etc/text", "s3cret");
        for (service, said) in [
            ("proxy = 'proxy:3128'", "is not the address of a proxy"),
            ("proxy = 'ftp://proxy'", "is not the address of a proxy"),
            ("proxy = 'http://proxy/x'", "is not the address of a proxy"),
            (
                "proxy = 'http://me:s3cret@proxy'",
                "holds a user name or password",
            ),
            (
                "proxy = 'http://proxy'\nbase_url = 'http://localhost/x'",
                "would see the Access-Key",
            ),
            ("proxy_login_file = '/etc/login'", "stands without a proxy"),
            (
                "proxy = 'http://proxy'\nproxy_login_file = '/etc/nobody'",
                "holds no `user:password`",
            ),
            (
                "proxy = 'http://proxy'\nproxy_login_file = '/etc/missing'",
                "can't be read",
            ),
            ("ca_file = '/etc/text'", "holds no certificate in PEM"),
            ("ca_file = '/etc/missing'", "can't be read"),
        ] {
            let all = problems(&text(service), &on).join("\n");
            assert!(all.contains(said), "{service}: {all}");
            assert!(!all.contains("s3cret"), "{all}");
        }
    }
}
