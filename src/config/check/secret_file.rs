//! Secrets that a key of the configuration names the file of, and addresses that
//! must not hold one.
//!
//! Must not: show a secret, or what was written where its place should be.

use url::Url;

use super::Report;
use crate::config::keys::{self, KeyError, KeySource, ReadKey};
use crate::config::surroundings::Surroundings;
use crate::ports::AccessKey;

impl Report<'_> {
    /// What is in the file at `path`, which `key` names. One that can't be used is
    /// an error, with what `remedy` says to do about it.
    pub(super) fn secret_file(
        &mut self,
        key: &str,
        path: &str,
        on: &dyn Surroundings,
        remedy: impl FnOnce(&KeyError) -> &'static str,
    ) -> Option<AccessKey> {
        match keys::read(KeySource::File(path), on) {
            Ok(read) => Some(self.kept_close(key, read)),
            Err(why) => {
                let remedy = remedy(&why);
                self.error(key, why.to_string(), remedy);
                None
            }
        }
    }

    /// Warns of a secret that other users of the machine can read.
    pub(super) fn kept_close(&mut self, key: &str, read: ReadKey) -> AccessKey {
        if read.open_to_all {
            self.warning(
                key,
                "names a file that every user of this machine can read",
                "chmod 600 the file, and give it to the daemon's user",
            );
        }
        read.key
    }

    /// Refuses an address that holds a log-in: addresses are shown.
    pub(super) fn without_log_in(&mut self, key: &str, url: &Url, remedy: &str) -> bool {
        let without = url.username().is_empty() && url.password().is_none();
        if !without {
            self.error(key, "holds a user name or password", remedy);
        }
        without
    }
}
