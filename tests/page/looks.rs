//! That the page can be read: on a phone and on a desk, by day and by night.

use std::fs;

use supametas_sync::sandbox::Fault;

use crate::browser::Browser;
use crate::reading::complaints;
use crate::support::{Daemon, Stage, words};
use crate::{assert_quiet, at_page, listening, row};

/// Elements that stick out to the side, texts of too little contrast (WCAG 2.2,
/// 1.4.3: 4.5 to 1; 3 to 1 where they are large), and words that nobody would say.
pub const FAULTS: &str = r#"
const faults = [];
const wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) faults.push(`the page is ${document.documentElement.scrollWidth} wide, not ${wide}`);
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
function behind(node) {
  for (; node; node = node.parentElement) {
    const colour = rgba(getComputedStyle(node).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255];
}
const top = document.querySelector("dialog[open]") ?? document.body;
for (const node of top.querySelectorAll("*")) {
  const box = node.getBoundingClientRect();
  if (!node.checkVisibility() || box.width === 0 || node.closest(".skip")) continue;
  if (box.right > wide + 1 || box.left < -1) faults.push(`${node.tagName}.${node.className} from ${box.left} to ${box.right}`);
  if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
  const style = getComputedStyle(node);
  const [one, two] = [light(rgba(style.color)), light(behind(node))].sort((a, b) => b - a);
  const contrast = (one + 0.05) / (two + 0.05);
  const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
  if (contrast < least) faults.push(`${node.tagName}.${node.className} "${node.textContent.slice(0, 30)}": contrast ${contrast.toFixed(2)}`);
}
for (const words of [/`/, /\b0\.0 /, /NaN|undefined|null|\[object/]) {
  const said = words.exec(document.body.innerText);
  if (said) faults.push(`it says ${document.body.innerText.slice(Math.max(0, said.index - 40), said.index + 40)}`);
}
return faults;
"#;

/// One of everything.
async fn scene() -> (Stage, Daemon) {
    let stage = listening(0).await.set(|s| {
        s.main("bytes_per_second = \"256KiB\"");
        s.folders[0].0 = "inbox".into();
        s.folder("scans", "main", "watch = \"poll\"");
        s.folder("archive", "main", "");
    });
    fs::remove_dir(stage.path("archive")).unwrap();
    let faults = "[[fault]]\nfile = \"contract-*\"\nstatus = 422\nmessage = \"page 3 can't be read\"\n\n\
        [[fault]]\nfile = \"minutes.md\"\noutcome = \"FAIL\"\n\n\
        [[fault]]\nroute = \"image\"\ncode = \"OPS40001\"\nmessage = \"getDemandFormat is invalid\"\n";
    let sandbox = &stage.sandbox;
    sandbox
        .set_faults(Fault::from_toml(faults).unwrap())
        .unwrap();
    let daemon = stage.start();
    for name in [
        "contract-2026.txt",
        "minutes.md",
        "notes.txt",
        "2026/11/annual report, final.txt",
    ] {
        stage.drop_file(name, format!("the words of {name}\n").repeat(300));
    }
    stage.drop_file("letter.doc", "\u{1}");
    let long = format!("{}.txt", "a-name-without-any-end-".repeat(9));
    stage.drop_file(&long, "words");
    stage.publish(&stage.path("scans/page-0001.txt"), "scanned");
    let picture = include_bytes!("../samples/gradient.png");
    stage.drop_file("logo.png", picture);
    daemon.until("the small ones have ended", || {
        let states = stage.states();
        states.get("succeeded") == Some(&4) && states.get("failed") == Some(&1)
    });
    daemon.until("a gate is closed", || {
        stage.said(&["status"]).contains("PAUSED")
    });
    stage.drop_file("lecture.txt", words(7, 60 << 20));
    (stage, daemon)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_read_at_every_width_by_day_and_by_night() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (stage, daemon) = scene().await;
    browser.look(1280, "light");
    let origin = at_page(&browser, &daemon, "");
    browser.until("all of it is there", || {
        browser.count("#list li") == 9 && browser.count("#wire progress") == 1
    });
    browser.until("the upload moves", || {
        browser.run("return document.querySelector('#wire progress').value > 0.02") == true
    });
    // How far it is, how fast, and how long the queue lasts.
    browser.until("it is foretold when it is through", || {
        let told = browser.text("#wire .far");
        [" of 60 MiB, ", "KiB/s", "about ", " left"]
            .iter()
            .all(|words| told.contains(words))
    });
    browser.until(
        "so it is for the queue, and what is on the wire counts",
        || {
            let told = browser.text("#lately");
            told.contains("To send") && told.contains(" · about ") && !told.contains(" 0 B sent")
        },
    );
    let rejected = row(&stage, "contract-2026.txt");
    for (width, name) in [(1280, "wide"), (768, "tablet"), (360, "phone")] {
        for scheme in ["light", "dark"] {
            browser.look(width, scheme);
            for part in [
                "h1",
                "#headline",
                "#tiles",
                "#lately",
                "#charts svg",
                "#needs",
                "#wire",
                "#folders",
                "#list",
                "footer",
            ] {
                assert!(browser.shows(part), "{part} at {width}");
            }
            assert_eq!(
                browser.run(FAULTS),
                serde_json::json!([]),
                "{width} {scheme}"
            );
            assert_eq!(
                complaints(&browser),
                serde_json::json!([]),
                "{width} {scheme}"
            );
            browser.picture(&format!("{name}-{scheme}"), true);
            browser.click(&rejected);
            browser.until("the story opens", || browser.shows("#story .events li"));
            assert_eq!(
                browser.run(FAULTS),
                serde_json::json!([]),
                "{width} {scheme}, a story"
            );
            assert_eq!(
                complaints(&browser),
                serde_json::json!([]),
                "{width} {scheme}, a story"
            );
            browser.picture(&format!("{name}-{scheme}-story"), false);
            browser.press('\u{e00c}');
            browser.until("it closes", || !browser.shows("#story"));
        }
    }
    let dark = "return getComputedStyle(document.body).backgroundColor";
    let night = browser.run(dark);
    browser.look(360, "light");
    assert_ne!(browser.run(dark), night);
    // Order and names for who does not see it.
    let heads = "return [...document.querySelectorAll('h1, h2, h3')].filter(h => h.checkVisibility()).map(h => +h.tagName[1]).reduce((was, level) => level > was + 1 ? 99 : level, 0)";
    assert!(
        browser.run(heads).as_u64().unwrap() < 4,
        "a level of headings is left out"
    );
    let nameless = "return [...document.querySelectorAll('button, input, select, a')].filter(n => n.checkVisibility() && !(n.ariaLabel || n.innerText.trim() || n.labels?.length)).length";
    assert_eq!(browser.run(nameless), 0);
    assert_quiet(&browser, &origin);
    daemon.kill9();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_page_says_what_to_do() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let stage = listening(0).await;
    let daemon = stage.start();
    browser.look(360, "light");
    let origin = at_page(&browser, &daemon, "");
    browser.until("the list is known to be empty", || {
        browser.shows("#list-none")
    });
    assert!(
        browser
            .text("#list-none")
            .contains("Put one into a drop folder")
    );
    assert_eq!(browser.text("#headline"), "All is well; nothing waits");
    assert!(browser.shows("#wire-none") && !browser.shows("#needs"));
    assert_eq!(browser.run(FAULTS), serde_json::json!([]));
    browser.picture("phone-empty", true);
    assert_quiet(&browser, &origin);
    assert_eq!(daemon.terminate().code(), Some(0));
}
