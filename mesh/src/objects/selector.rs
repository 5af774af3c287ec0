//! Label selectors: as text (`app=web,tier in (a,b),!legacy`) and as Gateway API spells them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use gateway_api::apis::standard::gateways::GatewayListenersAllowedRoutesNamespacesSelector;

use crate::objects::facts::Labels;

/// All requirements must hold; without any, everything matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(BTreeSet<String>),
    /// Also where the label is absent, as in Kubernetes.
    NotIn(BTreeSet<String>),
    Exists,
    Absent,
}

/// One of `matchExpressions`.
#[derive(Debug, Clone)]
pub struct Expression {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values of `In` and `NotIn`.
    pub values: Vec<String>,
}

impl Selector {
    /// Whether all requirements hold.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|Requirement { key, test }| match (test, labels.get(key)) {
            (Test::In(values), Some(value)) => values.contains(value),
            (Test::In(_), None) => false,
            (Test::NotIn(values), Some(value)) => !values.contains(value),
            (Test::NotIn(_), None) => true,
            (Test::Exists, value) => value.is_some(),
            (Test::Absent, value) => value.is_none(),
        })
    }

    /// Whether its answer depends on a label.
    pub fn asks_for(&self, key: &str) -> bool {
        self.0.iter().any(|requirement| requirement.key == key)
    }

    /// The labels that it asks for, each with its one value; `None` if it asks for anything else.
    pub fn labels(&self) -> Option<Vec<(&str, &str)>> {
        let one = self.0.iter().map(|Requirement { key, test }| match test {
            Test::In(values) if values.len() == 1 => Some((key.as_str(), values.first()?.as_str())),
            _ => None,
        });
        one.collect()
    }

    /// As an API server is asked; `None` if everything matches.
    pub fn query(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.to_string())
    }

    /// `matchLabels` and `matchExpressions` of a Gateway.
    ///
    /// # Errors
    /// The expression that is none.
    pub fn from_gateway(
        selector: &GatewayListenersAllowedRoutesNamespacesSelector,
    ) -> Result<Self, String> {
        let expressions = selector.match_expressions.iter().flatten().map(|it| Expression {
            key: it.key.clone(),
            operator: it.operator.clone(),
            values: it.values.clone().unwrap_or_default(),
        });
        let labels = selector.match_labels.iter().flatten();
        Self::new(labels.map(|(key, value)| (key.clone(), value.clone())), expressions)
    }

    /// `matchLabels` and `matchExpressions`.
    ///
    /// # Errors
    /// The expression that is none.
    pub fn new(
        labels: impl Iterator<Item = (String, String)>,
        expressions: impl Iterator<Item = Expression>,
    ) -> Result<Self, String> {
        let mut requirements: Vec<_> = labels
            .map(|(key, value)| Requirement { key, test: Test::In([value].into()) })
            .collect();
        for Expression { key, operator, values } in expressions {
            let values: BTreeSet<_> = values.into_iter().collect();
            let test = match (operator.as_str(), values.is_empty()) {
                ("In", false) => Test::In(values),
                ("NotIn", false) => Test::NotIn(values),
                ("Exists", true) => Test::Exists,
                ("DoesNotExist", true) => Test::Absent,
                (operator, _) => return Err(format!("{key:?} {operator}")),
            };
            requirements.push(Requirement { key, test });
        }
        Ok(Self(requirements))
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = split(text).into_iter().map(str::trim);
        let parts: Vec<_> = parts.collect();
        match parts.as_slice() {
            [""] => Ok(Self::default()),
            parts => parts.iter().map(|part| requirement(part)).collect::<Result<_, _>>().map(Self),
        }
    }
}

/// At the commas that are not within parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut within = false;
    text.split(|c| {
        match c {
            '(' => within = true,
            ')' => within = false,
            _ => {}
        }
        c == ',' && !within
    })
    .collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let wrong =
        || format!("{text:?} is not a requirement (k, !k, k=v, k!=v, k in (v,w), k notin (v))");
    let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
    let (key, test) = if let Some(key) = text.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Test::NotIn(one(value)))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Test::In(one(value)))
    } else if let Some(list) = text.strip_suffix(')') {
        let (head, list) = list.split_once('(').ok_or_else(wrong)?;
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        match head.trim().rsplit_once(char::is_whitespace) {
            Some((key, "in")) => (key, Test::In(values)),
            Some((key, "notin")) => (key, Test::NotIn(values)),
            _ => return Err(wrong()),
        }
    } else {
        (text, Test::Exists)
    };
    let key = key.trim();
    let part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_value = |value: &String| value.chars().all(part);
    let values_hold = match &test {
        Test::In(values) | Test::NotIn(values) => values.iter().all(is_value),
        Test::Exists | Test::Absent => true,
    };
    if key.is_empty() || !key.chars().all(|c| part(c) || c == '/') || !values_hold {
        return Err(wrong());
    }
    Ok(Requirement { key: key.to_owned(), test })
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("everything");
        }
        for (i, Requirement { key, test }) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let list = |values: &BTreeSet<String>| Vec::from_iter(values.iter().cloned()).join(",");
            match test {
                Test::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
                Test::In(values) => write!(f, "{key} in ({})", list(values)),
                Test::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
                Test::Exists => f.write_str(key),
                Test::Absent => write!(f, "!{key}"),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split_terminator(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn as_kubectl_reads_them() {
        let cases = [
            ("", "", true),
            ("app=web", "app=web", true),
            ("app==web", "app=web", true),
            ("app = web", "app=web", true),
            ("app=web", "", false),
            ("app=", "app=", true),
            ("app!=web", "app=api", true),
            ("app!=web", "", true),
            ("app!=web", "app=web", false),
            ("app", "app=", true),
            ("app", "tier=x", false),
            ("!app", "tier=x", true),
            ("!app", "app=", false),
            ("tier in (a, b)", "tier=b", true),
            ("tier in (a,b)", "tier=c", false),
            ("tier in (a)", "", false),
            ("tier notin (a,b)", "tier=c", true),
            ("tier notin (a,b)", "", true),
            ("tier notin (a,b)", "tier=a", false),
            ("app=web,tier in (a,b),!legacy", "app=web,tier=a", true),
            ("app=web,tier in (a,b),!legacy", "app=web,tier=a,legacy=", false),
            ("example.com/team=x", "example.com/team=x", true),
        ];
        for (selector, on, expected) in cases {
            let parsed: Selector = selector.parse().unwrap();
            assert_eq!(parsed.matches(&labels(on)), expected, "{selector} on {on:?}");
            assert_eq!(
                parsed.to_string().parse::<Selector>(),
                match parsed.0.is_empty() {
                    true => Ok("everything".parse().unwrap()),
                    false => Ok(parsed),
                }
            );
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in
            ["=web", "app=web,", ",", "app in a", "app in (a", "app of (a)", "a b", "app=w b"]
        {
            let error = text.parse::<Selector>().unwrap_err();
            assert!(error.contains("is not a requirement"), "{text}: {error}");
        }
    }
}
