//! A cluster's objects, as `kubectl get -A` prints them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// One object of each kind, with places for `$n` and what follows from it.
const OBJECTS: &str = include_str!("objects.yaml");

/// How the objects stand in the file.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A `List`, as of `kubectl get -o yaml`
    List,
    /// A document for each object
    Documents,
    /// A `List`, as of `kubectl get -o json`
    Json,
}

impl Form {
    pub fn file(self) -> &'static str {
        match self {
            Self::List => "list.yaml",
            Self::Documents => "documents.yaml",
            Self::Json => "list.json",
        }
    }

    /// What stands before the objects, between two, and behind them.
    fn frame(self) -> [&'static str; 3] {
        match self {
            Self::List => {
                ["apiVersion: v1\nitems:\n", "", "kind: List\nmetadata:\n  resourceVersion: \"\"\n"]
            }
            Self::Documents => ["", "---\n", ""],
            Self::Json => [
                "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n",
                ",\n",
                "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n",
            ],
        }
    }

    /// The object as it stands in the file.
    fn object(self, yaml: &str) -> anyhow::Result<String> {
        let indented = |text: &str, first: &str, indent: &str| {
            let lines = text.lines().enumerate();
            lines
                .map(|(i, line)| format!("{}{line}\n", if i == 0 { first } else { indent }))
                .collect()
        };
        Ok(match self {
            Self::List => indented(yaml, "- ", "  "),
            Self::Documents => yaml.to_owned(),
            Self::Json => {
                let object: Value = serde_saphyr::from_str(yaml)?;
                let mut json = Vec::new();
                let format = PrettyFormatter::with_indent(b"    ");
                serde::Serialize::serialize(
                    &object,
                    &mut Serializer::with_formatter(&mut json, format),
                )?;
                let text: String = indented(std::str::from_utf8(&json)?, "        ", "        ");
                text.trim_end().to_owned()
            }
        })
    }
}

/// Writes the objects of `services` services in `namespaces` namespaces.
pub fn write(path: &Path, form: Form, services: usize, namespaces: usize) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let [open, between, close] = form.frame();
    out.write_all(open.as_bytes())?;
    let counts = [1, namespaces, namespaces, namespaces / 10, services];
    let mut version = 1000;
    for (template, count) in OBJECTS.split("---\n").zip(counts) {
        let template = form.object(template)?;
        for n in 0..count {
            if version > 1000 {
                out.write_all(between.as_bytes())?;
            }
            version += 1;
            object(&mut out, &template, n, version, namespaces)?;
        }
    }
    out.write_all(close.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes the template with its places filled in.
fn object(
    out: &mut impl Write,
    template: &str,
    n: usize,
    version: usize,
    namespaces: usize,
) -> io::Result<()> {
    let mut parts = template.split('$');
    out.write_all(parts.next().unwrap_or_default().as_bytes())?;
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        match name {
            "n" => write!(out, "{n}"),
            "team" => write!(out, "{}", n % namespaces),
            "version" => write!(out, "{version}"),
            "digits" => write!(out, "{n:012}"),
            "switch" => write!(out, "{}", n.is_multiple_of(2)),
            "a" => write!(out, "{}", n >> 16 & 255),
            "b" => write!(out, "{}", n >> 8 & 255),
            "c" => write!(out, "{}", n & 255),
            _ => Err(io::Error::other(format!("objects.yaml: ${name}"))),
        }?;
        out.write_all(rest.as_bytes())?;
    }
    Ok(())
}
