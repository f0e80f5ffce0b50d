//! Tables for people. On a terminal they fit it; elsewhere a row is one line
//! ([`Table::lines`]), or wraps at a fixed width ([`Table::page`]) where a row
//! holds sentences.
//!
//! Must not: be what a script reads; scripts have `--json`.

use comfy_table::{ColumnConstraint, ContentArrangement, Width, presets};

/// The width of a page where there is no terminal, in columns.
const PAGE: u16 = 120;

/// Between two columns, in columns.
const GAP: u16 = 2;

/// The least of a last column that is worth showing, in columns.
const STUMP: u16 = 16;

/// The narrowest terminal that a table is fitted to: below, its words would be
/// cut into letters.
const NARROWEST: u16 = 72;

/// A table with headings.
pub struct Table {
    inner: comfy_table::Table,
    columns: usize,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Table {
        let mut inner = comfy_table::Table::new();
        inner
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(headings.iter().map(|heading| heading.to_uppercase()));
        Table {
            inner,
            columns: headings.len(),
        }
    }

    /// Adds a row: a cell for each heading.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.inner.add_row(cells);
    }

    /// These columns, counted from 0, are never wrapped.
    pub fn whole(&mut self, columns: &[usize]) {
        for at in columns {
            if let Some(column) = self.inner.column_mut(*at) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }

    /// As text; a row is one line where there is no terminal.
    pub fn lines(mut self) -> String {
        if self.inner.width().is_some_and(|width| width < NARROWEST) {
            self.inner.set_width(NARROWEST);
        }
        self.text()
    }

    /// As text; a row is one line everywhere. On a terminal the end of the last
    /// column is cut off to fit, as `…` says.
    pub fn cut_lines(self) -> String {
        let width = self.inner.width();
        self.cut_to(width)
    }

    fn cut_to(mut self, width: Option<u16>) -> String {
        let last = self.columns.saturating_sub(1);
        let widths = self.inner.column_max_content_widths();
        let before: u16 = widths.iter().take(last).map(|w| w + GAP).sum();
        let room = width.map(|width| width.saturating_sub(before + GAP));
        let fits = |room: u16| widths.get(last).is_none_or(|widest| *widest <= room);
        match room {
            Some(room) if room >= STUMP && !fits(room) => {
                self.whole(&(0..last).collect::<Vec<_>>());
                if let Some(column) = self.inner.column_mut(last) {
                    let room = ColumnConstraint::Absolute(Width::Fixed(room + GAP));
                    column.set_constraint(room);
                    // Cut anywhere, and not at a space that may be far off.
                    column.set_delimiter('\0');
                }
                self.inner.set_truncation_indicator("…");
                for row in self.inner.row_iter_mut() {
                    row.max_height(1);
                }
            }
            _ => {
                self.inner
                    .set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        self.text()
    }

    /// As text; at most as wide as a page where there is no terminal.
    pub fn page(mut self) -> String {
        let width = self.inner.width().unwrap_or(PAGE).max(NARROWEST);
        self.inner.set_width(width);
        self.text()
    }

    fn text(mut self) -> String {
        // A gap between columns, and nothing in front of the first.
        for at in 0..self.columns {
            if let Some(column) = self.inner.column_mut(at) {
                column.set_padding((0, GAP));
            }
        }
        self.inner.trim_fmt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long() -> Table {
        let mut table = Table::new(&["id", "words"]);
        table.whole(&[0]);
        table.row(["1".to_owned(), "word ".repeat(60)]);
        table.inner.force_no_tty();
        table
    }

    #[test]
    fn a_row_is_one_line_or_fits_a_page() {
        let lines = long().lines();
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(lines.starts_with("ID  WORDS\n1   word"), "{lines}");
        let page = long().page();
        assert!(page.lines().count() > 2);
        assert!(page.lines().all(|line| line.len() <= 120), "{page}");
        for (terminal, widest) in [(Some(80), 80), (Some(10), 400), (None, 400)] {
            let cut = long().cut_to(terminal);
            assert_eq!(cut.lines().count(), 2, "{cut}");
            let width = cut.lines().map(|l| l.chars().count()).max();
            assert!(width.is_some_and(|width| width <= widest), "{cut}");
            assert_eq!(cut.contains('…'), terminal == Some(80), "{cut}");
        }
    }
}
