//! Reads `testdata/cli/input/`: each folder's `input` gives its `expected.txt`.
//! `UPDATE_GOLDEN=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod golden;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use mesh::object::Object;
use source::{Read, Source};

fn read(sources: &[Source]) -> (anyhow::Result<()>, Vec<Read>) {
    let mut reads = Vec::new();
    let result = source::read(sources, &mut |read| reads.push(read));
    (result, reads)
}

/// One line for what was read, with the labels in brackets.
fn line(read: &Read) -> String {
    let (origin, object) = match read {
        Read::Object(origin, object) => (origin, object),
        Read::Diagnostic(origin, found) => {
            let origin = origin.as_ref().map(|origin| format!(" {origin}:")).unwrap_or_default();
            let fix = found.fix.as_ref().map(|fix| format!(" (fix: {fix})")).unwrap_or_default();
            return format!("{}{origin} {found}{fix}", found.severity);
        }
    };
    let (kind, metadata): (&str, &ObjectMeta) = match object {
        Object::Service(object) => ("Service", &object.metadata),
        Object::Namespace(object) => ("Namespace", &object.metadata),
        Object::ServiceEntry(object) => ("ServiceEntry", &object.metadata),
        Object::Gateway(object) => ("Gateway", &object.metadata),
        Object::GatewayClass(object) => ("GatewayClass", &object.metadata),
        Object::Route(kind, object) => (kind.as_str(), &object.metadata),
        Object::DestinationRule(object) => ("DestinationRule", &object.metadata),
        Object::Pod(object) => ("Pod", &object.metadata),
        Object::BackendTrafficPolicy(o) => ("BackendTrafficPolicy", &o.metadata),
        Object::EnvoyProxy(o) => ("EnvoyProxy", &o.metadata),
        Object::MeshConfig(o) => ("ConfigMap", &o.metadata),
        Object::Workload(kind, o) => (kind.as_str(), &o.metadata),
    };
    let mut line = format!("object {origin}: {kind} ");
    if let Some(namespace) = &metadata.namespace {
        write!(line, "{namespace}/").unwrap();
    }
    line += metadata.name.as_deref().unwrap();
    let labels = metadata.labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let labels = labels.collect::<Vec<_>>().join(" ");
    if !labels.is_empty() {
        write!(line, " [{labels}]").unwrap();
    }
    line
}

#[test]
fn every_case_reads_as_expected() {
    let cases = golden::entries("testdata/cli/input");
    assert!(cases.len() >= 9, "only {} cases", cases.len());
    for case in cases {
        let folder = case.join("input");
        let (result, reads) = read(&[Source::Path(folder.clone())]);
        result.unwrap();
        let prefix = format!("{}/", folder.display());
        let found: String =
            reads.iter().map(|read| line(read).replace(&prefix, "") + "\n").collect();
        golden::golden(&case.join("expected.txt"), &found);
    }
}

#[test]
fn a_path_that_does_not_exist_is_an_error() {
    let (result, reads) = read(&[Source::from_argument("no/such.yaml")]);
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.starts_with("cannot read no/such.yaml: "), "{error}");
    assert!(reads.is_empty());
}

#[test]
fn a_folder_without_manifests_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (result, reads) = read(&[Source::Path(folder.path().to_owned())]);
    result.unwrap();
    assert!(matches!(reads.as_slice(), [Read::Diagnostic(None, _)]), "{reads:?}");
}

#[test]
fn a_file_that_is_named_is_read_whatever_its_extension() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.txt");
    fs::write(&path, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").unwrap();
    let (result, reads) = read(&[Source::Path(path.clone()), Source::Path(path)]);
    result.unwrap();
    assert_eq!(reads.len(), 2, "in the order given, each: {reads:?}");
}

