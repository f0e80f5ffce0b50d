//! Wrong configurations, and exactly what is said about each.
#![allow(clippy::unwrap_used)]

use super::keys::Keys;
use super::problem::Severity;
use super::surroundings::Look;
use super::testing::{BASE, Fake, load, load_on, machine, problems, says, with};
use super::valid::Config;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::lifecycle::{AfterSuccess, OnUnconfirmed};
use crate::domain::media::Media;

#[test]
fn a_minimal_configuration_has_sane_defaults() {
    let loaded = load(BASE).unwrap();
    let config = loaded.config;
    assert_eq!(
        config.service.base_url.as_str(),
        "https://api.supametas.ai/openapi/open/v1"
    );
    assert_eq!(config.service.paths[&Media::Text], "/file-task");
    assert_eq!(
        config.ledger.to_str(),
        Some("/var/lib/supametas-sync/ledger.sqlite")
    );
    let folder = &config.folders[&FolderName("inbox".into())];
    assert!(folder.recursive && folder.include.is_none());
    assert_eq!(folder.max_size, 2 << 30);
    assert_eq!(folder.done_dir.to_str(), Some("/srv/drop/.supametas-done"));
    assert_eq!(folder.policy.after, AfterSuccess::Keep);
    assert_eq!(
        folder.policy.unconfirmed,
        OnUnconfirmed::Resend {
            times: 3,
            first: std::time::Duration::from_secs(60),
        }
    );
    assert_eq!(
        serde_json::to_string(&folder.options[&Media::Text]).unwrap(),
        r#"{"contentDetails":1,"getDemandFormat":"1","title":1}"#
    );
    assert_eq!(
        serde_json::to_string(&folder.options[&Media::Image]).unwrap(),
        r#"{"getDemandFormat":"1","getImageText":1}"#
    );
    assert_eq!(
        config.datasets[&DatasetName("main".into())].key.expose(),
        "k-main"
    );
    // Assumed endpoints are named, and nothing else is said.
    let notes: Vec<_> = loaded
        .warnings
        .iter()
        .map(|p| (p.severity, p.key.as_str()))
        .collect();
    let note = |key| (Severity::Note, key);
    assert_eq!(notes, [note("service.paths")]);
    let said = loaded.warnings[0].to_string();
    for path in [
        "audio = \"/audio-task\"",
        "video = \"/video-task\"",
        "web = \"/web-task\"",
    ] {
        assert!(said.contains(path), "{said}");
    }
    let known = "[service]\nacknowledge_assumed_paths = true\n";
    assert!(load(&format!("{BASE}{known}")).unwrap().warnings.is_empty());
    let known = "[service.paths]\naudio = '/a'\nvideo = '/v'\nweb = '/w'\n";
    assert!(load(&format!("{BASE}{known}")).unwrap().warnings.is_empty());
}

#[test]
fn the_ledger_is_in_systemds_state_directory() {
    let on = machine().var("STATE_DIRECTORY", "/var/lib/a:/var/lib/b");
    let config = load_on(BASE, &on).unwrap().config;
    assert_eq!(config.ledger.to_str(), Some("/var/lib/a/ledger.sqlite"));
}

