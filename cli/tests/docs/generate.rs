//! The generated parts of the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};
use ingress_waypoint_cli::run::Cli;
use mesh::Code;
use serde_json::Value;

use crate::golden;

/// Text as one cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// One option of a command.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    heading: String,
    signature: String,
    meaning: String,
}

fn signature(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first());
    let value = name.filter(|_| arg.get_action().takes_values()).map(|name| format!("<{name}>"));
    let value = value.unwrap_or_default();
    let Some(long) = arg.get_long() else { return value };
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    format!("{short}--{long} {value}").trim_end().to_owned()
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{}.", cell(&help).trim_end_matches('.'));
    if !arg.get_action().takes_values() {
        return text;
    }
    let values = arg.get_possible_values();
    if values.iter().any(|value| value.get_help().is_some()) {
        for value in values {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            write!(text, "<br>`{}`: {}", value.get_name(), cell(&help)).unwrap();
        }
        text.push_str("<br>");
    } else if !values.is_empty() {
        let names: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        write!(text, " One of {}. ", names.join(", ")).unwrap();
    } else {
        text.push(' ');
    }
    if let Some(default) = arg.get_default_values().first() {
        write!(text, "Default: `{}`.", default.to_string_lossy()).unwrap();
    }
    text.trim_end_matches("<br>").trim_end().to_owned()
}

fn options(command: &Command) -> Vec<Shown> {
    let ours = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
    let shown = |arg: &Arg| {
        let heading = match arg.get_help_heading() {
            Some(heading) => heading,
            None if arg.is_global_set() => "Everywhere",
            None => "",
        };
        Shown { heading: heading.to_owned(), signature: signature(arg), meaning: meaning(arg) }
    };
    command.get_arguments().filter(ours).map(shown).collect()
}

fn table<'s>(out: &mut String, options: impl Iterator<Item = &'s Shown>) {
    out.push_str("| option | meaning |\n|---|---|\n");
    for Shown { signature, meaning, .. } in options {
        writeln!(out, "| `{}` | {meaning} |", signature.replace('|', "\\|")).unwrap();
    }
    out.push('\n');
}

/// Every command, and first the options that several have in common.
pub fn commands() -> String {
    let mut root = Cli::command();
    root.build();
    let commands: Vec<_> =
        root.get_subcommands().filter(|command| command.get_name() != "help").collect();
    let all: Vec<_> = commands.iter().flat_map(|command| options(command)).collect();
    let is_shared = |option: &Shown| {
        !option.heading.is_empty() && all.iter().filter(|other| *other == option).count() > 1
    };
    let mut shared: Vec<(&str, Vec<&Shown>)> = Vec::new();
    for option in all.iter().filter(|option| is_shared(option)) {
        match shared.iter_mut().find(|(heading, _)| *heading == option.heading) {
            Some((_, options)) if options.contains(&option) => {}
            Some((_, options)) => options.push(option),
            None => shared.push((&option.heading, vec![option])),
        }
    }
    let mut out = "### Options of several commands\n\n".to_owned();
    for (heading, options) in &shared {
        writeln!(out, "**{heading}**\n").unwrap();
        table(&mut out, options.iter().copied());
    }
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "### `{}`\n\n{about}.\n", command.get_name()).unwrap();
        let (common, own): (Vec<_>, Vec<_>) = options(command).into_iter().partition(is_shared);
        if !own.is_empty() {
            table(&mut out, own.iter());
        }
        let of = |heading: &&str| common.iter().any(|option| option.heading == **heading);
        let headings = shared.iter().map(|(heading, _)| *heading).filter(of);
        let headings = headings.collect::<Vec<_>>().join(", ");
        writeln!(out, "Also the options of several commands: {headings}.\n").unwrap();
        if let Some(after) = command.get_after_help() {
            writeln!(out, "```text\n{}\n```\n", after.to_string().trim_end()).unwrap();
        }
    }
    out
}

/// The type of a value in words.
fn kind(schema: &Value) -> String {
    if let Some(items) = schema.get("items") {
        let items = kind(items).replace("string", "strings").replace("object", "objects");
        return format!("list of {items}");
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let values = schema["enum"].as_array().or(schema["oneOf"].as_array());
    if let Some(values) = values {
        let names = values.iter().filter_map(|value| value.as_str().or(value["const"].as_str()));
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        if !names.is_empty() {
            return names.join(", ");
        }
    }
    types.into_iter().filter(|name| *name != "null").collect::<Vec<_>>().join(" or ")
}

/// A schema without `null`, and with what it refers to.
fn resolved(schema: &Value, root: &Value) -> Value {
    let mut found = schema.clone();
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let not_null = |s: &&Value| s["type"] != "null";
        let some: Vec<_> = alternatives.iter().filter(not_null).collect();
        if let [one] = some[..] {
            found = resolved(one, root);
        } else {
            let kinds: Vec<_> = some.iter().map(|one| kind(&resolved(one, root))).collect();
            found["type"] = Value::String(kinds.join(" or "));
            let object = some.iter().map(|one| resolved(one, root));
            let properties = object.filter_map(|one| one.get("properties").cloned()).next();
            found["properties"] = properties.unwrap_or_default();
        }
    }
    if let Some(name) = schema["$ref"].as_str() {
        found = resolved(root.pointer(name.trim_start_matches('#')).unwrap(), root);
    }
    if let Some(items) = schema.get("items") {
        found["items"] = resolved(items, root);
    }
    // What stands beside a reference is about this use of it.
    if let Some(description) = schema.get("description") {
        found["description"] = description.clone();
    }
    found
}

