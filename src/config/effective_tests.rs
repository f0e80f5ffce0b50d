//! What `check --effective` prints: read back, it says the same.
#![allow(clippy::unwrap_used)]
use super::super::diff;
use super::super::keys::Keys;
use super::super::raw::{RawDaemon, RawHttp, RawLog, RawPaths, RawPoll, RawRetry, RawService};
use super::super::source::keys_of;
use super::*;

const TEXT: &str = "\
[service.paths]
audio = '/sound'

[[dataset]]
name = 'd'
key_env = 'PATH'
bytes_per_second = '10 MB'

[[dataset]]
name = 'pasted'
key_env = 'sk_live_123'

[[folder]]
name = 'b'
path = '/srv/b\\n'
dataset = 'd'
quiet = '90 seconds'
exclude = ['a\"b', '[[]x]']

[[folder]]
name = 'a'
path = '/srv/a'
dataset = 'd'
unconfirmed = 'hold'
after = 'move'
[folder.text]
custom_keys = [{ key = 'k', desc = 'a \"desc\"' }]
extra_extensions = ['log']
[folder.text.extra]
'odd name' = { deep = [1, 2.5] }
[[folder.hook]]
on = ['attention']
command = ['/bin/true', 'a']

[[error]]
on = '409'
verdict = 'retry'
limit = 5
";

fn read(text: &str) -> Config {
    Config::read(Path::new("/etc/c.toml"), text, Keys::NotNeeded, &Machine)
        .unwrap()
        .config
}

fn effective(text: &str) -> String {
    written(Path::new("/etc/c.toml"), text, &read(text), &Machine)
}

#[test]
fn it_can_be_read_back_and_says_the_same() {
    let shown = effective(TEXT);
    // What is hidden has to be put back by whoever knows it.
    let again = shown.replace("#key_env =  #", "key_env = 'sk_live_123' #");
    let (before, after) = (read(TEXT), read(&again));
    assert_eq!(diff(&before, &after), Vec::<String>::new(), "{shown}");
    let bare = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split("  # ").next().unwrap_or("").to_owned())
            .collect()
    };
    assert_eq!(bare(&shown), bare(&effective(&again)));
}

#[test]
fn it_says_where_each_value_is_from_and_hides_what_may_be_a_key() {
    let shown = effective(TEXT);
    for line in [
        "audio = \"/sound\"  # line 2",
        "key_env = \"PATH\"  # line 6",
        "bytes_per_second = \"10MB\"  # line 7",
        "concurrency = 8  # default",
        "max_concurrent = 40  # default",
        "quiet = \"90s\"  # line 17",
        "unconfirmed = \"hold\"  # line 24",
        "unconfirmed = \"resend\"  # default",
        "\"odd name\" = { deep = [1, 2.5] }  # line 30",
        "limit = 5  # line 38",
    ] {
        assert!(shown.lines().any(|l| l == line), "no {line}\n{shown}");
    }
    assert!(!shown.contains("sk_live"), "{shown}");
}

#[test]
fn no_key_is_left_out() {
    let shown = effective(TEXT);
    let keys = [
        keys_of::<RawService>(),
        keys_of::<RawPaths>(),
        keys_of::<RawDaemon>(),
        keys_of::<RawRetry>(),
        keys_of::<RawPoll>(),
        keys_of::<RawLog>(),
        keys_of::<RawHttp>(),
        keys_of::<RawDataset>(),
        keys_of::<RawFolder>(),
        keys_of::<RawRoute>(),
        keys_of::<RawHook>(),
        keys_of::<RawHttp>(),
        keys_of::<RawError>(),
    ]
    .concat();
    assert!(keys.len() > 50, "{keys:?}");
    for key in keys {
        // The others are places of a key that are not in use.
        if ["key", "key_file", "credential"].contains(&key.as_str()) {
            continue;
        }
        let named = |l: &str| {
            let l = l.trim_start_matches('#');
            l.starts_with(&format!("{key} =")) || l.contains(&format!(".{key}]"))
        };
        let table = key == "paths";
        assert!(
            table || shown.lines().any(named),
            "{key} is left out\n{shown}"
        );
    }
}
