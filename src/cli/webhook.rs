//! `webhook`: tell the service where to push what it has cleaned.
//!
//! Must not: show the secret part of a path, or take it on the command line,
//! where every user of the machine could read it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use url::{Host, Url};

use super::exit::Exit;
use super::{Failed, Outcome, out, runtime};
use crate::config::valid::{Config, Dataset};
use crate::daemon;
use crate::domain::answer::{Body, Outcome as Answered};
use crate::domain::ids::DatasetName;
use crate::domain::naming::shown_text;
use crate::hooks::post::Poster;
use crate::ports::World;
use crate::web::WEBHOOK_PREFIX;

/// The longest wait for the address to answer.
const PROOF: Duration = Duration::from_secs(20);

/// Tell the service where to push what it has cleaned
///
/// The address must be https, take POST, be reachable from outside, and have no
/// query string: all four are checked before the service is told, the middle two
/// by an empty POST to it. The service has no call that shows the address that
/// is set. A push is started in the service's console.
///
/// Where the dataset has a `webhook_path_file`, /webhook/ and the secret in that
/// file are put behind the address, so that the secret stands on no command
/// line; --as-is leaves the address as it is.
///
/// Examples:
///   supametas-sync webhook set https://sync.example.com --dataset main
///   supametas-sync webhook set https://sync.example.com --dataset main --no-proof
///   supametas-sync webhook set https://other.example.com/in --dataset main --as-is
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set the address of a dataset's pushes, in place of the one before.
    Set(Set),
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The address, such as https://sync.example.com.
    url: String,
    /// The dataset whose results are pushed.
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Put nothing behind the address.
    #[arg(long)]
    as_is: bool,
    /// Don't send a POST to see whether it is taken: where the address can be
    /// reached from outside, but not from here.
    #[arg(long)]
    no_proof: bool,
}

/// Does what is asked.
pub fn main(path: &Path, args: Args) -> Outcome {
    let What::Set(set) = args.what;
    let config = Config::load(path)?.config;
    let Some(dataset) = config.datasets.get(&DatasetName(set.dataset.clone())) else {
        let known: Vec<&str> = config.datasets.keys().map(|name| name.0.as_str()).collect();
        let known = known.join(", ");
        return Err(Failed::with(
            Exit::Usage,
            anyhow::anyhow!("there is no dataset of this name: use one of {known}"),
        ));
    };
    let emulated = is_local(&config.service.base_url);
    let usage = |why: Broken| Failed::with(Exit::Usage, why);
    let base = rules(&set.url, emulated).map_err(usage)?;
    let url = whole(&base, dataset, set.as_is);
    runtime()?.block_on(async {
        if !set.no_proof {
            prove(&url).await?;
        }
        tell(&config, dataset, &url).await
    })?;
    let hidden = if url == base {
        ""
    } else {
        ", with its secret path"
    };
    out::print(&format!(
        "dataset {}: the service pushes to {base}{hidden}; start the push in its console",
        dataset.name
    ));
    Ok(Exit::Success)
}

/// Which of the service's rules an address breaks, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error("this is not an address: write it in full, such as https://sync.example.com")]
    NoAddress,
    #[error(
        "the address is not https: the service takes no other. Put a reverse proxy with a certificate in front of the daemon (docs/hooks.md)"
    )]
    NotHttps,
    #[error(
        "the address has a query string or fragment, which the service refuses: leave out what begins with ? or #"
    )]
    Query,
    #[error(
        "the address has a user name or password: leave it out; the secret path keeps others away"
    )]
    Login,
    #[error(
        "the address leads to this machine or a private network, which the service can't reach: use a public name"
    )]
    Private,
    #[error(
        "a POST to the address did not get through: {0}. Is the proxy up, and does it lead to the daemon? If only this machine can't reach it, use --no-proof"
    )]
    Unproved(String),
}

