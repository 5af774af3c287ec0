//! Exit codes and streams of `check` and `diff`, as a pipeline sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::fs;
use std::process::{Command, Output};

use command::{Folder, program, stderr, stdout, words};
use serde_json::Value;

/// Runs a line of words in `testdata/cli`.
fn run(line: &str) -> Output {
    program("testdata/cli").args(words(line)).output().unwrap()
}

fn code(line: &str) -> i32 {
    run(line).status.code().unwrap()
}

#[test]
fn check_exits_by_the_worst_finding() {
    for (name, plain, strict) in [
        ("clean", 0, 0),
        ("label-overrides-namespace", 0, 0),
        ("session-affinity", 0, 1),
        ("label-not-boolean", 2, 2),
    ] {
        let check = format!("check -f check/{name}/objects.yaml");
        assert_eq!(code(&check), plain, "{name}");
        assert_eq!(code(&format!("{check} --strict")), strict, "{name}, --strict");
    }
}

#[test]
fn check_reports_a_broken_object_and_still_checks_the_others() {
    // The expected findings beside the objects are not a Kubernetes object.
    let output = run("check -f check/session-affinity");
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("warning session-affinity"), "{output:?}");
    let broken = "error: check/session-affinity/findings.json, document 1";
    assert!(stderr(&output).starts_with(broken), "{output:?}");
}

const CHANGE: &str = "diff diff/services/old.json diff/services/new.json";

#[test]
fn diff_exits_with_1_for_a_change_and_with_2_for_no_answer() {
    assert_eq!(code(CHANGE), 1);
    assert_eq!(code("diff diff/nothing/old.json diff/nothing/new.json"), 0);
    let missing = run("diff diff/nothing/old.json diff/nothing/missing.json");
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stdout.is_empty());
    assert!(stderr(&missing).contains("diff/nothing/missing.json"));
}

#[test]
fn reports_for_programs_are_json_and_nothing_else() {
    for line in ["check -f check/label-not-boolean/objects.yaml", CHANGE] {
        let output = run(&format!("{line} --format json"));
        serde_json::from_slice::<Value>(&output.stdout).unwrap();
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn nothing_is_made_of_no_objects() {
    let folder = Folder::new();
    let config = folder.write("config.json", "as it was");
    for text in ["", "apiVersion: v1\nkind: List\nitems: []\n", "apiVersion: v1\nkind: Secret\n"] {
        let empty = folder.write("empty.yaml", text);
        let output = run(&format!("compile -f {empty} --out {config}"));
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(stderr(&output).contains("no objects"), "{text}");
        assert_eq!(fs::read_to_string(&config).unwrap(), "as it was");
        assert_eq!(code(&format!("check -f {empty}")), 2, "{text}");
    }
}

/// A template that was not rendered, a picture, an object that is cut off: none says that all is well.
#[test]
fn nothing_is_not_found_where_nothing_was_read() {
    let folder = Folder::new();
    let template = "{{- range .Values.x }}\napiVersion: v1\nkind: Service\nmetadata: {name: {{ . }}}\n{{- end }}\n";
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {}\n";
    for text in [template, "\u{0}\u{1}", "{\"kind\": \"Service\"", "a: [", route, "kind: Service\n"]
    {
        let file = folder.write("objects.yaml", text);
        for command in ["check", "check --format json", "compile -o table", "compile", "explain a"]
        {
            let output = run(&format!("{command} -f {file}"));
            assert_eq!(output.status.code(), Some(2), "{text:?}: {command}");
            assert!(output.stdout.is_empty(), "{text:?}: {command}");
            let said = stderr(&output);
            assert!(said.contains("no objects of the mesh were read"), "{text:?}: {said}");
        }
    }
}

#[test]
fn check_says_what_it_could_not_use() {
    let folder = Folder::new();
    let broken = folder.write("broken.yaml", "a: [\n---\nkind: Service\n");
    let unusable = "2 objects could not be used (see the errors); ";
    for (name, last) in [
        ("clean", "the others have no findings\n"),
        ("session-affinity", "in the others: 1 warning\n"),
    ] {
        let check = format!("check -f check/{name}/objects.yaml -f {broken}");
        let output = run(&check);
        assert_eq!(output.status.code(), Some(2));
        let text = stdout(&output);
        assert!(text.ends_with(&format!("{unusable}{last}")), "{text}");
        assert!(!text.contains("nothing found"), "{text}");
        let json = run(&format!("{check} --format json")).stdout;
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["unusable"], 2);
    }
}

#[test]
fn a_broken_object_leaves_the_file_as_it_was() {
    let folder = Folder::new();
    let config = folder.write("config.json", "as it was");
    // The expected findings beside the objects are not a Kubernetes object.
    let compile = format!("compile -f check/clean --out {config}");
    let output = run(&compile);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--despite-errors"));
    assert_eq!(fs::read_to_string(&config).unwrap(), "as it was");
    assert_eq!(code(&format!("{compile} --despite-errors")), 1);
    assert!(fs::read_to_string(&config).unwrap().contains("\"services\""));
}

#[test]
fn explain_does_not_take_the_shell_for_the_proxy() {
    let explain = words("explain shop/cart --as service --config diff/nothing/old.json");
    let mut command = program("testdata/cli");
    let output = command.args(explain).env("INGRESS_USE_WAYPOINTS", "maybe").output().unwrap();
    let stdout = stdout(&output);
    assert!(stdout.contains("waypoint (labelled)"), "{stdout}");
    assert!(stdout.contains("assumed to be on"), "{stdout}");
}

#[test]
fn what_programs_read_goes_out_as_it_is() {
    let folder = Folder::new();
    let envoy = folder.write("envoy.json", "{\"a\": \"x\\u007fy\\u001b[1mz\"}");
    let output = run(&format!("patch --remove {envoy}"));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["a"], "x\u{7f}y\u{1b}[1mz");
}

