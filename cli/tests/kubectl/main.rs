//! What `kubectl get -o yaml` prints comes back: any string as name, value of a label or key of an annotation.
//!
//! `print` has the rules by which kubectl's YAML library chooses quotes; `testdata/cli/kubectl/` has what that library
//! printed of odd strings (`strings.json` → `printed.yaml`), and holds the rules to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod print;

use std::fs;
use std::path::{Path, PathBuf};

use ingress_waypoint_cli::input::{self, Source};
use ingress_waypoint_cli::object::{Object, Read};

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
    input::read(&[Source::Path(path)], &mut |read| {
        found.push(match read {
            Read::Object(_, Object::Service(service)) => {
                let metadata = service.metadata;
                let value = metadata.labels.and_then(|labels| labels.get("value").cloned());
                let key = metadata.annotations.and_then(|all| all.into_keys().next());
                Ok([metadata.name, value, key].map(Option::unwrap_or_default))
            }
            Read::Broken(broken) => Err(broken.reason),
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

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cli/kubectl")
}

#[test]
fn what_kubectl_printed_comes_back() {
    let strings = fs::read_to_string(folder().join("strings.json")).unwrap();
    let strings: Vec<String> = serde_json::from_str(&strings).unwrap();
    let texts = with_keys(&strings);
    let printed = fs::read_to_string(folder().join("printed.yaml")).unwrap();
    let faults = faults(&texts, &printed);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rules_of_printing_are_kubectls() {
    let strings = fs::read_to_string(folder().join("strings.json")).unwrap();
    let strings: Vec<String> = serde_json::from_str(&strings).unwrap();
    let printed = fs::read_to_string(folder().join("printed.yaml")).unwrap();
    let ours = print::list(&with_keys(&strings));
    for (line, (ours, printed)) in ours.lines().zip(printed.lines()).enumerate() {
        assert_eq!(ours, printed, "line {}", line + 1);
    }
    assert_eq!(ours, printed);
}

/// One at a time, for the larger tables of a developer.
#[test]
#[ignore = "needs a table of what Go printed"]
fn every_line_of_a_large_table() {
    let table = fs::read_to_string("/tmp/words-go/table.json").unwrap();
    let table: Vec<(String, bool, String)> = serde_json::from_str(&table).unwrap();
    let mut wrong = [0, 0];
    for (text, is_key, printed) in &table {
        let texts = [(text.as_str(), *is_key)];
        let ours = print::list(&texts);
        if ours != *printed {
            wrong[0] += 1;
            if wrong[0] < 20 {
                println!("PRINT {text:?}\n{ours:?}\n{printed:?}");
            }
        }
        let faults = faults(&texts, printed);
        if !faults.is_empty() {
            wrong[1] += 1;
            if wrong[1] < 40 {
                println!("READ {faults:?} {:?}", printed);
            }
        }
    }
    panic!("{wrong:?} of {}", table.len());
}
