//! Runs the built command, for several test programs.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

pub const OBJECTS: &str = "testdata/cli/explain/objects.yaml";

/// The command in a folder, whose path begins at the root of the workspace.
pub fn program(folder: impl AsRef<Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingress-waypoint"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder));
    command.env_remove("INGRESS_USE_WAYPOINTS");
    command
}

pub fn run(args: &[&str]) -> Output {
    program("").args(args).output().unwrap()
}

/// The words of a command line.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

pub fn text(args: &[&str]) -> String {
    let done = run(args);
    assert!(done.status.success(), "{args:?}: {}", stderr(&done));
    stdout(&done)
}

pub fn value(args: &[&str]) -> Value {
    serde_json::from_str(&text(&[args, &["--format", "json"]].concat())).unwrap()
}

pub fn error(args: &[&str]) -> (Option<i32>, String) {
    let done = run(args);
    assert!(done.stdout.is_empty(), "{args:?}");
    (done.status.code(), stderr(&done))
}

pub fn stdout(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

pub fn stderr(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

/// A folder for the files of a test, which goes away with the value.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    pub fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, and gives its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.at(name), text).unwrap();
        self.at(name)
    }

    /// The same with a list of objects.
    pub fn write_list(&self, name: &str, items: &[Value]) -> String {
        self.write(name, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
    }
}
