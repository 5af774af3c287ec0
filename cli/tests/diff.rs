//! `diff` on the folders of `testdata/cli/diff`: two configurations and what changes, as a table and
//! as JSON. `UPDATE_GOLDEN=1 cargo test` writes the results anew, to be read as a change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod golden;

use std::fs;
use std::path::PathBuf;

use anstream::adapter::strip_str;
use ingress_waypoint_cli::diff::{self, Diff, Side, exit, is_configuration};
use ingress_waypoint_cli::report::Exit;

fn folder(name: &str) -> PathBuf {
    golden::workspace().join("testdata/cli/diff").join(name)
}

fn folders() -> Vec<String> {
    golden::names("testdata/cli/diff")
}

fn side(name: &str, file: &str) -> Side {
    Side::from_json(&fs::read(folder(name).join(file)).unwrap()).unwrap()
}

fn run(name: &str) -> Diff {
    diff::run(&side(name, "old.json"), &side(name, "new.json"))
}

#[test]
fn each_folder_has_its_differences() {
    for name in folders() {
        let diff = run(&name);
        let json = serde_json::to_string_pretty(&diff).unwrap() + "\n";
        golden::golden(&folder(&name).join("diff.json"), &json);
        let text = strip_str(diff.text().as_str()).to_string();
        // The titles are as wide as their columns.
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        golden::golden(&folder(&name).join("diff.txt"), &(lines.join("\n") + "\n"));
    }
}

#[test]
fn the_exit_code_tells_whether_any_request_goes_another_way() {
    for name in folders() {
        let expected = if name == "nothing" { Exit::Done } else { Exit::LookAt };
        assert_eq!(exit(&run(&name)), expected, "{name}");
    }
}

#[test]
fn nothing_differs_from_itself() {
    for name in folders() {
        for file in ["old.json", "new.json"] {
            let diff = diff::run(&side(&name, file), &side(&name, file));
            assert!(diff.changes.is_empty() && diff.settings.is_empty());
            assert!(diff.same_path.is_empty());
            assert_eq!(exit(&diff), Exit::Done);
        }
    }
}

/// What changes one way changes the other way round, too.
#[test]
fn the_way_back_is_the_opposite() {
    for name in folders() {
        let there = run(&name);
        let back = diff::run(&side(&name, "new.json"), &side(&name, "old.json"));
        let way = |c: &diff::Change| (c.service.clone(), c.port, c.cluster.clone());
        let there_way: Vec<_> =
            there.changes.iter().map(|c| (way(c), c.old.clone(), c.new.clone())).collect();
        let back_way: Vec<_> =
            back.changes.iter().map(|c| (way(c), c.new.clone(), c.old.clone())).collect();
        assert_eq!(there_way, back_way, "{name}");
    }
}

#[test]
fn every_change_has_a_reason() {
    for name in folders() {
        for change in run(&name).changes {
            assert!(!change.why.is_empty(), "{name}: {change:?}");
        }
    }
}

#[test]
fn what_the_filter_refuses_is_refused() {
    let error = Side::from_json(br#"{"services": [{"namespace": "a", "name": "b", "vip": 1}]}"#);
    let error = format!("{:#}", error.unwrap_err());
    assert!(
        error.contains("configuration refused") && error.contains("services[0].vip"),
        "{error}"
    );
}

#[test]
fn configurations_are_told_from_objects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    let cases = [
        ("{}", true),
        (r#"{"services": []}"#, true),
        (r#"  {"forward": {"kind": 1}, "services": []}"#, true),
        (r#"{"ingressUseWaypoints": true"#, true),
        (r#"{"apiVersion": "v1", "kind": "List", "items": []}"#, false),
        (r#"{"metadata": {}, "items": []}"#, false),
        ("kind: Service\n", false),
        // A redirection that failed: the core refuses it, if objects would be none.
        ("", true),
    ];
    for (text, expected) in cases {
        fs::write(&path, text).unwrap();
        assert_eq!(is_configuration(&path).unwrap(), expected, "{text}");
    }
    assert!(!is_configuration(folder.path()).unwrap());
    assert!(is_configuration(&folder.path().join("gone")).is_err());
}
