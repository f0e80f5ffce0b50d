//! Tables for people. On a terminal they fit it, and where it is too narrow for
//! columns each row is a few lines; elsewhere a row is one line
//! ([`Table::lines`]), or wraps at a fixed width ([`Table::page`]) where a row
//! holds sentences.
//!
//! Must not: be what a script reads; scripts have `--json`.

use comfy_table::{ColumnConstraint, ContentArrangement, Width, presets};

use super::out;
use super::tone::Tone;

/// The width of a page where there is no terminal, in columns.
const PAGE: u16 = 120;

/// Between two columns, in columns.
const GAP: u16 = 2;

/// The least of a column that is worth wrapping or cutting, in columns: below,
/// words would be cut into letters.
const STUMP: u16 = 16;

/// The narrowest terminal that anything is fitted to.
const NARROWEST: u16 = 30;

/// A table with headings.
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
    /// Which columns are never wrapped.
    whole: Vec<bool>,
    /// Of the terminal; `None` where there is none.
    width: Option<u16>,
}

/// What is in a row under a heading.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// With a meaning.
    pub fn toned(tone: Tone, text: impl ToString) -> Cell {
        Cell {
            text: text.to_string(),
            tone,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell {
            text,
            tone: Tone::Plain,
        }
    }
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Table {
        Table {
            headings: headings.iter().map(|&heading| heading.to_owned()).collect(),
            rows: Vec::new(),
            whole: vec![false; headings.len()],
            width: comfy_table::Table::new().width(),
        }
    }

    /// Adds a row: a cell for each heading.
    pub fn row<C: Into<Cell>, const N: usize>(&mut self, cells: [C; N]) {
        self.rows.push(cells.map(Into::into).into());
    }

    /// These columns, counted from 0, are never wrapped.
    pub fn whole(&mut self, columns: &[usize]) {
        for at in columns {
            if let Some(whole) = self.whole.get_mut(*at) {
                *whole = true;
            }
        }
    }

    /// As text; a row is one line where there is no terminal.
    pub fn lines(self) -> String {
        let width = self.width;
        self.wrapped_to(width)
    }

    /// As text; at most as wide as a page where there is no terminal.
    pub fn page(self) -> String {
        let width = self.width.unwrap_or(PAGE);
        self.wrapped_to(Some(width))
    }

    /// As text; a row is one line everywhere. On a terminal the end of the last
    /// column is cut off to fit, as `…` says.
    pub fn cut_lines(self) -> String {
        let width = self.width;
        self.cut_to(width)
    }

    fn wrapped_to(self, width: Option<u16>) -> String {
        let Some(width) = width.map(|width| width.max(NARROWEST)) else {
            return text(self.columns());
        };
        let mut columns = self.columns();
        let widths = columns.column_max_content_widths();
        if total(&widths) <= width {
            return text(columns);
        }
        let with = |whole: bool| {
            let all = widths.iter().zip(&self.whole);
            all.filter(move |(_, is)| **is == whole).map(|(w, _)| *w)
        };
        // Each of the others gets what it needs, or no less than a stump.
        let fixed: u16 = with(true).map(|width| width + GAP).sum();
        let least: u16 = with(false).map(|width| width.min(STUMP) + GAP).sum();
        if fixed.saturating_add(least) > width.saturating_add(GAP) {
            return self.stacked(width, None);
        }
        for (at, _) in self.whole.iter().enumerate().filter(|(_, whole)| **whole) {
            if let Some(column) = columns.column_mut(at) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        columns.set_content_arrangement(ContentArrangement::Dynamic);
        // The last column has a gap behind it, which is trimmed.
        columns.set_width(width + GAP);
        text(columns)
    }

    fn cut_to(self, width: Option<u16>) -> String {
        let Some(width) = width.map(|width| width.max(NARROWEST)) else {
            return text(self.columns());
        };
        let mut columns = self.columns();
        let widths = columns.column_max_content_widths();
        if total(&widths) <= width {
            return text(columns);
        }
        let last = widths.len().saturating_sub(1);
        let before: u16 = widths.iter().take(last).map(|w| w + GAP).sum();
        let room = width.saturating_sub(before);
        if room < STUMP {
            return self.stacked(width, Some(1));
        }
        columns.set_content_arrangement(ContentArrangement::Dynamic);
        columns.set_width(width + GAP);
        for at in 0..last {
            if let Some(column) = columns.column_mut(at) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        cut_column(&mut columns, last, room);
        text(columns)
    }

    /// A row as a few lines: what is short in the first, then a line with its
    /// heading for each other column, of `height` lines at most.
    fn stacked(&self, width: u16, height: Option<usize>) -> String {
        let mut blocks = Vec::new();
        for row in &self.rows {
            let cells = || row.iter().zip(&self.headings).zip(&self.whole);
            let first: Vec<String> = cells()
                .filter(|((cell, _), whole)| **whole && !cell.text.is_empty())
                .map(|((cell, _), _)| cell.tone.paint(&cell.text))
                .collect();
            let mut below = bare();
            for ((cell, heading), _) in
                cells().filter(|((cell, _), whole)| !**whole && !cell.text.is_empty())
            {
                let name = comfy_table::Cell::new(format!("  {heading}"));
                below.add_row([name, of(cell)]);
            }
            let mut block = first.join("  ");
            if below.row_count() > 0 {
                let widths = below.column_max_content_widths();
                let name = widths.first().copied().unwrap_or(0);
                let room = width.saturating_sub(name + GAP).max(STUMP);
                if let Some(column) = below.column_mut(0) {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
                if widths.get(1).is_some_and(|widest| *widest > room) {
                    below.set_content_arrangement(ContentArrangement::Dynamic);
                    below.set_width(name + room + 2 * GAP);
                    if let Some(height) = height {
                        cut_column(&mut below, 1, room);
                        below.row_iter_mut().for_each(|row| {
                            row.max_height(height);
                        });
                    }
                }
                if !block.is_empty() {
                    block.push('\n');
                }
                block.push_str(&text(below));
            }
            blocks.push(block);
        }
        blocks.join("\n")
    }

    /// In columns, none of them bounded.
    fn columns(&self) -> comfy_table::Table {
        let mut table = bare();
        table.set_header(self.headings.iter().map(|heading| heading.to_uppercase()));
        for row in &self.rows {
            table.add_row(row.iter().map(of));
        }
        table
    }
}

fn bare() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .force_no_tty();
    if out::has_colours() {
        table.enforce_styling();
    }
    table.style_text_only();
    table
}

fn of(cell: &Cell) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(&cell.text);
    match cell.tone.colour() {
        Some(colour) => shown.fg(colour),
        None => shown,
    }
}

/// Cut anywhere, and not at a space that may be far off.
fn cut_column(table: &mut comfy_table::Table, at: usize, room: u16) {
    if let Some(column) = table.column_mut(at) {
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(room + GAP)));
        column.set_delimiter('\0');
    }
    table.set_truncation_indicator("…");
    for row in table.row_iter_mut() {
        row.max_height(1);
    }
}

