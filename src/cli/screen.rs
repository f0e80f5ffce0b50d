//! A screen that is drawn again and again: in place on a terminal, one after
//! another elsewhere. What was on the terminal before is there again afterwards.
//!
//! Must not: let anything through to a terminal but lines of text; what is shown
//! was made harmless before.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tokio::sync::mpsc;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// To the other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The screen. Dropping it gives the terminal back.
pub struct Screen {
    in_place: bool,
    drawn: bool,
    blank_between: bool,
    signals: Handle,
    asked_to_end: mpsc::UnboundedReceiver<()>,
}

impl Screen {
    /// Takes the terminal over, if `for_people` and there is one. From here on
    /// Ctrl-C no longer ends the process by itself: [`Screen::wait`] says so.
    pub fn open(for_people: bool) -> io::Result<Screen> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let handle = signals.handle();
        let (sender, asked_to_end) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    if sender.send(()).is_err() {
                        return;
                    }
                }
            })?;
        let in_place = for_people && io::stdout().is_terminal();
        Ok(Screen {
            in_place,
            drawn: false,
            blank_between: for_people,
            signals: handle,
            asked_to_end,
        })
    }

    /// Shows `text` in the place of what was shown before.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn show(&mut self, text: &str) -> io::Result<()> {
        let mut frame = String::new();
        if self.in_place {
            if !self.drawn {
                frame.push_str(ENTER);
            }
            frame.push_str(&in_place(text, size()));
        } else {
            if self.drawn && self.blank_between {
                frame.push('\n');
            }
            frame.push_str(text);
        }
        self.drawn = true;
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// Waits; says whether to end.
    pub async fn wait(&mut self, time: Duration) -> ControlFlow<()> {
        tokio::select! {
            _ = self.asked_to_end.recv() => ControlFlow::Break(()),
            () = tokio::time::sleep(time) => ControlFlow::Continue(()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.signals.close();
        if self.in_place && self.drawn {
            let mut out = io::stdout().lock();
            // Where nobody reads, there is nothing to give back.
            let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
        }
    }
}

/// Rows and columns of the terminal.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            (usize::from(size.ws_row), usize::from(size.ws_col))
        }
        _ => (24, 80),
    }
}

/// What draws `text` over what is there: each line cut to the width, since one
/// that wraps would push the others down, and no more lines than fit.
fn in_place(text: &str, (rows, columns): (usize, usize)) -> String {
    let mut frame = String::from("\x1b[H");
    let lines: Vec<&str> = text.trim_end_matches('\n').lines().collect();
    let fit = lines.len() <= rows;
    let shown = if fit {
        lines.len()
    } else {
        rows.saturating_sub(1)
    };
    for (at, line) in lines.iter().take(shown).enumerate() {
        if at > 0 {
            frame.push_str("\r\n");
        }
        let _ = write!(frame, "{}\x1b[K", cut(line, columns));
    }
    if !fit {
        let more = format!("… {} more lines", lines.len() - shown);
        let _ = write!(frame, "\r\n{}\x1b[K", cut(&more, columns));
    }
    frame.push_str("\x1b[J");
    frame
}

/// The line in at most so many columns. Its colours take none of them, and end
/// with it.
fn cut(line: &str, columns: usize) -> String {
    if plain(line).width() <= columns {
        return line.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == ESCAPE {
            out.push(c);
            // A colour: all up to its letter.
            out.extend(chars.by_ref().take_while(|c| *c != COLOUR));
            out.push(COLOUR);
            continue;
        }
        match room.checked_sub(c.width().unwrap_or(0)) {
            Some(left) => room = left,
            None => break,
        }
        out.push(c);
    }
    out.push('…');
    if out.contains(ESCAPE) {
        out.push_str("\x1b[0m");
    }
    out
}

/// What begins a colour, and the letter that ends it.
const ESCAPE: char = '\x1b';
const COLOUR: char = 'm';

/// The line without its colours.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => drop(chars.by_ref().find(|c| *c == COLOUR)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits_the_terminal() {
        let text = "one\ntwo two two\nthree\nfour\n";
        let all = in_place(text, (4, 80));
        assert_eq!(
            all,
            "\x1b[Hone\x1b[K\r\ntwo two two\x1b[K\r\nthree\x1b[K\r\nfour\x1b[K\x1b[J"
        );
        let little = in_place(text, (3, 5));
        assert_eq!(
            little,
            "\x1b[Hone\x1b[K\r\ntwo …\x1b[K\r\n… 2 …\x1b[K\x1b[J"
        );
        assert_eq!(cut("報告書", 5), "報告…");
        assert_eq!(cut("🎉🎉🎉", 5), "🎉🎉…");
        assert_eq!(cut("e\u{301}e\u{301}", 2), "e\u{301}e\u{301}");
        let red = "\x1b[31mlong words\x1b[0m";
        assert_eq!(cut(red, 10), red);
        assert_eq!(cut(red, 5), "\x1b[31mlong…\x1b[0m");
    }
}