#[test]
fn everything_at_once() {
    let text = "\
[service]
base_url = 'http://example.org/v1'
answer_timeout = '120'
paths.text = 'file-task'
[daemon]
ledgr = 'x'
[retry]
backoff_base = '20m'
unconfirmed_resends = -1
[log]
filter = 'a=b=c'
format = 'xml'
[[dataset]]
name = 'Main'
key = 'sk-12345'
concurrency = 65
bytes_per_second = '10m'
[[dataset]]
name = 'other'
key_file = '/etc/key'
key_env = 'K'
polls_per_second = 0
[[folder]]
name = 'a'
path = 'drop'
dataset = 'othr'
max_size = '2G'
after = 'mov'
exclude = ['ok', '[']
[folder.text]
format = 'xml'
title = false
content_details = false
[folder.audio]
title = true
extra_extensions = ['pdf', 'a/b']
[[folder]]
name = 'a'
dataset = 'Main'
quiet = '1 fortnight'
[[error]]
on = 'no-conection'
[[error]]
on = 'no-connection'
verdict = 'done'
";
    let time = "write a number and a unit: \"500ms\", \"10s\", \"15m\" (minutes), \"6h\", \"1d\" or \"1h 30m\"";
    let size = "write a number and a unit: \"64MiB\" or \"2GiB\" (steps of 1024), \"64MB\" or \"2GB\" (steps of 1000), or \"512B\"";
    assert_eq!(
        problems(text, &machine()),
        [
            "2: error: `service.base_url = \"http://example.org/v1\"` would send the Access-Key and the files unencrypted; use https, or name the host in `allow_http_hosts` if the network between is yours",
            &format!("3: error: `service.answer_timeout = \"120\"` has no unit; {time}"),
            "4: error: `service.paths.text = \"file-task\"` is not the path of an endpoint; write what comes behind the base URL, with a slash in front, such as \"/file-task\"",
            "6: error: `daemon.ledgr` is not a key of this table; did you mean `ledger`?",
            "8: error: `retry.backoff_base = \"20m\"` makes the longest wait shorter than the first; make `backoff_cap` at least as long as `backoff_base`",
            "9: error: `retry.unconfirmed_resends = -1` is not a whole number of 0 or more; write a number without quotes",
            "11: error: `log.filter = \"a=b=c\"` is not a log filter; write a level (error, warn, info, debug, trace), or \"info,supametas_sync::watch=debug\"",
            "12: error: `log.format = \"xml\"` is not one of the words that belong here; write one of \"auto\", \"human\", \"json\", \"journald\"",
            "14: error: `dataset[1].name = \"Main\"` is not a usable name; use 1 to 64 of the characters a-z, 0-9, - and _",
            "15: error: `dataset[1].key` holds the Access-Key itself; replace that key in the service's console, since it is in the backups of this file now; put the new one alone into a file that only the daemon's user can read, and name that file with `key_file` (or use `credential`, or `key_env`)",
            "16: error: `dataset[1].concurrency = 65` is out of range; write a number from 1 to 64",
            &format!(
                "17: error: `dataset[1].bytes_per_second = \"10m\"` has a unit that can be read in two ways; {size}"
            ),
            "18: error: `dataset[2]` (dataset other) names more than one place for its Access-Key; name the key's place with exactly one of `key_file`, `key_env` and `credential`",
            "22: error: `dataset[2].polls_per_second = 0` (dataset other) is not a usable rate; write a number a second between 0.001 and 10000",
            "25: error: `folder[1].path = \"drop\"` (folder a) is not an absolute path; write the full path, beginning with / (`~` and variables are not resolved)",
            "26: error: `folder[1].dataset = \"othr\"` (folder a) is not the name of a dataset; did you mean \"other\"?",
            &format!(
                "27: error: `folder[1].max_size = \"2G\"` (folder a) has a unit that can be read in two ways; {size}"
            ),
            "28: error: `folder[1].after = \"mov\"` (folder a) is not one of the words that belong here; did you mean \"move\"?",
            "29: error: `folder[1].exclude[2] = \"[\"` (folder a) is not a pattern: unclosed character class; missing ']'; use *, ?, [abc], {a,b} and **; put a backslash before one that is meant as itself",
            "30: error: `folder[1].text` (folder a) asks for nothing: the service would refuse every file with OPS40003; set `title` or `content_details` to true, or add one of `custom_keys`",
            "31: error: `folder[1].text.format = \"xml\"` (folder a) is not one of the words that belong here; write one of \"json\", \"markdown\"",
            "35: error: `folder[1].audio.title = true` (folder a) is an option for text, not for audio; move it to the table of text; to send it all the same, write `title` under [folder.audio.extra]",
            "36: error: `folder[1].audio.extra_extensions` (folder a) holds an extension that text has too; let each extension be in one list only; `extensions` of text can leave it out",
            "36: error: `folder[1].audio.extra_extensions` (folder a) holds something that is not a file name extension; write them like \"pdf\" or \"docx\"",
            "37: error: `folder[2].path` (folder a) is missing; write the full path of the directory that files are dropped into",
            "38: error: `folder[2].name = \"a\"` is the name of folder[1] already; give each folder a name of its own",
            &format!(
                "40: error: `folder[2].quiet = \"1 fortnight\"` (folder a) is not a number with a unit; {time}"
            ),
            "42: error: `error[1].on = \"no-conection\"` is no answer that is known; did you mean \"no-connection\"?",
            "43: error: `error[2]` would count files as imported that the service does not have; use \"retry\" or \"hold\"",
        ]
    );
}

