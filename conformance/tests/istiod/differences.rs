//! The differences that are known, out of `differences.yaml`, and whether each is still there.

use std::fs;

use serde::Deserialize;
use serde_json::Value;
use testbed::workspace;

use super::around::completed;
use super::comparison::{Difference, compare};
use super::istiod;

/// A class of decisions in which the filter and Istio differ.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub name: String,
    pub why: String,
    /// The filter's decision with its reason.
    pub ours: Vec<String>,
    /// Istio's gateway; absent if it does not matter.
    gateway: Option<Vec<String>>,
    /// What ztunnel is told.
    mesh: Option<Vec<String>>,
    kind: Option<Vec<String>>,
    resolution: Option<Vec<String>>,
    addresses: Option<Vec<String>>,
    protocol: Option<Vec<String>>,
    required: Option<bool>,
    served: Option<bool>,
    local: Option<bool>,
    shared: Option<bool>,
    taken: Option<bool>,
    /// Objects that show it.
    example: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Differences {
    pub classes: Vec<Class>,
}

impl Differences {
    pub fn read() -> Self {
        let file = workspace().join("conformance/tests/istiod/differences.yaml");
        let text = fs::read_to_string(&file).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// The first class that a difference is of.
    pub fn of(&self, difference: &Difference) -> Option<&str> {
        let class = self.classes.iter().find(|class| class.holds(difference))?;
        Some(&class.name)
    }
}

impl Class {
    fn holds(&self, difference: &Difference) -> bool {
        let facts = &difference.facts;
        let among = |given: &Option<Vec<String>>, value: &str| {
            given.as_ref().is_none_or(|given| given.iter().any(|it| it == value))
        };
        self.ours.contains(&difference.ours)
            && among(&self.gateway, difference.gateway)
            && among(&self.mesh, difference.mesh)
            && among(&self.kind, facts.kind)
            && among(&self.resolution, &facts.resolution)
            && among(&self.addresses, facts.addresses)
            && among(&self.protocol, &facts.protocol)
            && self.required.is_none_or(|it| it == facts.required)
            && self.local.is_none_or(|it| it == facts.local)
            && self.taken.is_none_or(|it| it == facts.taken)
            && self.shared.is_none_or(|it| it == facts.shared)
            && self.served.is_none_or(|it| it == facts.served)
    }
}

#[test]
fn every_known_difference_is_still_there() {
    let known = Differences::read();
    let examples = known.classes.iter().map(|class| completed(class.example.clone()));
    let examples: Vec<_> = examples.collect();
    let mut wrong = Vec::new();
    for ((class, objects), answer) in
        known.classes.iter().zip(&examples).zip(istiod::ask(&examples))
    {
        assert_eq!(answer.error, "", "{}", class.name);
        let outcome = compare(objects, &answer, &known);
        if !outcome.known.contains_key(&class.name) || !outcome.unknown.is_empty() {
            let (Class { name, why, .. }, others) = (class, shown(&outcome.unknown));
            wrong.push(format!("{name} is not so any more: {why}\n{outcome}\n{others}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub fn shown(differences: &[Difference]) -> String {
    differences.iter().map(|it| format!("  {it}\n")).collect()
}
