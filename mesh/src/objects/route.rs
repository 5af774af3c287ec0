//! The facts of a route. HTTPRoutes, GRPCRoutes, TCPRoutes and TLSRoutes have the same shape, so all are read from the value
//! of their `spec`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::objects::facts::Labels;
use crate::objects::resource_version::version;
use crate::objects::route_reference::{get, list, text};
use crate::objects::route_setting::{self, Setting};

pub use crate::objects::route_reference::Target;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `metadata.resourceVersion`: first, so that the newer of two copies is the greater one.
    version: Option<u64>,
    /// Its labels.
    pub labels: Labels,
    /// What it is attached to.
    pub parents: Vec<Parent>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// What a route is attached to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parent {
    /// A Gateway, ListenerSet, Service or ServiceEntry; of a VirtualService Istio's own Gateway.
    pub target: Target,
    /// The listener, if one is named.
    pub section: Option<String>,
}

/// A rule of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Its name.
    pub name: Option<String>,
    /// Where it applies, by path; empty if that is everywhere.
    pub paths: Vec<Path>,
    /// Its backends.
    pub backends: Vec<Backend>,
    /// What it does to every request.
    pub settings: Vec<Setting>,
    /// Whether it has session persistence.
    pub session_persistence: bool,
    /// Where copies of requests go.
    pub mirrors: Vec<Mirror>,
}

/// A backend that gets copies of a rule's requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mirror {
    /// The position of the filter among the rule's filters.
    pub filter: usize,
    /// The backend.
    pub target: Target,
    /// Its port.
    pub port: Option<i64>,
}

/// One of a rule's backends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// The backend.
    pub target: Target,
    /// Its port.
    pub port: Option<i64>,
    /// Its share of the requests; 1 where nothing is said.
    pub weight: i64,
    /// Whether it has filters of its own.
    pub has_filters: bool,
    /// What is done to the requests that go there.
    pub settings: Vec<Setting>,
}

/// Where a match applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// This path.
    Exact(String),
    /// Paths beneath this one.
    Prefix(String),
    /// A regular expression, or what has no path.
    Any,
}

impl Route {
    /// Reads the `spec` of a route in `namespace`.
    pub fn read(meta: &ObjectMeta, namespace: &str, spec: &Value) -> Self {
        let parents = list(spec, "parentRefs").map(|parent| Parent {
            target: Target::read(parent, namespace, "gateway.networking.k8s.io", "Gateway"),
            section: text(parent, "sectionName").map(str::to_owned),
        });
        let rules = list(spec, "rules").enumerate();
        let rules = rules.map(|(i, rule)| Rule::new(i, rule, namespace));
        Self::new(meta, parents.collect(), rules.collect())
    }

    pub(super) fn new(meta: &ObjectMeta, parents: Vec<Parent>, rules: Vec<Rule>) -> Self {
        let labels = meta.labels.clone().unwrap_or_default();
        Self { version: version(meta), labels, parents, rules }
    }

    /// Without what only `check` reads, and without its version.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let backend = |it| Backend { settings: Vec::new(), ..it };
        let rule = |it: Rule| Rule {
            paths: Vec::new(),
            settings: Vec::new(),
            backends: it.backends.into_iter().map(backend).collect(),
            ..it
        };
        Self { version: None, rules: self.rules.into_iter().map(rule).collect(), ..self }
    }
}

impl Rule {
    fn new(i: usize, rule: &Value, namespace: &str) -> Self {
        let field = format!("spec.rules[{i}]");
        let backends = list(rule, "backendRefs").enumerate().map(|(j, backend)| Backend {
            target: Target::read(backend, namespace, "", "Service"),
            port: get(backend, "port").and_then(Value::as_i64),
            weight: get(backend, "weight").and_then(Value::as_i64).unwrap_or(1),
            has_filters: list(backend, "filters").next().is_some(),
            settings: route_setting::read(&format!("{field}.backendRefs[{j}]"), backend, namespace),
        });
        Self {
            name: text(rule, "name").map(str::to_owned),
            paths: list(rule, "matches").map(Path::read).collect(),
            backends: backends.collect(),
            settings: route_setting::read(&field, rule, namespace),
            session_persistence: get(rule, "sessionPersistence").is_some(),
            mirrors: list(rule, "filters")
                .enumerate()
                .filter_map(|(i, filter)| Mirror::read(i, filter, namespace))
                .collect(),
        }
    }

    /// Whether a request can match both. Paths alone are compared, so `true` may be wrong.
    pub fn may_meet(&self, other: &Self) -> bool {
        let all = [Path::Any];
        let paths = |rule: &'_ Self| match rule.paths.as_slice() {
            [] => all.to_vec(),
            some => some.to_vec(),
        };
        let others = paths(other);
        paths(self).iter().any(|path| others.iter().any(|other| path.meets(other)))
    }
}

impl Mirror {
    fn read(filter: usize, given: &Value, namespace: &str) -> Option<Self> {
        let backend = get(get(given, "requestMirror")?, "backendRef")?;
        let target = Target::read(backend, namespace, "", "Service");
        Some(Self { filter, target, port: get(backend, "port").and_then(Value::as_i64) })
    }
}

impl Path {
    fn read(given: &Value) -> Self {
        let Some(path) = get(given, "path") else { return Self::Any };
        let value = text(path, "value").unwrap_or("/").to_owned();
        match text(path, "type") {
            Some("Exact") => Self::Exact(value),
            Some("RegularExpression") => Self::Any,
            _ => Self::Prefix(value),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        // By whole elements of the path, as Gateway API has it.
        let under = |path: &str, prefix: &str| {
            let prefix = prefix.trim_end_matches('/');
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Exact(path), Self::Prefix(prefix))
            | (Self::Prefix(prefix), Self::Exact(path)) => under(path, prefix),
            (Self::Prefix(one), Self::Prefix(other)) => under(one, other) || under(other, one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Path::{Any, Exact, Prefix};
    use super::Rule;
    use serde_json::json;

    #[test]
    fn null_is_as_good_as_absent() {
        let of = |rule| Rule::new(0, &rule, "shop");
        let null = json!({"name": null, "sessionPersistence": null, "timeouts": null, "retry": null,
            "matches": [{"path": null}], "filters": [{"type": "CORS", "cors": null}],
            "backendRefs": [{"name": "cart", "namespace": null, "weight": null, "filters": null}]});
        let absent = json!({"matches": [{}], "filters": [{"type": "CORS"}], "backendRefs": [{"name": "cart"}]});
        assert_eq!(of(null), of(absent));
    }

    #[test]
    fn paths_meet_by_whole_elements() {
        let (exact, prefix) = (|p: &str| Exact(p.to_owned()), |p: &str| Prefix(p.to_owned()));
        let cases = [
            (Any, exact("/a"), true),
            (exact("/a"), exact("/a"), true),
            (exact("/a"), exact("/b"), false),
            (exact("/a/b"), prefix("/a"), true),
            (exact("/ab"), prefix("/a"), false),
            (exact("/a"), prefix("/"), true),
            (prefix("/a/"), prefix("/a/b"), true),
            (prefix("/a"), prefix("/ab"), false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(one.meets(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.meets(&one), expected, "{other:?} {one:?}");
        }
    }
}
