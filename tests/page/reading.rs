//! That everybody can read it: axe-core finds nothing to complain of, by day and by
//! night, on a phone and on a desk, with text at twice its size; with two thousand
//! files, whose names are of many scripts; and what those can be found by.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::{Daemon, Stage};
use crate::{at_page, listening};

/// <https://github.com/dequelabs/axe-core>; `axe/README.md` says whence.
const AXE: &str = include_str!("axe/axe.min.js");

/// What it finds, with where and why.
pub fn complaints(browser: &Browser) -> Value {
    if browser.run("return !window.axe") == true {
        browser.run(AXE);
    }
    browser.run(
        "return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => \
         violations.map(({ id, nodes }) => \
         `${id}: ${nodes.slice(0, 5).map((n) => `${n.html.slice(0, 200)} ${n.failureSummary}`).join('; ')}`))",
    )
}

/// At each width, in each scheme, with text as it is and at twice its size; `each`
/// is given a name for pictures.
pub fn in_every_way(browser: &Browser, mut each: impl FnMut(&str)) {
    for (width, device) in [(1280, "wide"), (360, "phone")] {
        for scheme in ["light", "dark"] {
            for text in [100, 200] {
                browser.look(width, scheme);
                browser.run(&format!(
                    "document.documentElement.style.fontSize = '{text}%'"
                ));
                each(&format!("{device}-{scheme}-{text}"));
            }
        }
    }
    browser.run("document.documentElement.style.fontSize = ''");
    browser.look(1280, "light");
}

const MANY: usize = 2_000;

fn name(n: usize) -> String {
    let words = [
        "報告書",
        "최종 보고서",
        "отчёт",
        "Ärger",
        "数据集",
        "تقرير",
        "रिपोर्ट",
    ];
    format!(
        "{n:04} {} {}.txt",
        words[n % words.len()],
        "長い名前".repeat(n % 9)
    )
}

async fn many() -> (Stage, Daemon) {
    let stage = listening(0).await;
    for n in 0..MANY {
        stage.drop_file(name(n), format!("words of {n}"));
    }
    let daemon = stage.start();
    daemon.until("all are through", || succeeded(&stage) == MANY as u64);
    (stage, daemon)
}

fn succeeded(stage: &Stage) -> u64 {
    let status: Value = serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
    status["totals"]["succeeded"]["files"].as_u64().unwrap_or(0)
}

/// The first row's path, and what is said of the page.
fn page_of_list(browser: &Browser) -> (String, String) {
    let first = browser.run("return document.querySelector('#list .path')?.textContent ?? ''");
    (first.as_str().unwrap().to_owned(), browser.text("#listed"))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_files_are_read_found_and_leafed_through() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_stage, daemon) = many().await;
    browser.look(1280, "light");
    at_page(&browser, &daemon, "");
    browser.until("a page of them is listed", || {
        page_of_list(&browser).1 == "1 to 100 of 2,000 files" && browser.count("#list li") == 100
    });
    in_every_way(&browser, |way| {
        assert_eq!(complaints(&browser), json!([]), "{way}");
        assert_eq!(browser.run(crate::looks::FAULTS), json!([]), "{way}");
        browser.picture(&format!("many-{way}"), false);
    });

    // By name, and on to the last page: far beyond a thousand.
    browser.choose("#by-order", "name");
    browser.until("they are in order", || {
        page_of_list(&browser).0 == format!("inbox/{}", name(0))
    });
    for page in 1..20 {
        browser.click("#next");
        let (first, last) = (page * 100 + 1, page * 100 + 100);
        let told = format!("{} to {} of 2,000 files", grouped(first), grouped(last));
        browser.until("the next page is there", || {
            page_of_list(&browser) == (format!("inbox/{}", name(page * 100)), told.clone())
        });
    }
    assert_eq!(
        browser.run("return document.querySelector('#next').disabled"),
        true
    );
    browser.click("#previous");
    browser.until("the page before is there", || {
        page_of_list(&browser).0 == format!("inbox/{}", name(1_800))
    });

    // Whatever the case, in whatever script.
    for (words, found) in [
        ("ОТЧЁТ", 286),
        ("ärger", 286),
        ("報告書", 286),
        ("1234 ", 1),
    ] {
        browser.run("document.querySelector('#clear').click()");
        browser.keys("#by-name", words);
        let told = match found {
            1 => "1 file".to_owned(),
            found => format!("1 to 100 of {found} files"),
        };
        browser.until("those are listed", || page_of_list(&browser).1 == told);
    }
    assert_eq!(daemon.terminate().code(), Some(0));
}

fn grouped(n: usize) -> String {
    match n {
        0..=999 => n.to_string(),
        _ => format!("{},{:03}", n / 1_000, n % 1_000),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_goes_through_one_function() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let daemon = stage.start();
    at_page(&browser, &daemon, "");
    for (n, of, told) in [
        ("0", "count", "0"),
        ("999", "count", "999"),
        ("1234567", "count", "1,234,567"),
        ("null", "count", "–"),
        ("undefined", "seconds", "–"),
        ("NaN", "percent", "–"),
        ("0", "bytes", "0 B"),
        ("1023", "bytes", "1,023 B"),
        ("1024", "bytes", "1.0 KiB"),
        ("10240", "bytes", "10 KiB"),
        ("1048575", "bytes", "1.0 MiB"),
        ("1572864", "bytes", "1.5 MiB"),
        ("5e15", "bytes", "4.4 PiB"),
        ("0", "seconds", "0 s"),
        ("0.0004", "seconds", "under 1 ms"),
        ("0.04", "seconds", "40 ms"),
        ("0.9996", "seconds", "1 s"),
        ("1.04", "seconds", "1 s"),
        ("3.14", "seconds", "3.1 s"),
        ("9.97", "seconds", "10 s"),
        ("59.9", "seconds", "59 s"),
        ("60", "seconds", "1 min"),
        ("61", "seconds", "1 min 1 s"),
        ("3661", "seconds", "1 h 1 min"),
        ("90000", "seconds", "1 d 1 h"),
        ("9e7", "seconds", "1,041 d 16 h"),
        ("-5", "seconds", "0 s"),
        ("99.99", "percent", "99 %"),
        ("100", "percent", "100 %"),
    ] {
        let script = format!("return import('/figures.js').then((f) => f.figure({n}, '{of}'))");
        assert_eq!(browser.run(&script), told, "{n} {of}");
    }
    assert_eq!(daemon.terminate().code(), Some(0));
}
