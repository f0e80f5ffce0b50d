//! `docs/walkthrough.md`: made of sections, compared section by section.
//!
//! Must not: run anything.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use crate::normal::normal;

/// The page: its introduction, then each section, which begins with `## `.
#[derive(Debug, Default)]
pub struct Page {
    sections: Vec<String>,
    /// Whether a block of commands is open in the last section.
    in_console: bool,
}

/// How the page is written anew.
const WRITE: &str = "WALKTHROUGH_WRITE=1 cargo test --test walkthrough";

impl Page {
    /// With this text before the first section.
    pub fn new(introduction: &str) -> Page {
        Page {
            sections: vec![format!("{}\n", introduction.trim())],
            in_console: false,
        }
    }

    /// The one in the repository; empty where there is none yet.
    pub fn recorded() -> Page {
        let text = std::fs::read_to_string(file()).unwrap_or_default();
        Page {
            sections: sections(&text),
            in_console: false,
        }
    }

    /// Begins a section.
    pub fn heading(&mut self, title: &str) {
        self.end_section();
        self.sections.push(format!("## {title}\n"));
    }

    /// A paragraph of prose.
    pub fn prose(&mut self, text: &str) {
        self.close();
        self.add(&format!("\n{}\n", wrapped(text)));
    }

    /// A command, and what it printed.
    pub fn console(&mut self, command: &str, said: &str, code: Option<i32>) {
        let open = if self.in_console {
            ""
        } else {
            "\n```console\n"
        };
        let said = said.trim_end_matches('\n');
        let mut text = format!("{open}$ {command}\n");
        if !said.is_empty() {
            let _ = writeln!(text, "{said}");
        }
        match code {
            Some(0) => {}
            Some(code) => {
                let _ = writeln!(text, "[exit code {code}]");
            }
            None => panic!("{command}: ended by a signal"),
        }
        self.in_console = true;
        self.add(&text);
    }

    /// Lines of a file or log.
    pub fn block(&mut self, language: &str, text: &str) {
        self.close();
        self.add(&format!("\n```{language}\n{}\n```\n", text.trim_end()));
    }

    /// Ends the last section. With `WALKTHROUGH_PRINT=1` it is printed, also
    /// where the test's own output is kept back.
    pub fn end_section(&mut self) {
        self.close();
        if std::env::var_os("WALKTHROUGH_PRINT").is_some_and(|v| v == "1")
            && let Some(section) = self.sections.last()
        {
            let _ = writeln!(std::io::stdout(), "{section}");
        }
    }

    /// Fails with the first line that differs from the recorded page; or
    /// writes the page, where that was asked for.
    pub fn compare_or_write(self, recorded: &Page) {
        if std::env::var_os("WALKTHROUGH_WRITE").is_some_and(|v| v == "1") {
            std::fs::write(file(), self.renewed(recorded)).unwrap();
            return;
        }
        if let Some(difference) = self.difference(recorded) {
            panic!(
                "docs/walkthrough.md differs from what the program says:\n{difference}\n\
                 If that is meant, write the page anew and read it: {WRITE}"
            );
        }
    }

    /// The page's text. A section that says the same as the recorded one stays
    /// as it is, so that no change consists of times alone.
    fn renewed(&self, recorded: &Page) -> String {
        let old = |section: &String| {
            let same = |old: &&String| normal(old) == normal(section);
            recorded.sections.iter().find(same).cloned()
        };
        let sections = self.sections.iter();
        let sections: Vec<String> = sections
            .map(|s| old(s).unwrap_or_else(|| s.clone()))
            .collect();
        sections.join("\n")
    }

    fn difference(&self, recorded: &Page) -> Option<String> {
        let lines = |page: &Page| -> Vec<String> {
            let text = normal(&page.sections.join("\n"));
            text.lines().map(str::to_owned).collect()
        };
        let (new, old) = (lines(self), lines(recorded));
        let at = (0..new.len().max(old.len())).find(|at| new.get(*at) != old.get(*at))?;
        let near = |lines: &[String], sign: &str| {
            let until = lines.len().min(at + 4);
            let near = lines.get(at..until).unwrap_or_default();
            near.iter().fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{sign} {line}");
                text
            })
        };
        let heading = new
            .iter()
            .take(at + 1)
            .rfind(|line| line.starts_with("## "));
        Some(format!(
            "in {:?}, line {}:\n{}{}",
            heading.map_or("the introduction", String::as_str),
            at + 1,
            near(&old, "-"),
            near(&new, "+"),
        ))
    }

    fn close(&mut self) {
        if self.in_console {
            self.in_console = false;
            self.add("```\n");
        }
    }

    fn add(&mut self, text: &str) {
        self.sections.last_mut().unwrap().push_str(text);
    }
}

/// The text in lines of at most 88 characters, if its words let it.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 88 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/walkthrough.md")
}

/// What a page's text consists of. A heading within a block of code is none.
fn sections(text: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        if line.starts_with("## ") && !in_block {
            // The empty line between two sections belongs to neither.
            let last = sections.last_mut().unwrap();
            last.truncate(last.trim_end().len());
            last.push('\n');
            sections.push(String::new());
        }
        let _ = writeln!(sections.last_mut().unwrap(), "{line}");
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(times: [&str; 2], state: &str) -> Page {
        let mut page = Page::new("# A page\n");
        page.heading("1. First");
        page.console("list", &format!("a.txt  {}", times[0]), Some(0));
        page.heading("2. Second");
        page.prose("It is so.");
        page.console("status", &format!("{state} since {}", times[1]), Some(1));
        page.console("list", "", Some(0));
        page.end_section();
        page
    }

    fn of(text: &str) -> Page {
        Page {
            sections: sections(text),
            in_console: false,
        }
    }

    #[test]
    fn a_page_is_compared_without_its_times_and_keeps_what_says_the_same() {
        let (early, late) = ("2026-01-02 03:04:05", "2027-11-12 13:14:15");
        let old = page([early, early], "open");
        let text = old.renewed(&Page::default());
        assert_eq!(
            text,
            "# A page\n\n## 1. First\n\n```console\n$ list\na.txt  2026-01-02 03:04:05\n```\n\n\
             ## 2. Second\n\nIt is so.\n\n```console\n$ status\nopen since 2026-01-02 03:04:05\n\
             [exit code 1]\n$ list\n```\n"
        );
        let recorded = of(&text);
        let same = page([late, late], "open");
        assert_eq!(same.difference(&recorded), None);
        assert_eq!(same.renewed(&recorded), text);

        let other = page([late, late], "closed");
        let difference = other.difference(&recorded).unwrap();
        assert!(
            difference.contains("## 2. Second") && difference.contains("+ closed since TIME"),
            "{difference}"
        );
        let renewed = other.renewed(&recorded);
        assert!(renewed.contains("a.txt  2026-01-02"), "{renewed}");
        assert!(renewed.contains("closed since 2027-11-12"), "{renewed}");
    }

    #[test]
    fn what_is_missing_or_too_much_is_a_difference() {
        let whole = page(["", ""], "open");
        let mut short = page(["", ""], "open");
        short.sections.pop();
        assert!(short.difference(&whole).is_some());
        assert!(whole.difference(&short).is_some());
        assert!(whole.difference(&Page::default()).is_some());
    }
}
