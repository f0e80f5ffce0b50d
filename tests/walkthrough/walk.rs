//! What a step of the walk is made of: commands are run and written to the page
//! together, so that the page has nothing that was not typed and read.
//!
//! Must not: know the steps.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::machine::{Machine, Said, Who};
use crate::page::Page;
use crate::support::http::by_tcp;

/// Where the page has the service.
const ADDRESS: &str = "127.0.0.1:8399";

/// The configuration file.
pub const CONFIG: &str = "/etc/supametas-sync/config.toml";

/// The machine, and the record of what is done on it.
pub struct Walk {
    pub machine: Machine,
    page: Page,
    /// Where the search for the next log line begins.
    logged: usize,
}

impl Walk {
    /// At its beginning.
    pub fn new(machine: Machine) -> Walk {
        Walk {
            machine,
            page: Page::new(crate::steps::INTRODUCTION),
            logged: 0,
        }
    }

    /// At its end: the record.
    pub fn end(mut self) -> Page {
        self.page.end_section();
        self.page
    }

    /// Begins a step.
    pub fn step(&mut self, title: &str) {
        self.page.heading(title);
    }

    /// A paragraph.
    pub fn say(&mut self, text: &str) {
        self.page.prose(text);
    }

    /// Somebody types a command line, and reads what it prints.
    pub fn types(&mut self, who: Who, command: &str) -> String {
        let said = self.run(who, command);
        self.page.console(command, &said.text, said.code);
        said.text
    }

    /// The same, once it prints what is waited for: until then it is run again
    /// and again, and its answers are not kept.
    pub fn reads(&mut self, command: &str, awaited: &[&str]) -> String {
        let mut said = self.run(Who::Service, command);
        self.machine
            .until(&format!("{awaited:?} in {command:?}"), || {
                said = self.run(Who::Service, command);
                let all = awaited.iter().all(|part| said.text.contains(part));
                if !all && std::env::var_os("WALKTHROUGH_WAITS").is_some() {
                    eprintln!("{command}: {}", said.text);
                }
                all
            });
        self.page.console(command, &said.text, said.code);
        said.text
    }

    /// Waits until a command prints this, without a word on the page.
    pub fn awaits(&self, command: &str, part: &str) {
        self.machine.until(&format!("{part:?} in {command:?}"), || {
            self.run(Who::Service, command).text.contains(part)
        });
    }

    /// root changes lines of the configuration. Each is there once.
    pub fn edits(&mut self, changes: &[(&str, &str)]) {
        let path = self.machine.path(CONFIG);
        let mut text = fs::read_to_string(&path).unwrap();
        let mut diff = String::new();
        for (from, to) in changes {
            let whole = |line: &str| format!("\n{line}\n");
            assert_eq!(text.matches(&whole(from)).count(), 1, "{from:?}");
            text = text.replace(&whole(from), &whole(&self.real(to)));
            let both = from.lines().zip(to.lines());
            let same = both.take_while(|(from, to)| from == to).count();
            for (sign, lines, skip) in [(" ", &from, 0), ("-", &from, same), ("+", &to, same)] {
                let count = if sign == " " { same } else { usize::MAX };
                for line in lines.lines().skip(skip).take(count) {
                    diff.push_str(&format!("{sign}{line}\n"));
                }
            }
        }
        fs::write(&path, text).unwrap();
        self.page.block("diff", &diff);
    }

    /// The next line of the log, after those shown so far, that has this in it.
    pub fn logs(&mut self, part: &str) {
        let mut found = None;
        self.machine.until(&format!("{part:?} in the log"), || {
            let log = self.machine.log();
            let rest = &log[self.logged..];
            found = rest.find(part).and_then(|at| {
                let start = rest[..at].rfind('\n').map_or(0, |n| n + 1);
                let end = at + rest[at..].find('\n')?;
                Some((rest[start..end].to_owned(), self.logged + end))
            });
            found.is_some()
        });
        let (line, at) = found.unwrap();
        self.logged = at;
        let line = self.shown(&line);
        self.page.block("text", &line);
    }

    /// systemd starts the daemon.
    pub fn starts(&mut self) {
        self.machine.start_daemon();
        self.page
            .console("systemctl start supametas-sync", "", Some(0));
    }

    /// systemd stops the daemon.
    pub fn stops(&mut self) {
        self.machine.stop_daemon();
        self.page
            .console("systemctl stop supametas-sync", "", Some(0));
    }

    /// Anna has a file to be dropped.
    pub fn anna_has(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.machine.path(&format!("/srv/anna/{name}"));
        fs::write(&path, content).unwrap();
        let anna = crate::support::users::DROPPER;
        chown(&path, Some(anna.uid), Some(anna.gid)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// The emulated service misbehaves so from now on; `[]`: no more.
    pub fn faults(&self, json: &str) {
        let at = self.machine.service_address();
        let answer = by_tcp(&at, "POST", "/_sandbox/faults", "", json);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The emulated service's list of tasks.
    pub fn tasks(&self) -> serde_json::Value {
        let at = self.machine.service_address();
        by_tcp(&at, "GET", "/_sandbox/tasks", "", "").json()
    }

    /// How often a file of this name arrived at the emulated service.
    pub fn arrived(&self, name: &str) -> usize {
        let at = self.machine.service_address();
        let uploads = by_tcp(&at, "GET", "/_sandbox/uploads", "", "").json();
        let uploads = uploads.as_array().unwrap();
        uploads.iter().filter(|u| u["file_name"] == name).count()
    }

    fn run(&self, who: Who, command: &str) -> Said {
        let said = self.machine.run(who, &self.real(command));
        Said {
            text: self.shown(&said.text),
            code: said.code,
        }
    }

    /// With the port that the service has in this run.
    fn real(&self, text: &str) -> String {
        text.replace(ADDRESS, &self.machine.service_address())
    }

    /// With the port that it has on the page.
    fn shown(&self, text: &str) -> String {
        text.replace(&self.machine.service_address(), ADDRESS)
    }
}
