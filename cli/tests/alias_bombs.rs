//! What aliases stand for is counted in bytes, in `compile` and in `patch`: a small file takes little memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::process::Command;

use command::Folder;

/// Far less than the bombs would take, and more than what is read.
const MEMORY_KIB: usize = 700_000;

/// Documents of about 1 MB, and what they are. `LONG` stands for a text of 1 MB.
const BOMBS: &[(&str, &str)] = &[
    ("values", "a: &a LONG\nz: [ALIASES]\n"),
    ("a value per key", "a: &a LONG\nz: {FIELDS}\n"),
    ("keys", "a: &a LONG\nz: [KEYS]\n"),
    (
        "aliases of aliases",
        "a: &a LONG\nb: &b [ALIASES_100]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n",
    ),
    ("within an anchor", "z: &z [&a LONG, ALIASES]\n"),
    ("objects", "a: &a {k: LONG}\nz: [ALIASES]\n"),
    ("merged", "a: &a {k: LONG}\nz: [MERGES]\n"),
    ("a list of merged objects", "a: &a {k: LONG}\nz: {<<: [ALIASES]}\n"),
    ("empty objects", "a: &a [EMPTY]\nz: [ALIASES]\n"),
    ("two long texts", "a: &b LONG\nb: &a LONG\nz: [ALIASES]\n"),
];

fn bomb(form: &str) -> String {
    let repeat = |text: &str, times: usize| vec![text; times].join(",");
    let keys: Vec<_> = (0..20_000).map(|i| format!("{{? *a : {i}}}")).collect();
    let fields: Vec<_> = (0..20_000).map(|i| format!("k{i}: *a")).collect();
    form.replace("LONG", &format!("\"{}\"", "x".repeat(1_000_000)))
        .replace("ALIASES_100", &repeat("*a", 100))
        .replace("ALIASES", &repeat("*a", 20_000))
        .replace("MERGES", &repeat("{<<: *a}", 20_000))
        .replace("EMPTY", &repeat("{}", 20_000))
        .replace("KEYS", &keys.join(","))
        .replace("FIELDS", &fields.join(","))
}

/// Runs the command within the memory, and gives its exit code and what it says.
fn run(arguments: &str) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_ingress-waypoint");
    let script = format!("ulimit -v {MEMORY_KIB}; exec {program} {arguments}");
    let done = Command::new("bash").args(["-c", &script]).output().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn an_alias_bomb_is_refused_by_its_bytes() {
    let folder = Folder::new();
    let config = folder.write("config.json", "{}");
    for (name, form) in BOMBS {
        let object = "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: d}\n";
        let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: d}\n";
        let path = folder.write("bomb.yaml", format!("{object}{}{namespace}", bomb(form)));
        for (command, expected) in [
            (format!("compile -f {path}"), 1),
            (format!("check -f {path}"), 2),
            (format!("patch {path} --config {config}"), 2),
        ] {
            let (code, said) = run(&command);
            assert_eq!(code, Some(expected), "{name}, {command}: {:.1000}", said);
            assert!(said.contains("bomb.yaml"), "{name}, {command}: {:.1000}", said);
            assert!(said.contains("line "), "{name}, {command}: {:.1000}", said);
            let limit = said.contains("stand for more than 32 MiB, which is the limit");
            assert!(limit, "{name}, {command}: {:.1000}", said);
            assert!(said.len() < 2_000, "{name}, {command}: {} bytes", said.len());
        }
    }
}

/// No document stands for much, and all of them together for gigabytes.
#[test]
fn many_small_bombs_are_one() {
    let folder = Folder::new();
    for in_list in [true, false] {
        let long = "x".repeat(15_000);
        let labels: Vec<_> = (0..2_000).map(|i| format!("l{i}: *a")).collect();
        let labels = format!("{{l: &a {long}, {}}}", labels.join(", "));
        let mut text = if in_list { "apiVersion: v1\nkind: List\nitems:\n" } else { "" }.to_owned();
        for i in 0..150 {
            let object = format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: s{i}, namespace: d, labels: {labels}}}}}"
            );
            text += &if in_list { format!("- {object}\n") } else { format!("---\n{object}\n") };
        }
        let (code, said) = run(&format!("compile -f {}", folder.write("objects.yaml", text)));
        assert_eq!(code, Some(1), "{:.1000}", said);
        assert!(said.contains("more than 32 MiB, which is the limit"), "{:.1000}", said);
    }
}

/// What people write: one text or object in many places.
#[test]
fn aliases_within_the_limit_are_read() {
    let folder = Folder::new();
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: d}\n";
    let mut text = format!("x: &ports [{{name: http, port: 80}}]\n{list}");
    for i in 0..1000 {
        text += &format!(
            "- apiVersion: v1\n  kind: Service\n  metadata: {{name: s{i}, namespace: d}}\n  \
             spec: {{clusterIP: 10.0.{}.{}, ports: *ports}}\n",
            i / 250,
            i % 250 + 1
        );
    }
    let (code, said) = run(&format!("compile -f {}", folder.write("objects.yaml", text)));
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

/// A long name in front of many faults makes no long message of each.
#[test]
fn a_long_path_is_shown_once_in_a_while_and_cut() {
    let folder = Folder::new();
    let (long, twice) = ("x".repeat(500_000), vec!["a: 1"; 100_000].join(","));
    for (open, close) in
        [("", ""), ("items: [{kind: Service, apiVersion: v1, metadata: {name: x}, ", "}]")]
    {
        let text = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: x}}, {open}? {long} : {{{twice}}}{close}}}"
        );
        let (code, said) = run(&format!("compile -f {}", folder.write("objects.yaml", text)));
        assert_eq!(code, Some(2), "{:.1000}", said);
        assert!(said.contains("duplicate key") && said.len() < 5_000, "{} bytes", said.len());
    }
}