#[test]
fn an_empty_file_says_what_is_needed() {
    let said = problems("", &machine());
    assert_eq!(
        said,
        [
            "error: `dataset` is missing: nothing says where files go; add a [[dataset]] with a `name` and a `key_file`",
            "error: `folder` is missing: nothing says which files to take; add a [[folder]] with `name`, `path` and `dataset`",
        ]
    );
}

#[test]
fn the_errors_as_a_whole() {
    let errors = load("[log]\nx = 1\n").unwrap_err();
    assert_eq!(errors.errors(), 3);
    let text = errors.to_string();
    assert!(
        text.starts_with("c.toml can't be used: 3 errors\nc.toml"),
        "{text}"
    );
    assert!(
        text.contains("\nc.toml:2: error: `log.x` is not a key"),
        "{text}"
    );
}

#[test]
fn a_pasted_key_is_never_repeated() {
    let secret = "sk-S3cr3tV4lue-9f8e7d6c";
    let places = [
        "[service]\nbase_url = 'KEY'\n",
        "[service]\nbase_url = 'https://KEY@example.org/'\n",
        "[service]\nbase_url = 'https://example.org/?key=KEY'\n",
        "[service]\npaths.text = 'KEY'\nallow_http_hosts = 'KEY'\n",
        "[service]\nstall_timeout = 'KEY'\n",
        "[daemon]\nledger = 'KEY'\n",
        "[log]\nfilter = 'a=KEY=1'\nformat = 'KEY'\n",
        "[retry]\nunconfirmed_resends = 'KEY'\n",
        "KEY = 1\n",
        "[KEY]\nx = 1\n",
        "[log]\nKEY = 'KEY'\n",
        "key = 'KEY'\n",
        "access_key = KEY\n",
        "access_key = 'KEY\n",
        "KEY = 1\nKEY = 2\n",
        "[KEY]\n[KEY]\n",
        "x = 'a' KEY\n",
        "x = 0xKEY\n",
        "x = \"\\KEY\"\n",
        "x = { KEY = 1, KEY = 2 }\n",
        "KEY\n",
        "[log]\nfilter = 'a'\nfilter = 'KEY'\n",
        "[[dataset]]\nname = 'KEY'\n",
        "[[dataset]]\nname = 'a'\nkey = 'KEY'\n",
        "[[dataset]]\nname = 'a'\nkey_file = 'KEY'\n",
        "[[dataset]]\nname = 'a'\nkey_file = '/KEY'\n",
        "[[dataset]]\nname = 'a'\nkey_env = 'KEY'\n",
        "[[dataset]]\nname = 'a'\ncredential = 'KEY'\n",
        "[[dataset]]\nname = 'a'\nconcurrency = 'KEY'\nbytes_per_second = 'KEY'\n",
        "[[folder]]\nname = 'KEY'\npath = 'KEY'\ndataset = 'KEY'\nafter = 'KEY'\ninclude = ['[KEY']\n",
        "[[folder]]\nrecursive = 'KEY'\nquiet = 'KEY'\nmax_size = 'KEY'\n",
        "[[folder]]\n[folder.text]\nformat = 'KEY'\nextensions = ['KEY/']\ncustom_keys = 'KEY'\n",
        "[[folder]]\n[folder.text]\nextra = 'KEY'\n",
        "[[folder]]\n[folder.web.extra]\nKEY = 1979-05-27\n",
        "[[error]]\non = 'KEY'\nverdict = 'KEY'\nlimit = 'KEY'\n",
    ];
    let on = machine().var("CREDENTIALS_DIRECTORY", "/run/creds");
    for place in places {
        let text = place.replace("KEY", secret);
        let errors = load_on(&text, &on).unwrap_err();
        let shown = format!("{errors}\n{errors:?}").to_lowercase();
        for part in ["s3cr3t", "9f8e7d6c", "v4lue"] {
            assert!(!shown.contains(part), "{place}\n{errors}");
        }
    }
}

