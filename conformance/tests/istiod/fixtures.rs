//! Every fixture of the repository.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::workspace;

use super::around::{completed, names, text};
use super::comparison::{Outcome, compare};
use super::differences::{Differences, shown};
use super::istiod;

/// All YAML files with objects below `testdata/`, but for those that test the reading of files.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("cli/input") && !path.ends_with("cli/kubectl") {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|it| it == "yaml") {
            found.push(path);
        }
    }
}

fn objects(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
    };
    let read: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let items = read.into_iter().flat_map(|it| match it["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![it],
    });
    items.filter(|it| it["kind"].is_string()).collect()
}

/// Objects that an API server refuses, as the test with a real one found.
fn refused() -> Vec<String> {
    let file = workspace().join("conformance/tests/api_server/refused.txt");
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// Whether an API server can have it. The other test runs on fixtures that are almost always possible; `rules` has more.
fn is_possible(object: &Value) -> bool {
    let list = |pointer: &str| {
        let list = object.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str)
    };
    let (namespace, name) = names(object);
    let is_name = |name: &str| {
        name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-.".contains(&it))
    };
    if !is_name(namespace) || namespace.contains('.') || !is_name(name) {
        return false;
    }
    match text(object, "/kind") {
        // istiod ends itself when it sees another address.
        "Service" => {
            let is_possible = |ip: &str| matches!(ip, "" | "None") || ip.parse::<IpAddr>().is_ok();
            let mut ips = list("/spec/clusterIPs").chain([text(object, "/spec/clusterIP")]);
            ips.all(is_possible) && !name.contains('.')
        }
        "ServiceEntry" => list("/spec/hosts").all(|host| host != "*"),
        _ => true,
    }
}

#[test]
fn every_fixture_is_decided_as_istio_decides() {
    let (known, refused) = (Differences::read(), refused());
    let testdata = workspace().join("testdata");
    let mut found = Vec::new();
    files(&testdata, &mut found);
    found.sort();
    let mut names_of_files = Vec::new();
    let mut sets = Vec::new();
    for file in found {
        let name = file.strip_prefix(&testdata).unwrap().display().to_string();
        let mut objects = objects(&file);
        objects.retain(|it| {
            let (namespace, object) = names(it);
            let name = format!("{name}: {} {namespace}/{object}", text(it, "/kind"));
            !refused.contains(&name) && is_possible(it)
        });
        if !objects.is_empty() {
            names_of_files.push(name);
            sets.push(completed(objects));
        }
    }
    let mut all = Outcome::default();
    let mut wrong = String::new();
    for ((name, objects), answer) in names_of_files.iter().zip(&sets).zip(istiod::ask(&sets)) {
        assert_eq!(answer.error, "", "{name}");
        let outcome = compare(objects, &answer, &known);
        for refused in &answer.refused {
            println!("{name}: {}", refused.why);
        }
        if !outcome.unknown.is_empty() {
            wrong += &format!("{name}\n{}", shown(&outcome.unknown));
        }
        all.add(outcome);
    }
    println!("{} fixtures: {all}", sets.len());
    assert!(wrong.is_empty(), "{all}\n{wrong}");
    assert!(all.decisions > 500, "{all}");
}