fn total(widths: &[u16]) -> u16 {
    let all: u16 = widths
        .iter()
        .fold(0, |sum, width| sum.saturating_add(width + GAP));
    all.saturating_sub(GAP)
}

fn text(mut table: comfy_table::Table) -> String {
    // A gap between columns, and nothing in front of the first.
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    fn table(file: &str) -> Table {
        let mut table = Table::new(&["id", "state", "file", "since", "detail"]);
        table.whole(&[0, 1, 3]);
        table.row([
            "1795".to_owned(),
            "unsupported".to_owned(),
            file.to_owned(),
            "3 min".to_owned(),
            "word ".repeat(40).trim().to_owned(),
        ]);
        table
    }

    fn widest(text: &str) -> usize {
        text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    #[test]
    fn without_a_terminal_a_row_is_one_line_and_a_page_wraps() {
        let lines = table("a.pdf").wrapped_to(None);
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(
            lines.starts_with("ID    STATE        FILE   SINCE  DETAIL\n1795  "),
            "{lines}"
        );
        assert_eq!(table("a.pdf").cut_to(None), lines);
        let page = table("a.pdf").wrapped_to(Some(PAGE));
        assert!(page.lines().count() > 2, "{page}");
        assert!(widest(&page) <= 120, "{page}");
    }

    #[test]
    fn every_terminal_is_fitted_and_nothing_is_lost() {
        let names = [
            "inbox/a.pdf",
            "inbox/报告书-二零二六年第四季度-最终版本-请勿修改.pdf",
            "inbox/👩‍🔬🎉 party 🎉 with a long name that goes on.png",
        ];
        for name in names {
            for width in [30, 40, 60, 80, 100, 300] {
                let wrapped = table(name).wrapped_to(Some(width));
                assert!(widest(&wrapped) <= usize::from(width), "{width}\n{wrapped}");
                assert_eq!(wrapped.matches("word").count(), 40, "{width}\n{wrapped}");
                assert!(!wrapped.contains('…'), "{width}\n{wrapped}");
                let cut = table(name).cut_to(Some(width));
                assert!(widest(&cut) <= usize::from(width), "{width}\n{cut}");
                assert!(cut.contains("1795  unsupported"), "{width}\n{cut}");
                assert_eq!(cut.contains('…'), width < 300, "{width}\n{cut}");
            }
        }
    }

    #[test]
    fn a_row_that_does_not_fit_is_a_few_lines() {
        let cut = table("inbox/a.pdf").cut_to(Some(40));
        assert_eq!(
            cut,
            "1795  unsupported  3 min\n  file    inbox/a.pdf\n  detail  word word word word word word…"
        );
    }
}