#[test]
fn a_command_that_only_looks_needs_no_key() {
    let nobody = Fake::default();
    let text = format!(
        "{BASE}[[dataset]]\nname = 'b'\ncredential = 'b'\n[[folder]]\nname = 'f'\npath = '/srv/b'\ndataset = 'b'\n"
    );
    assert!(load_on(&text, &nobody).is_err());
    let path = std::path::Path::new("c.toml");
    let loaded = Config::read(path, &text, Keys::NotNeeded, &nobody).unwrap();
    assert_eq!(loaded.config.datasets.len(), 2);
    assert!(loaded.warnings.iter().all(|p| p.severity == Severity::Note));
}

#[test]
fn a_good_key_shows_nowhere() {
    let loaded = load(BASE).unwrap();
    assert!(!format!("{loaded:?}").contains("k-main"));
}

#[test]
fn plain_http_is_for_this_machine_and_named_hosts() {
    for host in ["127.0.0.1:9000", "127.8.8.8", "localhost:1", "[::1]:9000"] {
        let config = with(&format!("[service]\nbase_url = 'http://{host}/v1/'\n"));
        assert_eq!(
            config.service.base_url.as_str(),
            format!("http://{host}/v1")
        );
    }
    let named =
        "[service]\nbase_url = 'http://Gate.internal/v1'\nallow_http_hosts = ['gate.internal']\n";
    assert_eq!(
        with(named).service.base_url.host_str(),
        Some("gate.internal")
    );
    for (url, what) in [
        ("http://localhost.example.org/", "unencrypted"),
        ("http://10.0.0.1/", "unencrypted"),
        ("ftp://example.org/", "neither https nor http"),
        ("https://me:pw@example.org/", "user name or password"),
        ("https://example.org/?a=1", "behind its path"),
        ("example.org", "is not a URL"),
    ] {
        let text = format!("{BASE}[service]\nbase_url = '{url}'\n");
        let said = problems(&text, &machine());
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("11: error: `service.base_url") && said[0].contains(what),
            "{said:?}"
        );
    }
}

#[test]
fn options_reach_the_service_unchanged() {
    let config = with(
        "\
[folder.text]
format = 'markdown'
title = false
custom_keys = [{ key = 'author', desc = 'who wrote it' }]
[folder.text.extra]
language = 'zh'
depth = { max = 3, ratio = 0.5, on = true, list = ['a', 1] }
[folder.audio]
extra_extensions = ['.M4A']
[folder.image]
extensions = []
get_image_text = false
",
    );
    let folder = &config.folders[&FolderName("inbox".into())];
    let sent: serde_json::Value = folder.options[&Media::Text].clone().into();
    assert_eq!(
        sent,
        serde_json::json!({
            "getDemandFormat": "2", "title": 0, "contentDetails": 1,
            "customKeys": [{ "key": "author", "desc": "who wrote it" }],
            "language": "zh",
            "depth": { "max": 3, "ratio": 0.5, "on": true, "list": ["a", 1] },
        })
    );
    assert_eq!(folder.types[&Media::Audio], ["mp3", "wav", "m4a"]);
    assert!(folder.types[&Media::Image].is_empty());
}

