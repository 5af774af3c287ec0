//! Exit codes and streams of `check` and `diff`, as a pipeline sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the command in `testdata/cli`.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ingress-waypoint"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cli"))
        .output()
        .unwrap()
}

fn code(arguments: &[&str]) -> i32 {
    run(arguments).status.code().unwrap()
}

#[test]
fn check_exits_by_the_worst_finding() {
    let objects = |name: &str| format!("check/{name}/objects.yaml");
    for (name, plain, strict) in
        [("clean", 0, 0), ("session-affinity", 0, 1), ("label-not-boolean", 2, 2)]
    {
        assert_eq!(code(&["check", "-f", &objects(name)]), plain, "{name}");
        assert_eq!(code(&["check", "--strict", "-f", &objects(name)]), strict, "{name}, --strict");
    }
}

#[test]
fn check_reports_a_broken_object_and_still_checks_the_others() {
    // The expected findings beside the objects are no Kubernetes object.
    let output = run(&["check", "-f", "check/session-affinity"]);
    assert_eq!(output.status.code(), Some(2));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("warning session-affinity"), "{stdout}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: check/session-affinity/findings.json, document 1"),
        "{stderr}"
    );
}

#[test]
fn diff_exits_with_1_for_a_change_and_with_2_for_no_answer() {
    let services = ["diff", "diff/services/old.json", "diff/services/new.json"];
    assert_eq!(code(&services), 1);
    assert_eq!(code(&["diff", "diff/nothing/old.json", "diff/nothing/new.json"]), 0);
    let missing = run(&["diff", "diff/nothing/old.json", "diff/nothing/missing.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stdout.is_empty());
    assert!(String::from_utf8(missing.stderr).unwrap().contains("diff/nothing/missing.json"));
}

#[test]
fn reports_for_programs_are_json_and_nothing_else() {
    for arguments in [
        ["check", "-f", "check/label-not-boolean/objects.yaml"].as_slice(),
        &["diff", "diff/services/old.json", "diff/services/new.json"],
    ] {
        let output = run(&[arguments, &["--format", "json"]].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap();
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn nothing_is_made_of_no_objects() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let empty = folder.path().join("empty.yaml");
    fs::write(&config, "as it was").unwrap();
    for text in ["", "apiVersion: v1\nkind: List\nitems: []\n", "apiVersion: v1\nkind: Secret\n"] {
        fs::write(&empty, text).unwrap();
        let empty = empty.to_str().unwrap();
        let output = run(&["compile", "-f", empty, "--out", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("no objects"), "{text}");
        assert_eq!(fs::read_to_string(&config).unwrap(), "as it was");
        assert_eq!(code(&["check", "-f", empty]), 2, "{text}");
    }
}

/// A template that was not rendered, a picture, an object that is cut off: none says that all is well.
#[test]
fn nothing_is_not_found_where_nothing_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.yaml");
    let file = path.to_str().unwrap();
    let template = "{{- range .Values.x }}\napiVersion: v1\nkind: Service\nmetadata: {name: {{ . }}}\n{{- end }}\n";
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {}\n";
    for text in [template, "\u{0}\u{1}", "{\"kind\": \"Service\"", "a: [", route, "kind: Service\n"]
    {
        fs::write(&path, text).unwrap();
        for command in [
            &["check"] as &[_],
            &["check", "--format", "json"],
            &["compile", "-o", "table"],
            &["compile"],
            &["explain", "a"],
        ] {
            let output = run(&[command, &["-f", file]].concat());
            assert_eq!(output.status.code(), Some(2), "{text:?}: {command:?}");
            assert!(output.stdout.is_empty(), "{text:?}: {command:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("no objects of the mesh were read"), "{text:?}: {said}");
        }
    }
}

#[test]
fn check_says_what_it_could_not_use() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yaml");
    fs::write(&broken, "a: [\n---\nkind: Service\n").unwrap();
    let check = |name: &str, more: &[&str]| {
        let objects = format!("check/{name}/objects.yaml");
        run(&[&["check", "-f", &objects, "-f", broken.to_str().unwrap()], more].concat())
    };
    for (name, last) in [
        ("clean", "2 objects could not be used (see the errors); the others have no findings\n"),
        (
            "session-affinity",
            "2 objects could not be used (see the errors); in the others: 1 warning\n",
        ),
    ] {
        let output = check(name, &[]);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.ends_with(last) && !text.contains("nothing found"), "{text}");
        let report: Value =
            serde_json::from_slice(&check(name, &["--format", "json"]).stdout).unwrap();
        assert_eq!(report["unusable"], 2);
    }
}

#[test]
fn a_broken_object_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let config = config.to_str().unwrap();
    fs::write(config, "as it was").unwrap();
    // The expected findings beside the objects are no Kubernetes object.
    let compile = ["compile", "-f", "check/clean", "--out", config];
    let output = run(&compile);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--despite-errors"));
    assert_eq!(fs::read_to_string(config).unwrap(), "as it was");
    assert_eq!(code(&[&compile[..], &["--despite-errors"]].concat()), 1);
    assert!(fs::read_to_string(config).unwrap().contains("\"services\""));
}

#[test]
fn explain_does_not_take_the_shell_for_the_proxy() {
    let config = "diff/nothing/old.json";
    let output = Command::new(env!("CARGO_BIN_EXE_ingress-waypoint"))
        .args(["explain", "shop/cart", "--as", "service", "--config", config])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cli"))
        .env("INGRESS_USE_WAYPOINTS", "maybe")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("waypoint (labelled)"), "{stdout}");
    assert!(stdout.contains("assumed to be on"), "{stdout}");
}

#[test]
fn what_programs_read_goes_out_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let envoy = folder.path().join("envoy.json");
    fs::write(&envoy, "{\"a\": \"x\\u007fy\\u001b[1mz\"}").unwrap();
    let output = run(&["patch", "--remove", envoy.to_str().unwrap()]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["a"], "x\u{7f}y\u{1b}[1mz");
}

#[test]
fn copies_are_named_in_any_order_of_reading() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, ip: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: b}}\nspec: {{clusterIP: {ip}}}\n"
        );
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let files =
        [write("1.yaml", "10.0.0.1"), write("2.yaml", "10.0.0.1"), write("3.yaml", "10.0.0.2")];
    let check = |order: [usize; 3]| {
        let [one, two, three] = order.map(|i| files[i].as_str());
        String::from_utf8(run(&["check", "-f", one, "-f", two, "-f", three]).stdout).unwrap()
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
    let objects = ["-f", "check/clean/objects.yaml"];
    let stderr = |arguments: &[&str]| {
        String::from_utf8(run(&[&arguments[..1], &objects, &arguments[1..]].concat()).stderr)
            .unwrap()
    };
    for arguments in [
        ["compile", "--required", "app=typo"],
        ["check", "--required", "app=typo"],
        ["check", "--gateway", "ingress/typo"],
        ["check", "--gateway-pods", "app=typo"],
    ] {
        let said = stderr(&arguments);
        let [_, option, value] = arguments;
        assert!(said.contains(&format!("warning: {option} {value}: no ")), "{arguments:?}: {said}");
    }
    assert_eq!(stderr(&["check"]), "");
}

#[test]
fn diff_reads_what_a_shell_hands_it() {
    let program = env!("CARGO_BIN_EXE_ingress-waypoint");
    let command =
        format!("{program} diff <(cat diff/services/old.json) <(cat diff/services/new.json)");
    let output = Command::new("bash")
        .args(["-c", &command])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cli"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        output.stdout,
        run(&["diff", "diff/services/old.json", "diff/services/new.json"]).stdout
    );
}
