//! A walk from the installation to an upgrade, with what goes wrong on the way,
//! by the real program and the emulated service: the commands that a person
//! types, and what that person reads. `docs/walkthrough.md` is the record.
//!
//! The test fails when the program says something else than the page.
//! `WALKTHROUGH_WRITE=1 cargo test --test walkthrough` writes the page anew;
//! `WALKTHROUGH_PRINT=1` prints each step as it is walked.
//!
//! The walk needs root, for a private mount namespace in which all paths are
//! those of an installation, and for the users: the service's and that of a
//! person who drops files. It says that it was skipped without;
//! `REQUIRE_ROOT=1` forbids that.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "walkthrough/machine.rs"]
mod machine;
#[path = "walkthrough/normal.rs"]
mod normal;
#[path = "walkthrough/page.rs"]
mod page;
#[path = "walkthrough/steps.rs"]
mod steps;
mod support;
#[path = "walkthrough/walk.rs"]
mod walk;

use machine::Machine;
use page::Page;
use walk::Walk;

#[test]
fn from_the_installation_to_an_upgrade() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let mut walk = Walk::new(machine);
    steps::install(&mut walk);
    steps::first_file(&mut walk);
    steps::wrong_key(&mut walk);
    steps::wrong_option(&mut walk);
    steps::outage(&mut walk);
    steps::unreadable_file(&mut walk);
    steps::lost_answer(&mut walk);
    steps::disk_full(&mut walk);
    steps::upgrade(&mut walk);
    let page = walk.end();
    page.compare_or_write(&Page::recorded());
}
