//! Runs the built command, for several test programs.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

pub const OBJECTS: &str = "testdata/cli/explain/objects.yaml";

pub fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ingress-waypoint"))
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env_remove("INGRESS_USE_WAYPOINTS")
        .output()
        .unwrap()
}

pub fn text(args: &[&str]) -> String {
    let done = run(args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

pub fn value(args: &[&str]) -> Value {
    serde_json::from_str(&text(&[args, &["--format", "json"]].concat())).unwrap()
}

pub fn error(args: &[&str]) -> (Option<i32>, String) {
    let done = run(args);
    assert!(done.stdout.is_empty(), "{args:?}");
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}
