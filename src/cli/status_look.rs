//! A look at how things stand: the daemon is asked, and where none answers the
//! ledger and the folders.
//!
//! Must not: change anything, or print.

use super::{Failed, lookout};
use crate::config::valid::Config;
use crate::ledger::{self, Ledger};
use crate::ports::World;
use crate::view::Surroundings;
use crate::view::standing::Standing;
use crate::web::client::{self, Unanswered};

/// How things stand, as far as it could be asked.
pub struct Look {
    /// How things stand.
    pub standing: Standing,
    /// Why a daemon that runs could not be asked.
    unanswered: Option<Unanswered>,
}

impl Look {
    /// Whether a daemon holds the ledger and gives no answer.
    pub fn is_silent(&self) -> bool {
        matches!(self.unanswered, Some(Unanswered::Late))
    }

    /// What there is to say about asking.
    pub fn remark(&self) -> Option<String> {
        let why = self.unanswered.as_ref()?;
        Some(format!(
            "the daemon can't be asked what is live ({why}): this is from the ledger"
        ))
    }
}

/// Asks the daemon, or else the ledger and the folders.
pub async fn look(config: &Config, ledger: &Ledger) -> Result<Look, Failed> {
    let unanswered = match client::standing(&config.ledger).await {
        Ok(mut standing) => {
            standing.stopped = standing
                .stopped
                .or_else(|| lookout::no_room(&config.ledger));
            return Ok(Look {
                standing,
                unanswered: None,
            });
        }
        Err(why) => why,
    };
    let now = World::real().clock.now();
    // A visitor's own look: a daemon that is there writes beside it.
    ledger.refresh_gates().await?;
    let found = ledger.standing(now).await?;
    let running = ledger::is_owned(&config.ledger)?;
    let mut standing = Standing::of(
        config,
        &found,
        &ledger.gates(),
        &ledger.halts(),
        running,
        now,
    );
    standing.stopped = lookout::no_room(&config.ledger);
    let mut seen = lookout::folders(config, ledger.places().await?);
    for folder in &mut standing.folders {
        let seen = seen.remove(&folder.folder).unwrap_or_default();
        folder.offline = seen.offline.map(|why| why.to_string());
        folder.offline_kind = seen.offline.map(|why| why.word().to_owned());
        folder.shared = seen.shared;
    }
    let oldest = found.oldest.as_ref();
    let ahead = ledger.ahead(oldest.cloned().into_iter().collect()).await?;
    let around = Surroundings::new(config, ledger, &standing, ahead, now);
    around.tell_oldest(&mut standing, oldest);
    Ok(Look {
        standing,
        unanswered: running.then_some(unanswered),
    })
}
