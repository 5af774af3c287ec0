//! The rules, a folder of `testdata/cli/rules` each: objects in, through the built command, and out
//! come the configuration with all services, the table and what was noticed. The objects' order makes no
//! difference.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ingress-waypoint-cli --test rules` writes the expected files anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;
mod golden;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn folders() -> Vec<PathBuf> {
    golden::entries("testdata/cli/rules")
}

/// Standard output and error of `compile` for objects on standard input.
fn compile(folder: &Path, objects: &str, output: &str) -> (String, String) {
    let args = fs::read_to_string(folder.join("args")).unwrap_or_default();
    let mut child = command::program("")
        .args(["compile", "-f", "-", "-o", output, "--all-services"])
        .args(args.lines())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(objects.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let (out, err) = (command::stdout(&done), command::stderr(&done));
    let says_error = err.lines().any(|line| line.starts_with("error: "));
    assert_eq!(done.status.code(), Some(i32::from(says_error)), "{}: {err}", folder.display());
    (out, err)
}

#[test]
fn every_rule_gives_what_its_folder_says() {
    let mut failures = Vec::new();
    for folder in folders() {
        let objects = fs::read_to_string(folder.join("objects.yaml")).unwrap();
        let (config, _) = compile(&folder, &objects, "config");
        let (table, notes) = compile(&folder, &objects, "table");
        for (name, found) in [("config.json", config), ("table.txt", table), ("notes.txt", notes)] {
            failures.extend(golden::difference(&folder.join(name), &found));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_order_of_the_objects_changes_no_byte() {
    for folder in folders() {
        let objects = fs::read_to_string(folder.join("objects.yaml")).unwrap();
        let mut documents: Vec<_> = objects.split("---\n").collect();
        for output in ["config", "table"] {
            let (expected, notes) = compile(&folder, &objects, output);
            documents.reverse();
            let (found, found_notes) = compile(&folder, &documents.join("---\n"), output);
            assert_eq!(found, expected, "{}", folder.display());
            // Of copies it is said where they stand.
            if !notes.contains("given more than once") {
                assert_eq!(found_notes, notes, "{}", folder.display());
            }
        }
    }
}