fn fields(out: &mut String, path: &str, schema: &Value, root: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in properties {
        let property = resolved(property, root);
        let path = format!("{path}{name}");
        let kind = kind(&property);
        let must = if required.iter().any(|r| r == name.as_str()) { " (required)" } else { "" };
        let description = cell(property["description"].as_str().unwrap_or_default());
        writeln!(out, "| `{path}` | {kind}{must} | {description} |").unwrap();
        fields(out, &format!("{path}."), &property, root);
        if let Some(items) = property.get("items") {
            fields(out, &format!("{path}[]."), items, root);
        }
    }
}

/// Every field of the filter's configuration.
pub fn configuration() -> String {
    let schema: Value = serde_json::from_str(&crate::command::text(&["schema"])).unwrap();
    let mut out = "| field | type | meaning |\n|---|---|---|\n".to_owned();
    fields(&mut out, "", &schema, &schema);
    out
}

/// Every finding, with an example of the tests.
pub fn findings() -> String {
    let mut examples: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for folder in golden::entries("testdata/cli/check") {
        let text = golden::text(folder.join("findings.json"));
        let report: Value = serde_json::from_str(&text).unwrap();
        for finding in report["findings"].as_array().unwrap() {
            let code = finding["code"].as_str().unwrap().to_owned();
            examples.entry(code).or_default().push(finding.clone());
        }
    }
    let mut out = String::new();
    for code in Code::ALL {
        let found = examples.remove(code.as_str()).unwrap_or_default();
        let severities: BTreeSet<_> =
            found.iter().filter_map(|finding| finding["severity"].as_str()).collect();
        let severities = severities.into_iter().collect::<Vec<_>>().join(" or ");
        writeln!(out, "### `{}`\n", code.as_str()).unwrap();
        if !severities.is_empty() {
            write!(out, "*{severities}.* ").unwrap();
        }
        writeln!(out, "{}\n", code.why()).unwrap();
        if let Some(finding) = found.first() {
            let of = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            let object = &finding["object"];
            let names = ["namespace", "name"].map(|name| object[name].as_str().unwrap_or_default());
            let name = names.join("/").trim_start_matches('/').to_owned();
            let value = finding["value"].as_str().map(|value| format!(" `{value}`"));
            let field = format!("`{}`{}", of("field"), value.unwrap_or_default());
            let kind = object["kind"].as_str().unwrap_or_default();
            writeln!(out, "- Example: {kind} {name}: {field} {}", cell(&of("message"))).unwrap();
            writeln!(out, "- Fix: {}\n", cell(&of("fix"))).unwrap();
        }
    }
    out
}

/// The version of a module in one of the repository's `go.mod`.
fn module(file: &str, name: &str) -> String {
    let text = golden::text(file);
    let lines = text.lines().map(|line| line.trim_start_matches("require").trim_start());
    let mut versions = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(" v"));
    let version = versions.next().unwrap_or_else(|| panic!("{file} has no {name}"));
    version.split(' ').next().unwrap().to_owned()
}

/// What the tests run with.
pub fn versions() -> String {
    let makefile = golden::text("Makefile");
    let mut envoys = makefile.lines().filter_map(|line| line.strip_prefix("ENVOY_VERSIONS := "));
    let envoys = envoys.next().unwrap().replace(' ', ", ");
    let kube = module("scripts/kube/go.mod", "k8s.io/kubernetes");
    let istio = module("conformance/istiod/go.mod", "istio.io/istio");
    let crds = module("conformance/crds/go.mod", "istio.io/api");
    let gateway = module("conformance/envoy-gateway/go.mod", "github.com/envoyproxy/gateway");
    let func_e = module("conformance/func-e/go.mod", "github.com/tetratelabs/func-e");
    let rows = [
        ("Envoy", envoys, "`make e2e`"),
        ("Kubernetes API server", kube, "`make live`, `make conformance-api-server`"),
        ("Istio's kinds", crds, "`make conformance-api-server`"),
        ("istiod", istio, "`make conformance-istiod`, `make conformance-istio`"),
        (
            "Envoy Gateway, with its kinds and Gateway API's",
            gateway,
            "`make conformance-envoy-gateway`, `make conformance-api-server`",
        ),
        ("func-e", func_e, "`make conformance-func-e`"),
    ];
    let mut out = "| what | version | tested by |\n|---|---|---|\n".to_owned();
    for (what, version, test) in rows {
        writeln!(out, "| {what} | {version} | {test} |").unwrap();
    }
    out
}

/// The classes of decisions in which the filter and Istio differ.
pub fn istio_differences() -> String {
    let text = golden::text("conformance/tests/istiod/differences.yaml");
    let classes: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
    let mut out = "| class | what differs, and why |\n|---|---|\n".to_owned();
    for class in classes {
        let of = |name: &str| cell(class[name].as_str().unwrap());
        writeln!(out, "| `{}` | {} |", of("name"), of("why")).unwrap();
    }
    out
}

/// The figures of the largest configuration.
pub fn figures() -> String {
    let figures: BTreeMap<String, u64> =
        serde_json::from_str(&golden::text("bench/figures.json")).unwrap();
    let mut out = "| figure | |\n|---|---|\n".to_owned();
    for (name, figure) in &figures {
        if !name.contains(" 10 services") && !name.contains(" 10000 services") {
            let digits = figure.to_string();
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
            let grouped = groups.join(&b","[..]);
            writeln!(out, "| {name} | {} |", String::from_utf8(grouped).unwrap()).unwrap();
        }
    }
    out
}
