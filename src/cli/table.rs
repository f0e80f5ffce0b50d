//! Tables for people: columns that fit the terminal, one line a row.
//!
//! Must not: be what a script reads; scripts have `--json`.

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headings.iter().map(|heading| heading.to_uppercase()));
    table
}

/// Prints to standard output; a closed pipe (`| head`) is no error.
pub fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| {
        if text.ends_with('\n') {
            Ok(())
        } else {
            out.write_all(b"\n")
        }
    });
}

/// Prints a value as indented JSON.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}
