//! What `kubectl get -o yaml` prints comes back: any string as name, value of a label or key of an annotation.
//!
//! `print` has the rules by which kubectl's YAML library chooses quotes; `testdata/cli/kubectl/` has what that library
//! printed of odd strings (`strings.json` → `printed.yaml`), and holds the rules to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod print;

use std::fs;
use std::path::Path;

use mesh::object::Object;
use proptest::prelude::*;
use source::{Read, Source};

/// JSON, which Go prints as YAML by way of, takes no longer key.
const KEY: usize = 1000;

fn with_keys(texts: &[String]) -> Vec<(&str, bool)> {
    texts.iter().map(|text| (text.as_str(), text.len() < KEY && text != "<<")).collect()
}

/// The strings of a list of Services: name, label, key.
fn read(text: &str) -> Vec<Result<[String; 3], String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("printed.yaml");
    fs::write(&path, text).unwrap();
    let mut found = Vec::new();
    source::read(&[Source::Path(path)], &mut |read| {
        found.push(match read {
            Read::Object(_, Object::Service(service)) => {
                let metadata = service.metadata;
                let value = metadata.labels.and_then(|labels| labels.get("value").cloned());
                let key = metadata.annotations.and_then(|all| all.into_keys().next());
                Ok([metadata.name, value, key].map(Option::unwrap_or_default))
            }
            Read::Diagnostic(_, found) => Err(found.to_string()),
            other => Err(format!("{other:?}")),
        });
    })
    .unwrap();
    found
}

fn faults(texts: &[(&str, bool)], printed: &str) -> Vec<String> {
    let found = read(printed);
    let mut faults = Vec::new();
    if found.len() != texts.len() {
        faults.push(format!("{} objects of {}", found.len(), texts.len()));
    }
    for ((text, is_key), found) in texts.iter().zip(found) {
        let key = if *is_key { text } else { "key" };
        let expected = [text, text, key].map(str::to_owned);
        if found.as_ref() != Ok(&expected) {
            faults.push(format!("{text:?}: {found:?}"));
        }
    }
    faults
}

/// Odd strings, and what Go's `sigs.k8s.io/yaml` 1.6.0 printed of the list that [`print::list`] makes of them.
fn table() -> (Vec<String>, String) {
    let file = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cli/kubectl");
        fs::read_to_string(folder.join(name)).unwrap()
    };
    (serde_json::from_str(&file("strings.json")).unwrap(), file("printed.yaml"))
}

#[test]
fn what_kubectl_printed_comes_back() {
    let (strings, printed) = table();
    let faults = faults(&with_keys(&strings), &printed);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rules_of_printing_are_kubectls() {
    let (strings, printed) = table();
    let ours = print::list(&with_keys(&strings));
    for (line, (ours, printed)) in ours.lines().zip(printed.lines()).enumerate() {
        assert_eq!(ours, printed, "line {}", line + 1);
    }
    assert_eq!(ours, printed);
}

/// A list that is too large to be parsed whole is cut into its items.
#[test]
fn a_large_list_comes_back() {
    let (strings, _) = table();
    let strings: Vec<_> = strings.iter().cycle().take(25_000).cloned().collect();
    let texts = with_keys(&strings);
    let printed = print::list(&texts);
    assert!(printed.len() > 4 << 20, "{}", printed.len());
    let faults = faults(&texts, &printed);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Strings that a reader may take for something else, and those that are hard to print.
fn odd() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", ".inf", ".nan",
        "-.inf", "~", "<<",
    ]);
    // In any case: nO, tRUE.
    let word = (word, any::<u32>()).prop_map(|(word, upper)| {
        let case = |(i, c): (usize, char)| match upper >> i & 1 {
            0 => c,
            _ => c.to_ascii_uppercase(),
        };
        word.chars().enumerate().map(case).collect::<String>()
    });
    let alone =
        "#'\"\\{}[],&*!|>%@`é🦀 :\n\n\t\r\u{a0}\u{2028}\u{2029}\u{feff}\u{200b}\u{202e}\u{1}\u{1b}";
    let longer = ["a", "bc", "long-word", "  ", ": ", " #", "- ", "? ", "---", "...", "日本"];
    let longer = longer.into_iter().map(str::to_owned);
    let piece = prop::sample::select(Vec::from_iter(alone.chars().map(String::from).chain(longer)));
    let pieces = prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat());
    prop_oneof![
        2 => word,
        2 => "[-+]?[0-9]{1,4}([eE._:x][-+]?[0-9a-f]{0,4}){0,3}",
        1 => "0[xXoObB][-_0-9a-fA-F]{0,20}",
        1 => "[-+.0-9_eE]{1,8}",
        1 => "[0-9]{15,30}(e[0-9]{1,4})?",
        1 => "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9:.Z+-]{0,14})?",
        1 => "[0-9]{1,3}(:[0-9]{1,2}){1,3}",
        1 => "[ -~]{0,12}",
        4 => pieces,
        1 => "([ -~]{1,20} ?){1,60}",
        2 => any::<String>(),
    ]
    // What YAML has no way to hold as it is, so that kubectl does not print it: by way of JSON it gets lost or is
    // refused.
    .prop_map(|text| text.replace(|c| matches!(c, '\u{7f}'..='\u{9f}'), ""))
    .prop_map(|text| text.replace(['\u{fffe}', '\u{ffff}'], ""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_string_comes_back(texts in prop::collection::vec(odd(), 1..8)) {
        let texts = with_keys(&texts);
        let printed = print::list(&texts);
        let faults = faults(&texts, &printed);
        prop_assert!(faults.is_empty(), "{}\n{:?}", faults.join("\n"), printed);
    }
}
