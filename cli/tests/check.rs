//! `check` on the folders of `testdata/cli/check`: objects, the options where there are any, and the
//! findings, side by side. `UPDATE_GOLDEN=1 cargo test` writes the findings anew, to be read as a change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod golden;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anstream::adapter::strip_str;
use gateway::table::config::Configuration;
use gateway::table::config::IpFamily;
use gateway::table::{Compiled, Purpose};
use ingress_waypoint_cli::check::Report;
use lint::{Objects, Options};
use mesh::label::Compat;
use mesh::object::{Object, Origin};
use mesh::{Code, Diagnostic, Severity};
use serde_json::Value;
use source::{Read, Source};

fn folder(name: &str) -> PathBuf {
    golden::workspace().join("testdata/cli/check").join(name)
}

fn folders() -> Vec<String> {
    golden::names("testdata/cli/check")
}

fn objects(path: PathBuf) -> Vec<(Origin, Object)> {
    let mut objects = Vec::new();
    let source = Source::Path(path.clone());
    source::read(&[source], &mut |read| match read {
        Read::Object(origin, object) => objects.push((origin, object)),
        other => panic!("{}: {other:?}", path.display()),
    })
    .unwrap();
    objects
}

fn options(path: &Path) -> (Options, Configuration) {
    let (mut options, mut settings) = <(Options, Configuration)>::default();
    let Ok(text) = fs::read_to_string(path) else { return (options, settings) };
    let given: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    for (name, value) in given {
        let value = value.as_str().unwrap();
        match name.as_str() {
            "compat" => options.rules.compat = clap::ValueEnum::from_str(value, false).unwrap(),
            "required" => options.rules.required = Some(value.parse().unwrap()),
            "ipFamily" => {
                let family: IpFamily = clap::ValueEnum::from_str(value, false).unwrap();
                settings.ip_family = Some(family);
            }
            "allowLoopback" => options.rules.allow_loopback = value == "true",
            "gatewayPods" => options.pods = Some(value.parse().unwrap()),
            other => panic!("{other}"),
        }
    }
    (options, settings)
}

fn run(
    objects: impl IntoIterator<Item = (Origin, Object)>,
    (options, settings): &(Options, Configuration),
) -> Vec<Diagnostic> {
    let mut all = Objects::default();
    for (origin, object) in objects {
        all.add(origin, object);
    }
    let compiled = Compiled::new(&all.world, &options.rules, settings, Purpose::default()).unwrap();
    lint::check(&all, &compiled, options)
}

fn findings(name: &str) -> Vec<Diagnostic> {
    let options = options(&folder(name).join("options.json"));
    run(objects(folder(name).join("objects.yaml")), &options)
}

#[test]
fn each_folder_has_its_findings() {
    for name in folders() {
        let findings = findings(&name);
        let mut json = serde_json::to_string_pretty(&Report::new(findings, 0)).unwrap();
        json.push('\n');
        let json = json.replace(golden::workspace().to_str().unwrap(), "…");
        golden::golden(&folder(&name).join("findings.json"), &json);
    }
}

#[test]
fn what_is_fine_has_no_finding() {
    assert_eq!(findings("clean"), []);
}

#[test]
fn each_code_has_a_folder_where_it_is_found() {
    let folders = folders();
    // Those are about objects for Envoy Gateway, which `compile` makes, and about the source of the objects.
    let others = [Code::ListenerLeftOut, Code::RoutesNotRead, Code::SourceIncomplete];
    // Those of `patch` come last.
    let of_objects = Code::ALL.iter().take_while(|code| **code != Code::FilterDisabled);
    for code in of_objects.filter(|code| !others.contains(code)) {
        assert!(folders.contains(&code.to_string()), "{code}");
        assert!(findings(code.as_str()).iter().any(|finding| finding.code == *code), "{code}");
    }
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

/// A folder is about one thing: what else is found there is of the same kind, or the other half of
/// the same mistake.
#[test]
fn a_folder_is_about_one_code() {
    for name in folders() {
        let others: BTreeSet<_> = findings(&name)
            .iter()
            .map(|f| f.code.as_str())
            .filter(|code| !name.starts_with(code))
            .collect();
        let expected: &[&str] = match name.as_str() {
            // Its retries have a meaning of their own.
            "policy-twice" => &["route-retry", "route-setting-lost"],
            "route-retry" => &["route-setting-lost"],
            "route-setting-lost-virtual-service" => &["route-retry"],
            _ => &[],
        };
        assert_eq!(Vec::from_iter(others), expected, "{name}");
    }
}

#[test]
fn the_order_of_the_objects_does_not_matter() {
    for name in folders() {
        let path = folder(&name).join("objects.yaml");
        let options = options(&folder(&name).join("options.json"));
        let mut reversed = objects(path.clone());
        reversed.reverse();
        assert_eq!(run(reversed, &options), run(objects(path), &options), "{name}");
    }
}

#[test]
fn a_finding_says_why_and_how_to_mend_it() {
    for name in folders() {
        for finding in findings(&name) {
            assert!(finding.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "{finding:?}");
            assert!(finding.object.is_none() || finding.field.is_some(), "{finding:?}");
            assert!(!finding.message.contains("  "), "{finding:?}");
        }
    }
}

/// 1,000 services of a namespace whose waypoint is not there are one thing to fix.
#[test]
fn a_namespaces_mistake_is_one_finding() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    \
        istio.io/ingress-use-waypoint: \"true\"\n    istio.io/use-waypoint: gone\n";
    let mut text = namespace.to_owned();
    for i in 0..1000 {
        text += &format!(
            "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: s-{i}\n  namespace: shop\nspec:\n  \
             clusterIPs: [10.1.{}.{}]\n  ports:\n    - port: 80\n    - name: https\n      port: 443\n",
            i / 250,
            i % 250 + 1
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.yaml");
    fs::write(&path, text).unwrap();
    let findings = run(objects(path), &Default::default());
    let found: Vec<_> = findings
        .iter()
        .map(|f| (f.code, f.object.as_ref().unwrap().to_string(), f.affects.len()))
        .collect();
    let expected = [
        (Code::WaypointNotFound, "Namespace shop".to_owned(), 1000),
        (Code::PortLeftOut, "Namespace shop".to_owned(), 1000),
    ];
    assert_eq!(found, expected);
    let text = Report::new(findings, 0).text().as_str().to_owned();
    assert!(text.lines().count() < 20, "{text}");
    assert!(text.contains("and 995 more"), "{text}");
}

#[test]
fn the_report_says_each_reason_once() {
    let text = Report::new(findings("label-not-boolean"), 0).text().as_str().to_owned();
    let text = strip_str(&text).to_string();
    golden::golden(&folder("../check-report.txt"), &text);
    let none = Report::new(Vec::new(), 0).text().as_str().to_owned();
    assert_eq!(strip_str(&none).to_string(), "nothing found\n");
}

#[test]
fn severities_are_kept_apart_by_compat() {
    let severity = |name: &str| findings(name)[0].severity;
    assert_eq!(severity("label-overrides-namespace"), Severity::Info);
    assert_eq!(severity("label-overrides-namespace-kgateway"), Severity::Warning);
    assert_eq!(
        options(&folder("label-overrides-namespace-kgateway/options.json")).0.rules.compat,
        Compat::Kgateway
    );
}
