//! A question to whoever sits at the terminal.
//!
//! Must not: ask a script, or take silence for a yes.

use std::io::{self, BufRead, IsTerminal, Write};

/// Whether there is a terminal to ask at.
pub fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and waits for a line: true only for a yes.
///
/// # Errors
/// The terminal can't be read.
pub fn agreed(question: &str) -> io::Result<bool> {
    let mut to = io::stderr().lock();
    // Nobody who can't see the question answers it with a yes.
    write!(to, "{question} [y/N] ").and_then(|()| to.flush())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, yes) in [
            ("y\n", true),
            (" YES \n", true),
            ("", false),
            ("\n", false),
            ("yet", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
