//! What changes a fingerprint, what doesn't, and what a reload says.
#![allow(clippy::unwrap_used)]

use super::diff;
use super::testing::{BASE, load_on, machine, with};
use super::valid::Config;
use crate::domain::gate::GateKey;
use crate::domain::ids::{DatasetName, FolderName, Route};
use crate::domain::media::Media;

fn gates() -> [GateKey; 4] {
    let route = |media| {
        GateKey::Route(Route {
            folder: FolderName("inbox".into()),
            media,
        })
    };
    [
        GateKey::Service,
        GateKey::Dataset(DatasetName("main".into())),
        route(Media::Text),
        route(Media::Image),
    ]
}

/// Which of service, dataset, text route and image route differ.
fn changed(a: &Config, b: &Config) -> [bool; 4] {
    gates().map(|gate| a.gate_fingerprint(&gate) != b.gate_fingerprint(&gate))
}

fn other_key() -> Config {
    load_on(BASE, &machine().key("/etc/key", "k-other"))
        .unwrap()
        .config
}

#[test]
fn a_gate_sees_its_own_settings_only() {
    let base = with("");
    for (more, expected) in [
        ("", [false; 4]),
        (
            "quiet = '5s'\nafter = 'delete'\n[log]\nfilter = 'debug'\n[retry]\nbackoff_base = '2s'\n",
            [false; 4],
        ),
        ("[service]\nanswer_timeout = '1h'\n", [false; 4]),
        (
            "[service]\nbase_url = 'https://example.org/v2'\n",
            [true; 4],
        ),
        (
            "[service]\npaths.text = '/texts'\n",
            [true, false, true, false],
        ),
        (
            "[service]\npaths.query = '/tasks'\n",
            [true, false, false, false],
        ),
        (
            "[folder.text]\nformat = 'markdown'\n",
            [false, false, true, false],
        ),
        ("[folder.text.extra]\nx = 1\n", [false, false, true, false]),
        (
            "[folder.text]\nformat = 'json'\ntitle = true\nextra_extensions = ['log']\n",
            [false; 4],
        ),
        (
            "[folder.image]\ncustom_keys = [{ key = 'a', desc = 'b' }]\n",
            [false, false, false, true],
        ),
    ] {
        assert_eq!(changed(&base, &with(more)), expected, "{more}");
    }
    assert_eq!(changed(&base, &other_key()), [false, true, false, false]);
    for gate in gates() {
        let print = base.gate_fingerprint(&gate);
        assert!(
            print.len() == 16 && print.bytes().all(|b| b.is_ascii_hexdigit()),
            "{print}"
        );
    }
}

#[test]
fn what_is_gone_has_another_fingerprint() {
    let base = with("");
    let gone = load_on(&BASE.replace("inbox", "other"), &machine())
        .unwrap()
        .config;
    assert_eq!(changed(&base, &gone), [false, false, true, true]);
}

#[test]
fn duplicates_depend_on_the_options() {
    let print = |config: &Config, media| {
        config.folders[&FolderName("inbox".into())].options_fingerprint(media)
    };
    let (base, other) = (with(""), with("[folder.text]\ntitle = false\n"));
    assert_ne!(print(&base, Media::Text), print(&other, Media::Text));
    assert_eq!(print(&base, Media::Image), print(&other, Media::Image));
    // The same options for two kinds are two things.
    assert_ne!(print(&base, Media::Audio), print(&base, Media::Video));
    let elsewhere = with("[service]\nbase_url = 'https://example.org/'\n");
    assert_eq!(print(&base, Media::Text), print(&elsewhere, Media::Text));
}

#[test]
fn options_are_compared_whatever_their_order() {
    let a = with("[folder.text.extra]\na = 1\nb = { c = 1, d = 2 }\n");
    let b = with("[folder.text.extra]\nb = { d = 2, c = 1 }\na = 1\n");
    assert_eq!(changed(&a, &b), [false; 4]);
    assert!(diff(&a, &b).is_empty());
}

#[test]
fn a_reload_is_told_in_words() {
    let old = with("");
    assert_eq!(diff(&old, &old), Vec::<String>::new());
    let new = load_on(
        &format!("{}\nafter = 'move'\nquiet = '90s'\nexclude = ['*.bak']\n[folder.text.extra]\ntoken = 'sk-1'\n[folder.web]\nextensions = ['url']\n[service]\nbase_url = 'https://example.org/v2'\n[daemon]\nledger = '/l.sqlite'\npoll_every = '2m'\n[[error]]\non = '409'\nlimit = 9\n[[dataset]]\nname = 'second'\nkey_file = '/etc/two'\n[log]\nfilter = 'debug'\n", BASE.replace("'main'\nkey", "'main'\nrequests_per_second = 2\nkey")),
        &machine().key("/etc/key", "k-new").key("/etc/two", "k-two"),
    )
    .unwrap()
    .config;
    let said = diff(&old, &new);
    assert_eq!(
        said,
        [
            "service: base_url changed from https://api.supametas.ai/openapi/open/v1 to https://example.org/v2",
            "the ledger moved from /var/lib/supametas-sync/ledger.sqlite to /l.sqlite: takes effect at the next start",
            "the log settings changed: they take effect at the next start",
            "poll_every changed from 30s to 2m",
            "the error table changed: `supametas-sync errors` shows it",
            "dataset main: the Access-Key changed",
            "dataset main: requests_per_second changed from no limit to 2",
            "dataset second: added",
            "folder inbox: quiet changed from 1s to 90s",
            "folder inbox: quiet_unsure changed from 10s to 90s",
            "folder inbox: the patterns of names (include, exclude, temporary) changed",
            "folder inbox: after changed from keep to move",
            "folder inbox: the options of text changed",
            "folder inbox: the extensions of web changed",
        ]
    );
    let back = diff(&new, &old);
    assert!(back.contains(&"dataset second: removed".to_owned()));
    let all = said.join(" ") + &back.join(" ");
    assert!(!all.contains("k-new") && !all.contains("k-main") && !all.contains("sk-1"));
}

