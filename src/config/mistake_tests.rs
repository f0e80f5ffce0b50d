//! The mistakes of first configurations, and what is said about each.
#![allow(clippy::unwrap_used)]

use super::testing::{BASE, Fake, load_on, machine, problems, says};

#[test]
fn what_a_first_configuration_gets_wrong_is_named() {
    // A dataset that nothing uses, but not where a folder's name of one is wrong.
    let second = "[[dataset]]\nname = 'spare'\nkey_file = '/etc/other'\n";
    let on = machine().key("/etc/other", "k-other\n");
    let said = problems(&format!("{BASE}{second}"), &on);
    assert_eq!(
        said,
        [
            "10: warning: `dataset[2]` (dataset spare) is used by no folder: nothing is sent to it; name it in the `dataset` of a [[folder]], or take it out"
        ]
    );
    let said = problems(
        &format!(
            "{}{second}",
            BASE.replace("dataset = 'main'", "dataset = 'mian'")
        ),
        &on,
    );
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("`folder[1].dataset = \"mian\"` (folder inbox)"),
        "{said:?}"
    );
    // What is around a key in its file.
    for (content, wanted) in [
        ("\"k-main\"", "in quotes"),
        ("SUPAMETAS_KEY=k-main", "a line such as NAME=KEY"),
        ("\u{feff}k-main", "byte order mark"),
        ("k-main ", "a space or tab in it, at place 7"),
    ] {
        let said = problems(BASE, &Fake::default().key("/etc/key", content));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains(wanted) && !said[0].contains("k-main"),
            "{said:?}"
        );
        assert!(
            said[0].contains("`dataset[1].key_file = \"/etc/key\"` (dataset main)"),
            "{said:?}"
        );
    }
    // The key itself, wherever and under whatever name.
    for line in ["key", "access_key", "apiKey", "secret"] {
        let text = BASE.replace(
            "key_file = '/etc/key'",
            &format!("{line} = 'sk-very-secret'"),
        );
        let said = problems(&text, &machine()).join("\n");
        assert!(
            said.contains("it is in the backups of this file now"),
            "{said}"
        );
        assert!(!said.contains("very-secret"), "{said}");
    }
    let said = problems("key = 'sk-very-secret'\n", &machine()).join("\n");
    assert!(said.contains("backups"), "{said}");
    // An address without its path.
    says(
        "[service]\nbase_url = 'https://api.supametas.ai'\n",
        &[
            "11: warning: `service.base_url = \"https://api.supametas.ai\"` has no path, so that every call goes to the top of the host; write the path that the service's page has, too: the documented one is https://api.supametas.ai/openapi/open/v1",
        ],
    );
    // One bracket too few, or too many.
    for (text, wanted) in [
        ("[folder]\nname = 'a'\n", "two brackets: [[folder]]"),
        (
            "[folder]\nname = 'a'\n[folder]\nname = 'b'\n",
            "write [[folder]], each time",
        ),
        (
            "[[folder]]\nname = 'a'\n[folder.hook]\non = ['failed']\n",
            "two brackets: [[folder.hook]]",
        ),
        ("[[service]]\nproxy = 'none'\n", "one bracket: [service]"),
        ("[log]\nformat = \u{201c}json\u{201d}\n", "plain quotes"),
    ] {
        let said = problems(text, &machine()).join("\n");
        assert!(said.contains(wanted), "{text}\n{said}");
    }
    // A folder that is a link is named with what it leads to.
    let linked = load_on(BASE, &machine().link("/srv/drop", "/mnt/nas/scans")).unwrap();
    let said = linked
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        said.contains("note: `folder[1].path = \"/srv/drop\"` (folder inbox) is a symbolic link"),
        "{said}"
    );
    assert!(
        said.contains("files are taken from /mnt/nas/scans"),
        "{said}"
    );
}