#[test]
fn an_alias_bomb_and_deep_nesting_are_broken_documents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bombs.yaml");
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let repeated = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{repeated}]").unwrap();
    }
    writeln!(text, "---\na: {}", "[".repeat(100_000)).unwrap();
    writeln!(text, "---\n{{\"a\": {}", "[".repeat(100_000)).unwrap();
    text += "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: after}\n";
    fs::write(&path, text).unwrap();
    let (result, reads) = read(&[Source::Path(path)]);
    result.unwrap();
    let lines: Vec<_> = reads.iter().map(line).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[..3].iter().all(|line| line.starts_with("error ")), "{lines:?}");
    assert!(lines[3].ends_with("document 4: Namespace after"), "{lines:?}");
}

/// The writer of a pipe goes on only when what it wrote was handed over: nothing waits for the
/// end of the input.
#[cfg(unix)]
mod streaming {
    use std::io::{PipeWriter, Write};
    use std::os::fd::AsRawFd;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Enough, with [`PADDING`], for more than is held to look at a document.
    const MANY: usize = 1_500;

    /// Bytes beside each item that cost no time to read.
    const PADDING: usize = 8_000;

    fn streams(head: &str, item: fn(usize) -> String, tail: &str) -> Vec<Read> {
        let (reader, pipe) = std::io::pipe().unwrap();
        let (sender, receiver) = channel();
        // As a shell hands it over: `-f <(helm template …)`.
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let mut reads = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| write(pipe, head, item, tail, receiver));
            source::read(&[Source::Path(path)], &mut |read| {
                reads.push(read);
                let _ = sender.send(());
            })
            .unwrap();
        });
        reads
    }

    fn write(
        pipe: PipeWriter,
        head: &str,
        item: fn(usize) -> String,
        tail: &str,
        seen: Receiver<()>,
    ) {
        let mut pipe = std::io::BufWriter::new(pipe);
        pipe.write_all(head.as_bytes()).unwrap();
        let comment = if head.starts_with('{') { "" } else { "#" };
        let padding = format!("  {comment}{}\n", " ".repeat(PADDING));
        for index in 0..MANY {
            pipe.write_all(item(index).as_bytes()).unwrap();
            pipe.write_all(padding.as_bytes()).unwrap();
        }
        pipe.flush().unwrap();
        let wait = Duration::from_secs(60);
        seen.recv_timeout(wait).expect("an item is handed over before the input ends");
        pipe.write_all(tail.as_bytes()).unwrap();
    }

    fn yaml_item(index: usize) -> String {
        format!("- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: n{index}\n")
    }

    fn flow_item(index: usize) -> String {
        format!("  {{apiVersion: v1, kind: Namespace, metadata: {{name: n{index}}}}},\n")
    }

    fn json_item(index: usize) -> String {
        let comma = if index == 0 { "" } else { "," };
        let metadata = format!("{{\"name\":\"n{index}\"}}");
        format!("{comma}{{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{metadata}}}")
    }

    #[test]
    fn every_form_of_a_list_and_documents() {
        let document: fn(usize) -> String =
            |index| format!("---\n{}", yaml_item(index).replace("- ", "  "));
        for (head, item, tail) in [
            ("apiVersion: v1\nitems:\n", yaml_item as fn(usize) -> String, "kind: List\n"),
            ("apiVersion: v1\nitems: [\n", flow_item, "  ]\nkind: List\n"),
            ("{\"items\":[", json_item, "],\"kind\":\"List\"}"),
            ("", document, "---\n"),
        ] {
            let reads = streams(head, item, tail);
            assert_eq!(reads.len(), MANY, "{head}");
            assert!(line(&reads[MANY - 1]).ends_with(": Namespace n1499"), "{head}");
        }
    }

    #[test]
    fn a_broken_item_of_a_large_list() {
        let item = |index| match index {
            700 => "- {\n".to_owned(),
            index => yaml_item(index),
        };
        let reads = streams("apiVersion: v1\nkind: List\nitems:\n", item, "metadata: {}\n");
        assert_eq!(reads.len(), MANY);
        assert!(line(&reads[700]).contains("item 700: line 3504, column "));
        let broken = reads.iter().filter(|read| matches!(read, Read::Diagnostic(..))).count();
        assert_eq!(broken, 1);
    }
}
