//! A FIFO, a device or a socket is neither input nor output: it is refused at once, wherever a file is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

use command::{Folder, stderr};

const OBJECTS: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

/// Runs a line of the shell, and ends it where it waits.
fn shell(folder: &Path, line: &str) -> Output {
    let line = line.replace("BIN", env!("CARGO_BIN_EXE_ingress-waypoint"));
    Command::new("timeout").args(["20", "bash", "-c", &line]).current_dir(folder).output().unwrap()
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("objects.yaml", OBJECTS);
    folder.write("envoy.yaml", "static_resources: {listeners: []}\n");
    folder.write("config.json", "{}");
    assert!(Command::new("mkfifo").arg(folder.at("fifo")).status().unwrap().success());
    drop(UnixListener::bind(folder.at("socket")).unwrap());
    folder
}

#[test]
fn what_is_not_a_regular_file_is_refused_and_not_waited_for() {
    let folder = folder();
    for (file, what) in
        [("fifo", "is a FIFO"), ("socket", "is a socket"), ("/dev/zero", "is a device")]
    {
        for command in [
            "compile -f FILE",
            "compile -f objects.yaml -f FILE",
            "check -f FILE",
            "explain shop/a -f FILE",
            "explain shop/a --config FILE",
            "diff FILE config.json",
            "diff config.json FILE",
            "patch FILE --config config.json",
            "patch FILE --remove",
            "patch envoy.yaml --config FILE",
            "compile -f objects.yaml --mesh-config FILE",
            "compile -f objects.yaml --out FILE",
        ] {
            let command = format!("BIN {}", command.replace("FILE", file));
            let done = shell(folder.path(), &command);
            let said = stderr(&done);
            assert_eq!(done.status.code(), Some(2), "{command}: {said}");
            assert!(said.contains(file) && said.contains(what), "{command}: {said}");
            assert!(done.stdout.is_empty(), "{command}");
        }
    }
    assert!(!fs::metadata(folder.at("fifo")).unwrap().is_file(), "it was replaced");
}

#[test]
fn a_folder_with_a_fifo_is_refused() {
    let folder = folder();
    fs::create_dir(folder.at("in")).unwrap();
    folder.write("in/a.yaml", OBJECTS);
    // No manifest by its name.
    fs::rename(folder.at("fifo"), folder.at("in/pipe")).unwrap();
    let done = shell(folder.path(), "BIN compile -f in");
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    fs::rename(folder.at("in/pipe"), folder.at("in/b.yaml")).unwrap();
    for command in ["BIN compile -f in", "BIN check -f in", "BIN diff config.json in"] {
        let done = shell(folder.path(), command);
        let said = stderr(&done);
        assert_eq!(done.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains("in/b.yaml: is a FIFO, not a regular file"), "{command}: {said}");
    }
}

/// Pipes that the shell has opened are the user's own, as standard input is.
#[test]
fn what_the_shell_hands_over_is_read() {
    let folder = folder();
    for command in [
        "BIN compile -f <(cat objects.yaml)",
        "cat objects.yaml | BIN compile -f -",
        "cat objects.yaml | BIN compile -f /dev/stdin",
        "BIN compile -f /proc/self/fd/0 < objects.yaml",
        "BIN compile -f /dev/fd/7 7< objects.yaml",
        "BIN diff <(echo '{}') <(echo '{}')",
        "BIN diff <(cat objects.yaml) objects.yaml",
        "echo '{}' | BIN diff - config.json",
        "BIN explain --config <(echo '{}') a",
        "BIN patch <(cat envoy.yaml) --remove",
    ] {
        let done = shell(folder.path(), command);
        assert_eq!(done.status.code(), Some(0), "{command}: {}", stderr(&done));
        assert!(!done.stdout.is_empty(), "{command}");
    }
}

/// A regular file is moved into the place of what has the name.
#[test]
fn standard_output_is_not_replaced_by_a_file() {
    let folder = folder();
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        for to in ["| cat", "> out.json"] {
            let compile = format!("BIN compile -f objects.yaml --out {name} {to}");
            let done = shell(folder.path(), &format!("set -o pipefail; {compile}"));
            let said = stderr(&done);
            assert_eq!(done.status.code(), Some(2), "{name} {to}: {said}");
            assert!(said.contains("moved into its place"), "{name} {to}: {said}");
        }
    }
}