#[test]
fn options_that_would_be_refused() {
    says(
        "[folder.image]\nget_image_text = false\n",
        &[
            "10: warning: `folder[1].image` (folder inbox) asks for no field that is documented: the service may refuse every file with OPS40003; switch a field on, or add one of `custom_keys`",
        ],
    );
    says(
        "[folder.text]\nformat = 'json'\n[folder.text.extra]\ngetDemandFormat = '3'\n",
        &[
            "12: error: `folder[1].text.extra` (folder inbox) says `getDemandFormat`, and so does `format`; take one of the two out",
        ],
    );
    says(
        "[folder.text.extra]\ngetDemandFormat = '3'\n",
        &[
            "10: warning: `folder[1].text.extra` (folder inbox) sets `getDemandFormat`, which is sent as written and not checked; use `format` unless the service has values that it does not know",
        ],
    );
    says(
        "[folder.text]\ncustom_keys = [{ key = 'a' }, { key = 'b', desc = 'x' }, { key = 'b', desc = 'y' }]\nextra.when = 1979-05-27\n",
        &[
            "11: error: `folder[1].text.custom_keys[1]` (folder inbox) needs both `key` and `desc`; write { key = \"author\", desc = \"who wrote it\" }",
            "11: error: `folder[1].text.custom_keys[3]` (folder inbox) asks for a key a second time; take one of the two out",
            "12: error: `folder[1].text.extra.when` (folder inbox) holds a date or a number that JSON does not know; write it in quotes, as the service expects it",
        ],
    );
    // With no extension nothing is sent, so nothing can be refused.
    says(
        "[folder.text]\nextensions = []\ntitle = false\ncontent_details = false\n",
        &[],
    );
}

#[test]
fn nothing_lies_in_what_is_watched() {
    let folder = |name: &str, path: &str, more: &str| {
        format!("[[folder]]\nname = '{name}'\npath = '{path}'\ndataset = 'main'\n{more}")
    };
    says(
        &folder("b", "/srv/drop/./", ""),
        &[
            "12: error: `folder[2].path = \"/srv/drop/./\"` (folder b) is the directory of folder inbox too; give each folder a directory of its own: a file can't go to two places",
        ],
    );
    says(
        &folder("b", "/srv/drop/x", ""),
        &[
            "12: error: `folder[2].path = \"/srv/drop/x\"` (folder b) lies inside folder inbox: its files would be taken twice; take it out of there, or set `recursive = false` for the outer one",
        ],
    );
    says(
        &folder("b", "/srv", ""),
        &[
            "12: error: `folder[2].path = \"/srv\"` (folder b) contains folder inbox: its files would be taken twice; name another directory, or set `recursive = false` for this one",
        ],
    );
    says(&folder("b", "/srv", "recursive = false\n"), &[]);
    says(&folder("b", "/srv/dropped", ""), &[]);
    says(
        "[daemon]\nledger = '/srv/drop/state/ledger.sqlite'\n",
        &[
            "11: error: `daemon.ledger = \"/srv/drop/state/ledger.sqlite\"` puts the ledger into folder inbox, which would upload it; keep the ledger elsewhere, such as /var/lib/supametas-sync/ledger.sqlite",
        ],
    );
    says("[daemon]\nledger = '/srv/ledger.sqlite'\n", &[]);
    says(
        "after = 'move'\ndone_dir = '/srv/drop/done'\n",
        &[
            "11: error: `folder[1].done_dir = \"/srv/drop/done\"` (folder inbox) lies inside folder inbox, which would take the moved files again; choose a directory outside of all folders, or one whose name begins with a dot",
        ],
    );
    says(
        "after = 'move'\ndone_dir = '/srv/drop/.done'\non_reject = 'move'\n",
        &[],
    );
    says(
        "rejected_dir = '/srv/bad'\n",
        &[
            "10: warning: `folder[1].rejected_dir = \"/srv/bad\"` (folder inbox) is not used; set `on_reject = \"move\"` to move files there, or take it out",
        ],
    );
    // Behind a symlink it is the same directory.
    let text = format!("{BASE}{}", folder("b", "/mnt/link", ""));
    let said = problems(&text, &machine().link("/mnt/link", "/srv/drop"));
    assert_eq!(said.len(), 1, "{said:?}");
    // A key would be uploaded.
    let text = BASE.replace("/etc/key", "/srv/drop/key.txt");
    let said = problems(&text, &machine().key("/srv/drop/key.txt", "k"));
    assert_eq!(
        said,
        [
            "4: error: `dataset[1].key_file = \"/srv/drop/key.txt\"` (dataset main) lies in folder inbox: the Access-Key would be uploaded; keep the key file elsewhere, such as /etc/supametas-sync/keys/"
        ]
    );
}