#[test]
fn copies_are_named_in_any_order_of_reading() {
    let folder = Folder::new();
    let write = |name: &str, ip: &str| {
        let metadata = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}";
        folder.write(name, format!("{metadata}\nspec: {{clusterIP: {ip}}}\n"))
    };
    let files =
        [write("1.yaml", "10.0.0.1"), write("2.yaml", "10.0.0.1"), write("3.yaml", "10.0.0.2")];
    let check = |order: [usize; 3]| {
        let [one, two, three] = order.map(|i| files[i].as_str());
        stdout(&run(&format!("check -f {one} -f {two} -f {three}")))
    };
    let found = check([0, 1, 2]);
    assert!(files.iter().all(|file| found.contains(file.as_str())), "{found}");
    for order in [[2, 1, 0], [0, 2, 1], [1, 2, 0]] {
        assert_eq!(check(order), found);
    }
}

/// What selects nothing is misspelt, and would be missed in silence.
#[test]
fn arguments_that_name_nothing_are_warned_about() {
    let said = |line: &str| stderr(&run(&format!("{line} -f check/clean/objects.yaml")));
    for (command, option) in [
        ("compile", "--required app=typo"),
        ("check", "--required app=typo"),
        ("check", "--gateway ingress/typo"),
        ("check", "--gateway-pods app=typo"),
    ] {
        let said = said(&format!("{command} {option}"));
        assert!(said.contains(&format!("warning: {option}: no ")), "{command} {option}: {said}");
    }
    assert_eq!(said("check"), "");
}

#[test]
fn diff_reads_what_a_shell_hands_it() {
    let program = env!("CARGO_BIN_EXE_ingress-waypoint");
    let sides = "<(cat diff/services/old.json) <(cat diff/services/new.json)";
    let output = Command::new("bash")
        .args(["-c", &format!("{program} diff {sides}")])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/cli"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(output.stdout, run(CHANGE).stdout);
}
