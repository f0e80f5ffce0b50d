//! Opening the doors: one that is taken, or comes late, is tried again, and how
//! each is doing is told.
//!
//! Must not: end the daemon for a door that stays closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::door::{Door, Wanted};
use crate::view::standing::DoorView;

/// The first wait before a door is tried again, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// How all doors are doing. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Doors(Arc<Mutex<Vec<DoorView>>>);

impl Doors {
    /// Each door, in the order in which they are wanted.
    pub fn all(&self) -> Vec<DoorView> {
        self.views().clone()
    }

    fn views(&self) -> MutexGuard<'_, Vec<DoorView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A door that is opened, now or later.
#[derive(Debug)]
pub struct Opening {
    wanted: Wanted,
    /// Opened already.
    open: Option<Door>,
    number: usize,
    doors: Doors,
}

impl Opening {
    /// Tries to open `wanted` at once; [`Opening::door`] goes on where that
    /// fails. To be called within a tokio runtime.
    pub fn begin(wanted: Wanted, doors: &Doors) -> Opening {
        let number = {
            let mut views = doors.views();
            views.push(DoorView {
                at: wanted.place(),
                open: false,
                problem: None,
            });
            views.len() - 1
        };
        let mut opening = Opening {
            wanted,
            open: None,
            number,
            doors: doors.clone(),
        };
        opening.open = opening.attempt();
        opening
    }

    /// The door, once it is open.
    pub async fn door(mut self) -> Door {
        let mut wait = FIRST;
        loop {
            if let Some(door) = self.open.take() {
                return door;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
            self.open = self.attempt();
        }
    }

    /// Tries once; says what it came to where that is news.
    fn attempt(&self) -> Option<Door> {
        let (opened, problem) = match self.wanted.open() {
            Ok(door) => (Some(door), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut views = self.doors.views();
        let view = views.get_mut(self.number)?;
        let news = opened.is_some() || view.problem != problem;
        view.open = opened.is_some();
        view.problem = problem;
        if news {
            tell(&self.wanted, opened.as_ref(), view);
        }
        opened
    }
}

fn tell(wanted: &Wanted, opened: Option<&Door>, view: &DoorView) {
    let (at, error) = (&view.at, view.problem.as_deref().unwrap_or_default());
    match (wanted, opened) {
        (_, Some(Door::Tcp(_, address))) => {
            tracing::info!(page = %format_args!("http://{address}/"), "listening");
        }
        (Wanted::Listen(_), Some(_)) => tracing::info!(socket = at, "listening"),
        (Wanted::Beside(_), Some(_)) => tracing::debug!(socket = at, "the socket is open"),
        (Wanted::Listen(_), None) => tracing::error!(
            at,
            error,
            "can't listen at {at}: {error}. No page and no metrics there until it can, which is tried again; change `http.listen`, or end what has it"
        ),
        (Wanted::Beside(_), None) => tracing::warn!(
            socket = at,
            error,
            "no socket at {at}: {error}. `status` can't show what is live until there is one, which is tried again"
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::valid::Listen;
    use crate::web::door::Entry;

    #[tokio::test(start_paused = true)]
    async fn a_port_that_is_taken_is_opened_when_it_is_free() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let doors = Doors::default();
        let opening = Opening::begin(Wanted::Listen(Listen::Port(address)), &doors);
        let view = doors.all().remove(0);
        assert_eq!((view.at, view.open), (address.to_string(), false));
        assert!(view.problem.unwrap().contains("in use"));
        drop(taken);
        let door = opening.door().await;
        assert_eq!(door.entry(), Entry::Tcp(address));
        let view = doors.all().remove(0);
        assert_eq!((view.open, view.problem), (true, None));
    }

    #[tokio::test]
    async fn a_socket_for_proxies_takes_no_ones_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let open = || Wanted::Listen(Listen::Socket(path.clone())).open();
        let first = open().unwrap();
        assert_eq!(first.entry(), Entry::Proxy);
        let error = open().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        drop(first);
        // One that a process that died has left.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        open().unwrap();
    }
}
