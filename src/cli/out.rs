//! What commands say: answers on standard output, remarks on standard error.
//!
//! A reader that has gone away (`| head`) is no error, so nothing here panics
//! as `println!` and `eprintln!` do. Must not: know what is said.

use std::io::{self, Write};

use crate::domain::naming::shown_text;

/// Prints an answer, with one line break at its end.
pub fn print(text: &str) {
    write_line(&mut io::stdout().lock(), text);
}

/// Prints a value as indented JSON.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}"));
}

/// Says something that is not the answer.
pub fn remark(text: &str) {
    write_line(&mut io::stderr().lock(), text);
}

fn write_line(to: &mut impl Write, text: &str) {
    let text = text.strip_suffix('\n').unwrap_or(text);
    // Nobody reads it any more: then nobody misses it.
    let _ = writeln!(to, "{text}").and_then(|()| to.flush());
}

/// A word of the command line in a message: in quotes, short, with nothing in
/// it that a terminal would act on.
pub fn shown_word(word: &str) -> String {
    format!("\"{}\"", shown_text(word, 100))
}

/// A number of things: `1 folder`, `2 folders`.
pub fn count(n: impl TryInto<u64>, thing: &str) -> String {
    match n.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {thing}"),
        n => format!("{n} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(0_u64, "folder"), "0 folders");
        assert_eq!(count(1_usize, "folder"), "1 folder");
        assert_eq!(count(2_u64, "folder"), "2 folders");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        write_line(&mut Closed, "text");
        let mut said = Vec::new();
        write_line(&mut said, "text\n");
        assert_eq!(said, b"text\n");
    }
}
