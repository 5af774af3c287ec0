//! The generated parts of the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};
use ingress_waypoint_cli::args::Cli;
use ingress_waypoint_cli::check::Code;
use serde_json::Value;

use crate::golden;

/// Text as one cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The options of a command under one heading, as rows of a table.
type Options = Vec<(String, String)>;

fn signature(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_value_names().unwrap_or_default().iter().collect();
    let value = match values.first() {
        Some(value) if arg.get_action().takes_values() => format!("<{value}>"),
        _ => String::new(),
    };
    let Some(long) = arg.get_long() else { return value };
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    format!("{short}--{long} {value}").trim_end().to_owned()
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = cell(&help);
    let mut names = Vec::new();
    let mut explained = false;
    for value in arg.get_possible_values() {
        let help = value.get_help().map(|help| format!(": {}", cell(&help.to_string())));
        explained |= help.is_some();
        names.push(format!("`{}`{}", value.get_name(), help.unwrap_or_default()));
    }
    if arg.get_action().takes_values() && !names.is_empty() {
        let separator = if explained { "<br>" } else { ", " };
        let before = if explained { "<br>" } else { " One of " };
        write!(text, "{before}{}", names.join(separator)).unwrap();
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let space = if explained { "<br>" } else { " " };
        write!(text, "{space}Default: `{}`", defaults.join(" ")).unwrap();
    }
    text
}

fn headings(command: &Command) -> Vec<(String, Options)> {
    let mut found: Vec<(String, Options)> = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        if matches!(arg.get_id().as_str(), "help" | "version") {
            continue;
        }
        let heading = match arg.get_help_heading() {
            Some(heading) => heading.to_owned(),
            None if arg.is_global_set() => "Everywhere".to_owned(),
            None if arg.is_positional() => "Arguments".to_owned(),
            None => "Options".to_owned(),
        };
        let option = (signature(arg), meaning(arg));
        match found.iter_mut().find(|(name, _)| *name == heading) {
            Some((_, options)) => options.push(option),
            None => found.push((heading, vec![option])),
        }
    }
    found
}

fn table(out: &mut String, options: &Options) {
    out.push_str("| option | meaning |\n|---|---|\n");
    for (signature, meaning) in options {
        writeln!(out, "| `{}` | {meaning} |", signature.replace('|', "\\|")).unwrap();
    }
    out.push('\n');
}

/// Every command, and first what several have in common.
pub fn commands() -> String {
    let mut root = Cli::command();
    root.build();
    let commands: Vec<_> =
        root.get_subcommands().filter(|command| command.get_name() != "help").collect();
    let mut uses: BTreeMap<(String, Options), usize> = BTreeMap::new();
    for command in &commands {
        for heading in headings(command) {
            *uses.entry(heading).or_default() += 1;
        }
    }
    let shared = |heading: &(String, Options)| uses[heading] > 1 && heading.0 != "Options";
    let mut out = String::new();
    let mut seen = BTreeSet::new();
    out.push_str("### Options of several commands\n\n");
    for heading in commands.iter().flat_map(|command| headings(command)) {
        if shared(&heading) && seen.insert(heading.clone()) {
            writeln!(out, "**{}**\n", heading.0).unwrap();
            table(&mut out, &heading.1);
        }
    }
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "### `{}`\n\n{about}.\n", command.get_name()).unwrap();
        let mut also = Vec::new();
        for heading in headings(command) {
            if shared(&heading) {
                also.push(heading.0);
                continue;
            }
            if heading.0 != "Arguments" && heading.0 != "Options" {
                writeln!(out, "**{}**\n", heading.0).unwrap();
            }
            table(&mut out, &heading.1);
        }
        writeln!(out, "Also the options above: {}.\n", also.join(", ")).unwrap();
        if let Some(after) = command.get_after_help() {
            let after = after.to_string();
            writeln!(out, "```text\n{}\n```\n", after.trim_end()).unwrap();
        }
    }
    out
}

/// The type of a value in words.
fn kind(schema: &Value) -> String {
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(items).replace("object", "objects"));
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
    let mut folders: Vec<_> = std::fs::read_dir(golden::workspace().join("testdata/cli/check"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    for folder in folders {
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
