//! Man pages of the command line: one for the program, one for each command.
//!
//! Must not: say anything that `--help` does not, but for where things are.

use std::io;

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use super::configuration;
use crate::cli::DEFAULT_CONFIG;

/// Shown at the foot of each page.
const SOURCE: &str = concat!("supametas-sync ", env!("CARGO_PKG_VERSION"));

/// Every page with its file's name, the configuration's among them.
pub fn pages(program: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut pages = vec![
        ("supametas-sync.1".to_owned(), whole(&program)?),
        (
            "supametas-sync.toml.5".to_owned(),
            rendered(&configuration::man(SOURCE))?,
        ),
    ];
    for command in program.get_subcommands() {
        let name = format!("supametas-sync-{}.1", command.get_name());
        pages.push((name, one(command)?));
    }
    Ok(pages)
}

/// The page of the program.
fn whole(program: &Command) -> io::Result<Vec<u8>> {
    let after = program.get_after_long_help().map(ToString::to_string);
    let man = man(program.clone());
    let mut page = Vec::new();
    head(&man, &mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let mut more = Roff::new();
    for part in after.unwrap_or_default().split("\n\n") {
        let (title, rest) = part.split_once(':').unwrap_or(("Notes", part));
        more.control("SH", [title.to_uppercase().as_str()]);
        match rest.strip_prefix('\n') {
            Some(lines) => as_it_is(lines, &mut more),
            None => drop(more.text([roman(rest.trim())])),
        }
    }
    more.control("SH", ["ENVIRONMENT"]);
    for (name, said) in [
        ("SUPAMETAS_CONFIG", "The configuration, as with --config."),
        (
            "SUPAMETAS_LOG",
            "A log filter, such as debug; it beats the configured one.",
        ),
    ] {
        more.control("TP", [])
            .text([bold(name)])
            .text([roman(said)]);
    }
    more.control("SH", ["FILES"]);
    for (name, said) in [
        (DEFAULT_CONFIG, "The configuration."),
        (
            "/var/lib/supametas-sync/ledger.sqlite",
            "The ledger: where each file is, and all that happened to it.",
        ),
    ] {
        more.control("TP", [])
            .text([bold(name)])
            .text([roman(said)]);
    }
    see_also(
        &["supametas-sync.toml(5)", "systemctl(1)", "journalctl(1)"],
        &mut more,
    );
    page.extend(body(&more));
    Ok(page)
}

/// The page of a command, its examples in a section of their own.
fn one(command: &Command) -> io::Result<Vec<u8>> {
    let long = command.get_long_about().map(ToString::to_string);
    let long = long.unwrap_or_default();
    let (said, examples) = long.split_once("\nExamples:\n").unwrap_or((&long, ""));
    let man = man(command.clone().long_about(said.trim_end().to_owned()));
    let mut page = Vec::new();
    head(&man, &mut page)?;
    man.render_options_section(&mut page)?;
    let mut more = Roff::new();
    if !examples.is_empty() {
        more.control("SH", ["EXAMPLES"]);
        as_it_is(examples, &mut more);
    }
    see_also(&["supametas-sync(1)", "supametas-sync.toml(5)"], &mut more);
    page.extend(body(&more));
    Ok(page)
}

fn man(command: Command) -> Man {
    Man::new(command).source(SOURCE).manual("supametas-sync")
}

fn head(man: &Man, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)
}

fn as_it_is(lines: &str, page: &mut Roff) {
    page.control("nf", []);
    for line in lines.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

fn see_also(pages: &[&str], page: &mut Roff) {
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(pages.join(", "))]);
}

/// Without the definitions that a page has at its top once.
fn body(page: &Roff) -> Vec<u8> {
    page.to_roff().into_bytes()
}

fn rendered(page: &Roff) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    page.to_writer(&mut bytes)?;
    Ok(bytes)
}