/// Checks what can be seen of an address. `emulated`: the service is on this
/// machine, and reaches what is here, without https, too.
fn rules(text: &str, emulated: bool) -> Result<Url, Broken> {
    let url = Url::parse(text).map_err(|_| Broken::NoAddress)?;
    if url.host().is_none() {
        return Err(Broken::NoAddress);
    }
    let fine_here = emulated && is_local(&url) && url.scheme() == "http";
    if url.scheme() != "https" && !fine_here {
        return Err(Broken::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Broken::Login);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Broken::Query);
    }
    if !emulated && is_private(&url) {
        return Err(Broken::Private);
    }
    Ok(url)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn is_private(url: &Url) -> bool {
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip),
        Some(Host::Domain(name)) => {
            return name == "localhost" || name.ends_with(".localhost") || !name.contains('.');
        }
        None => return true,
    };
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_unspecified()
        }
    }
}

/// With the dataset's secret path behind it, if it has one.
fn whole(base: &Url, dataset: &Dataset, as_is: bool) -> Url {
    let mut url = base.clone();
    if let (Some(pushes), false) = (&dataset.pushes, as_is) {
        let before = base.path().trim_end_matches('/');
        url.set_path(&format!(
            "{before}{WEBHOOK_PREFIX}{}",
            pushes.secret.expose()
        ));
    }
    url
}

/// An empty POST, as nobody would mind: the daemon keeps no file of it.
async fn prove(url: &Url) -> Result<(), Broken> {
    let poster = Poster::default();
    poster
        .send(url, None, "", Vec::new(), PROOF)
        .await
        .map_err(|failure| Broken::Unproved(failure.to_string()))
}

async fn tell(config: &Config, dataset: &Dataset, url: &Url) -> anyhow::Result<()> {
    let api = daemon::api(&config.service, &World::real())?;
    let path = &config.service.webhook_path;
    let told = api.set_webhook(&dataset.key, path, url.as_str()).await;
    if told.is_done() {
        return Ok(());
    }
    let refused = told
        .opt_refused()
        .map(|result| format!("it answers {:?}", shown_text(result, 100)));
    let why = match told {
        _ if refused.is_some() => refused.unwrap_or_default(),
        Answered::Answer(answer) => match answer.body {
            Body::Envelope { code, message, .. } => {
                let message = message.unwrap_or_default();
                format!(
                    "status {}, {} {}",
                    answer.status,
                    shown_text(&code, 40),
                    shown_text(&message, 300)
                )
            }
            _ => format!("status {}, and no words of its own", answer.status),
        },
        Answered::NoConnection { detail } | Answered::Broken { detail, .. } => detail,
    };
    // What it repeats of the address must not show either.
    let secret = dataset
        .pushes
        .as_ref()
        .map(|p| p.secret.expose().to_owned());
    let why = secret.map_or(why.clone(), |secret| why.replace(&secret, "…"));
    anyhow::bail!(
        "the service did not take the address: {why}; `supametas-sync check --online` says whether it takes the key"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_services_rules() {
        for (url, emulated, wanted) in [
            ("https://a.example", false, None),
            ("https://a.example/b/c", false, None),
            ("http://a.example", false, Some(Broken::NotHttps)),
            ("ftp://a.example", false, Some(Broken::NotHttps)),
            ("a.example", false, Some(Broken::NoAddress)),
            ("https://", false, Some(Broken::NoAddress)),
            ("https://a.example/?x", false, Some(Broken::Query)),
            ("https://a.example/#x", false, Some(Broken::Query)),
            ("https://u@a.example/", false, Some(Broken::Login)),
            ("https://localhost/", false, Some(Broken::Private)),
            ("https://server/", false, Some(Broken::Private)),
            ("https://127.0.0.1/", false, Some(Broken::Private)),
            ("https://10.1.2.3/", false, Some(Broken::Private)),
            ("https://[::1]/", false, Some(Broken::Private)),
            (
                "https://[::ffff:192.168.1.1]/",
                false,
                Some(Broken::Private),
            ),
            ("https://[fd00::1]/", false, Some(Broken::Private)),
            ("http://127.0.0.1:8398", false, Some(Broken::NotHttps)),
            ("http://127.0.0.1:8398", true, None),
            ("http://a.example", true, Some(Broken::NotHttps)),
        ] {
            assert_eq!(rules(url, emulated).err(), wanted, "{url}");
        }
    }
}
