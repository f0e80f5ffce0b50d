//! Everything that creates, renames, links, copies or deletes a file outside
//! the ledger's own directory.
//!
//! The room works by handles only. A directory is opened once, link by link
//! ([`Dir`]), its owner and mode are read from the handle, and every change is
//! made relative to that handle. So whoever may write to a drop folder cannot
//! lead a change elsewhere by swapping a directory for a link between two
//! system calls. `tests/architecture.rs` refuses path-based changes in the other
//! rooms.
//!
//! Must not: know the ledger, or decide what becomes of a file.

mod copy;
mod dir;
mod error;
pub mod exposed;
mod source;
mod walk;

pub use copy::{Owner, copy_in};
pub use dir::{Dir, Seen};
pub use error::{Doing, FileError, system_said};
pub use source::{BeingWritten, Disposed, Goal, Place, delete, find, move_to, write_note};