#[test]
fn what_becomes_of_a_lost_answer_is_told_in_the_words_of_the_keys() {
    let [resend, hold, rarely] = [
        "",
        "unconfirmed = 'hold'",
        "[retry]\nunconfirmed_resends = 1\nunconfirmed_wait = '2m'",
    ]
    .map(with);
    let to_hold = ["folder inbox: unconfirmed changed from resend to hold"];
    assert_eq!(diff(&resend, &hold), to_hold);
    let to_rarely = [
        "folder inbox: unconfirmed_resends changed from 3 to 1",
        "folder inbox: unconfirmed_wait changed from 1m to 2m",
    ];
    assert_eq!(diff(&resend, &rarely), to_rarely);
}

/// Whoever wrote `concurrency` alone meant it as the most.
#[test]
fn concurrency_alone_is_the_most_too() {
    for (written, at_once) in [
        ("", (8, 40)),
        ("concurrency = 4", (4, 4)),
        ("concurrency = 40", (40, 40)),
        ("max_concurrent = 3", (3, 3)),
        ("max_concurrent = 64", (8, 64)),
        ("concurrency = 2\nmax_concurrent = 5", (2, 5)),
    ] {
        let text = BASE.replace("[[dataset]]\n", &format!("[[dataset]]\n{written}\n"));
        let config = load_on(&text, &machine()).unwrap().config;
        let dataset = &config.datasets[&DatasetName("main".into())];
        assert_eq!(
            (dataset.concurrency, dataset.max_concurrent),
            at_once,
            "{written}"
        );
    }
}

/// Every key with a value that is not its default: a key that a reload would
/// bring into force without a word is missing from `diff`.
#[test]
fn no_key_changes_in_silence() {
    let old = with("");
    let of_dataset = [
        "concurrency = 5",
        "max_concurrent = 9",
        "polls_per_second = 1",
        "requests_per_second = 1",
        "bytes_per_second = '1MiB'",
    ];
    let of_folder = [
        "recursive = false",
        "include = ['*.pdf']",
        "exclude = ['*.pdf']",
        "watch = 'poll'",
        "one_file_system = false",
        "owner_sign = false",
        "max_size = '1GiB'",
        "quiet = '2s'",
        "quiet_unsure = '20s'",
        "unclosed_wait = '2h'",
        "incomplete_wait = '20s'",
        "writers = 'share'",
        "duplicates = 'upload'",
        "unconfirmed = 'hold'",
        "resubmit_failed = 1",
        "after = 'delete'",
        "on_reject = 'move'",
        "done_dir = '/srv/done'",
        "rejected_dir = '/srv/bad'",
        "text.format = 'markdown'",
        "text.title = false",
        "text.content_details = false",
        "image.get_image_text = false",
        "audio.custom_keys = [{ key = 'a', desc = 'b' }]",
        "video.extensions = ['mp4']",
        "web.extra_extensions = ['link']",
        "web.extra.x = 1",
    ];
    let elsewhere = [
        "[service]\nbase_url = 'https://example.org'",
        "[service]\nconnect_timeout = '11s'",
        "[service]\nstall_timeout = '11s'",
        "[service]\nanswer_timeout = '11s'",
        "[service]\nidle_timeout = '11s'",
        "[service]\nproxy = 'none'",
        "[service]\nproxy = 'http://proxy.example'",
        "[service.paths]\ntext = '/x'",
        "[service.paths]\nweb = '/x'",
        "[service.paths]\nquery = '/x'",
        "[service.paths]\ndelete = '/x'",
        "[daemon]\nledger = '/x.sqlite'",
        "[daemon]\nshutdown_grace = '11s'",
        "[daemon]\nrescan_every = '11s'",
        "[daemon]\npoll_every = '11s'",
        "[retry]\nbackoff_base = '11s'",
        "[retry]\nbackoff_cap = '11s'",
        "[retry]\ngive_up_after = '11d'",
        "[retry]\nunconfirmed_resends = 11",
        "[retry]\nunconfirmed_wait = '11s'",
        "[poll]\nfirst = '11s'",
        "[poll]\nmax = '11s'",
        "[log]\nfilter = 'debug'",
        "[log]\nformat = 'json'",
        "[[error]]\non = '429'\npause_max = '11m'",
    ];
    let texts = (of_dataset
        .iter()
        .map(|k| BASE.replace("'/etc/key'\n", &format!("'/etc/key'\n{k}\n"))))
    .chain(
        of_folder
            .iter()
            .chain(&elsewhere)
            .map(|more| format!("{BASE}{more}\n")),
    );
    for text in texts {
        let new = load_on(&text, &machine())
            .unwrap_or_else(|e| panic!("{e}"))
            .config;
        let said = diff(&old, &new);
        assert!(!said.is_empty(), "nothing is said about\n{text}");
    }
}
