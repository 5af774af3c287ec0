//! The text of an Envoy configuration: read as JSON or YAML, written in the same format.

use mesh::Code;

use super::not_bootstrap::template;
use super::report::{Problems, Report};
use crate::envoy::json;
use crate::envoy::tree::Node;
use crate::envoy::yaml::{self, Scan};

/// The field of a diagnostic about the whole file.
const CONFIGURATION: &str = "the Envoy configuration";

/// A configuration that was read.
pub struct Document {
    /// The object.
    pub root: Node,
    /// What its text has beside that; `None` for JSON.
    yaml: Option<Scan>,
}

impl Document {
    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let refuse =
            |message: String| Err(Problems::one(Code::NotABootstrap, CONFIGURATION, None, message));
        // YAML in flow style begins like JSON.
        let json = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Node>(text));
        let (root, yaml) = match json {
            Some(Ok(root)) => (root, None),
            json => match (yaml::read(text), json) {
                (Ok(root), _) => (root, Some(yaml::scan(text))),
                (Err(yaml), json) => {
                    return refuse(match (template(text), json) {
                        (Some(template), _) => template,
                        (None, Some(Err(json))) => format!("is not JSON: {json}"),
                        (None, _) => format!("is not YAML: {yaml}"),
                    });
                }
            },
        };
        if let Some(line) = yaml.as_ref().and_then(|scan| scan.merges.first()) {
            return refuse(format!(
                "line {line}: the merge key << has no meaning to Envoy, which refuses it as an unknown field: write \
                 out the fields that it stands for"
            ));
        }
        match root {
            Node::Map(_) => Ok(Self { root, yaml }),
            _ => refuse("is not an object".to_owned()),
        }
    }

    /// The text, in the format that was read.
    pub fn write(&self) -> String {
        if self.yaml.is_some() { yaml::write(&self.root) } else { json::write(&self.root) }
    }

    /// Notes what the text had that is not written again.
    pub fn note_lost(&self, report: &mut Report) {
        let Some(Scan { comments, aliases, ignored, .. }) = self.yaml else { return };
        let lost = [
            (comments, "comments are dropped"),
            (aliases, "aliases are written out"),
            (ignored, "fields with the tag !ignore are dropped"),
        ];
        let lost: Vec<_> =
            lost.iter().filter(|(count, _)| *count > 0).map(|(_, what)| *what).collect();
        if !lost.is_empty() {
            let message = format!("{}, and --remove does not restore them", lost.join(", "));
            report.inform(Code::TextLost, CONFIGURATION, message);
        }
    }
}
