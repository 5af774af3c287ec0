//! Every fixture of the repository.

use std::fs;
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
        if path.is_dir() && !path.ends_with("cli/input") {
            files(&path, found);
        } else if path.extension().is_some_and(|it| it == "yaml") {
            found.push(path);
        }
    }
}

fn objects(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let read: Vec<Value> = serde_saphyr::from_multiple(&text)
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
            !refused.contains(&format!("{name}: {} {namespace}/{object}", text(it, "/kind")))
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
