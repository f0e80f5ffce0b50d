//! Which connection an upload takes: one that was used before, or one of its own.
//!
//! A small body goes out in one piece. If the service closes the connection just
//! then, nobody can tell whether it took the file: it is in doubt, though nothing
//! was wrong with it. Services that close each connection after its answer,
//! without saying so, do that all the time (of 300 files 5 were held, and 52 sent
//! again and marked). So:
//!
//! - where a file in doubt waits for a person (`unconfirmed = "hold"`), each upload
//!   has a connection of its own;
//! - else connections are used again once the service has been seen to keep them.
//!   What shows it costs no file: a query that goes out on a known connection, or
//!   an upload that is sent when nothing has been under way for a moment, so that
//!   a close by the service would have been heard.
//!
//! A connection of its own costs a TCP and a TLS handshake for each file: 14 ms
//! instead of 0.4 ms a request over loopback, both ends in one debug build
//! (`tests/ways.rs` `what_a_connection_of_its_own_costs`), and two more round trips
//! over a network.
//!
//! Must not: send anything, or read the clock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// After so long without a request, a close by the service has been heard.
const QUIET: Duration = Duration::from_millis(30);

/// Answers running that came on known connections, before it is believed that
/// the service keeps them. One alone may be chance: the system gives the numbers
/// of its ends of connections again.
const PROOFS: u32 = 3;

/// After a connection was closed under an upload, none is used again for so long.
const AFTER_A_CLOSE: Duration = Duration::from_secs(600);

/// Known connections, at most.
const KNOWN: usize = 64;

/// What is known of how the service treats connections.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    /// This machine's ends of connections that were answered on, latest last.
    known: VecDeque<SocketAddr>,
    /// Answers running on known connections.
    proofs: u32,
    /// Requests on connections that may be used again, now.
    under_way: u32,
    /// When the latest of them ended.
    ended: Option<Instant>,
    /// Nothing is used again before then.
    apart_until: Option<Instant>,
}

/// How a request on a connection that may be used again ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was answered; this machine's end of the connection, if that is known.
    Answered(Option<SocketAddr>),
    /// An upload was handed over whole, and the connection closed without an
    /// answer.
    Closed,
    /// Anything else.
    Other,
}

impl Reuse {
    /// Whether an upload may take a connection that was used before. If it does,
    /// [`Reuse::begin`] and [`Reuse::end`] are to be called.
    pub(super) fn allows(&self, now: Instant) -> bool {
        if self.apart_until.is_some_and(|until| now < until) {
            return false;
        }
        let quiet = self.ended.is_none_or(|ended| now >= ended + QUIET);
        self.proofs >= PROOFS || (self.under_way == 0 && quiet)
    }

    /// A request takes a connection that may be used again.
    pub(super) fn begin(&mut self) {
        self.under_way += 1;
    }

    /// It has ended.
    pub(super) fn end(&mut self, end: End, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        self.ended = Some(now);
        match end {
            End::Answered(Some(local)) if self.known.contains(&local) => {
                self.proofs = self.proofs.saturating_add(1);
            }
            End::Answered(Some(local)) => {
                // Once it is proved, another connection is only one more.
                if self.proofs < PROOFS {
                    self.proofs = 0;
                }
                if self.known.len() == KNOWN {
                    self.known.pop_front();
                }
                self.known.push_back(local);
            }
            End::Closed => {
                *self = Reuse {
                    under_way: self.under_way,
                    ended: self.ended,
                    apart_until: Some(now + AFTER_A_CLOSE),
                    ..Reuse::default()
                };
            }
            End::Answered(None) | End::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn answered(reuse: &mut Reuse, port: u16, now: Instant) {
        reuse.begin();
        reuse.end(End::Answered(Some(local(port))), now);
    }

    #[test]
    fn connections_are_used_again_once_the_service_has_kept_some() {
        let (mut reuse, start) = (Reuse::default(), Instant::now());
        assert!(reuse.allows(start), "the first finds none that was used");
        reuse.begin();
        assert!(!reuse.allows(start), "one at a time shows it");
        reuse.end(End::Answered(Some(local(1))), start);
        assert!(!reuse.allows(start + ms(29)), "a close may be on its way");
        for n in 1..=3 {
            assert!(reuse.allows(start + ms(n * 30)));
            answered(&mut reuse, 1, start + ms(n * 30));
        }
        reuse.begin();
        assert!(reuse.allows(start + ms(90)), "it is proved");
        reuse.end(End::Answered(Some(local(2))), start + ms(90));
        assert!(reuse.allows(start + ms(90)), "another is only one more");
    }

    #[test]
    fn a_service_that_closes_each_is_never_given_a_used_one_in_a_hurry() {
        let (mut reuse, start) = (Reuse::default(), Instant::now());
        for n in 0..600u16 {
            let now = start + ms(u64::from(n) * 31);
            // One number that comes again by chance proves nothing.
            answered(&mut reuse, n / 2, now);
            assert!(!reuse.allows(now));
            assert!(reuse.allows(now + ms(30)));
        }
        assert!(reuse.known.len() <= KNOWN);
    }

    #[test]
    fn a_connection_that_was_closed_under_an_upload_ends_it_for_a_while() {
        let (mut reuse, start) = (Reuse::default(), Instant::now());
        for _ in 0..5 {
            answered(&mut reuse, 1, start);
        }
        assert!(reuse.allows(start));
        reuse.begin();
        reuse.end(End::Closed, start);
        assert!(!reuse.allows(start + ms(599_999)));
        assert!(reuse.allows(start + ms(600_000)));
        answered(&mut reuse, 1, start + ms(600_000));
        assert!(!reuse.allows(start + ms(600_001)), "it is to be shown anew");
    }

    #[test]
    fn what_ends_without_an_answer_says_nothing() {
        let (mut reuse, start) = (Reuse::default(), Instant::now());
        for end in [End::Other, End::Answered(None)] {
            reuse.begin();
            reuse.end(end, start);
            assert!(reuse.allows(start + ms(30)) && reuse.proofs == 0);
        }
    }
}