#[test]
fn the_disk_only_warns() {
    let directory = |readable, writable| Look::Directory {
        readable,
        writable,
        only_owners: false,
    };
    for (look, more, what) in [
        (Look::Missing, "", "does not exist"),
        (Look::NotADirectory, "", "is not a directory"),
        (
            Look::Refused("no right".into()),
            "",
            "can't be looked at: no right",
        ),
        (directory(false, true), "", "can't be read by this user"),
        (
            directory(true, false),
            "after = 'delete'\n",
            "can't be written by this user",
        ),
        (
            directory(true, false),
            "on_reject = 'move'\n",
            "can't be written by this user",
        ),
    ] {
        let text = format!("{BASE}{more}");
        let on = machine().look("/srv/drop", look);
        let loaded = load_on(&text, &on).unwrap();
        let warnings: Vec<_> = loaded
            .warnings
            .iter()
            .filter(|p| p.severity == Severity::Warning)
            .collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(
            (warnings[0].line, warnings[0].key.as_str()),
            (Some(8), "folder[1].path")
        );
        assert!(
            warnings[0].what.starts_with(what) && !warnings[0].remedy.is_empty(),
            "{warnings:?}"
        );
    }
    let on = machine().look("/srv/drop", directory(true, false));
    assert!(
        problems(BASE, &on).is_empty(),
        "reading is enough to keep files"
    );
    let text = format!("{BASE}after = 'move'\ndone_dir = '/mnt/done'\n");
    let said = problems(&text, &machine().device("/mnt", 2));
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("11: warning: `folder[1].done_dir = \"/mnt/done\"` (folder inbox) is on another file system"),
        "{said:?}"
    );
    let on = Fake::default().open_key("/etc/key", "k");
    assert_eq!(
        problems(BASE, &on),
        [
            "4: warning: `dataset[1].key_file = \"/etc/key\"` (dataset main) names a file that every user of this machine can read; chmod 600 the file, and give it to the daemon's user"
        ]
    );
    let same = "[[dataset]]\nname = 'twin'\nkey_file = '/etc/key'\n";
    says(
        same,
        &[
            "10: warning: `dataset[2]` (dataset twin) has the same Access-Key as the dataset main; use one [[dataset]] for both: the service sees one, and limits and pauses count for each",
            "10: warning: `dataset[2]` (dataset twin) is used by no folder: nothing is sent to it; name it in the `dataset` of a [[folder]], or take it out",
        ],
    );
}

#[test]
fn a_real_file_on_a_real_disk() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("drop")).unwrap();
    std::fs::write(at("key"), "k-real\n").unwrap();
    std::fs::set_permissions(at("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = BASE
        .replace("/etc/key", at("key").to_str().unwrap())
        .replace("/srv/drop", at("drop").to_str().unwrap());
    std::fs::write(at("c.toml"), &text).unwrap();
    let loaded = Config::load(&at("c.toml")).unwrap();
    assert_eq!(
        loaded.config.datasets[&DatasetName("main".into())]
            .key
            .expose(),
        "k-real"
    );
    let warned: Vec<_> = loaded
        .warnings
        .iter()
        .filter(|p| p.severity == Severity::Warning)
        .collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(warned[0].key, "dataset[1].key_file");

    let missing = Config::load(&at("none.toml")).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("none.toml: error: can't be read: "),
        "{missing}"
    );
    std::fs::write(at("c.toml"), b"\xff\xfe").unwrap();
    let binary = Config::load(&at("c.toml")).unwrap_err();
    assert!(binary.to_string().contains("is UTF-16 text"), "{binary}");
}
