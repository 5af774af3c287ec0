//! The facts of an Istio VirtualService: a route whose backends are named by host.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::objects::key::Key;
use crate::objects::route::{Backend, Parent, Path, Route, Rule};
use crate::objects::route_reference::{Target, get, list, text};
use crate::objects::route_setting::{Change, Does, Setting, UrlPart};

/// The gateway that stands for the proxies of the mesh, and the only one if none is named.
const MESH: &str = "mesh";

/// A field, and what it means.
type Field = (&'static str, fn(&Value, &str) -> Vec<Does>);

/// The fields of a route that change requests.
const OF_ROUTE: &[Field] = &[
    ("corsPolicy", |_, _| vec![Does::Cors]),
    ("fault", |_, _| vec![Does::Fault]),
    ("headers", headers),
    ("mirror", |mirror, namespace| vec![Does::Mirror(destination(mirror, namespace))]),
    ("mirrors", mirrors),
    ("retries", retries),
    ("rewrite", rewrites),
    ("timeout", |_, _| vec![Does::Timeout]),
];

/// Those of one of its destinations.
const OF_DESTINATION: &[Field] = &[("destination", subset), ("headers", headers)];

/// Reads the `spec` of a VirtualService in `namespace`. Routes of TCP and TLS are left out: the filter sees neither.
pub fn route(meta: &ObjectMeta, namespace: &str, spec: &Value) -> Route {
    let gateways = list(spec, "gateways").filter_map(Value::as_str).filter(|name| *name != MESH);
    let parents = gateways.map(|name| {
        let (namespace, name) = name.split_once('/').unwrap_or((namespace, name));
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        Parent { target: Target::IstioGateway(key), section: None }
    });
    let rules = list(spec, "http").enumerate();
    Route::new(meta, parents.collect(), rules.map(|(i, it)| rule(i, it, namespace)).collect())
}

fn rule(i: usize, rule: &Value, namespace: &str) -> Rule {
    let field = format!("spec.http[{i}]");
    let backends = list(rule, "route").enumerate().map(|(j, it)| {
        let to = get(it, "destination").unwrap_or(&Value::Null);
        Backend {
            target: destination(to, namespace),
            port: get(to, "port").and_then(|port| get(port, "number")).and_then(Value::as_i64),
            weight: get(it, "weight").and_then(Value::as_i64).unwrap_or(1),
            has_filters: false,
            settings: read(OF_DESTINATION, &format!("{field}.route[{j}]"), it, namespace),
        }
    });
    let delegate = get(rule, "delegate").map(|delegate| Backend {
        target: Target::VirtualService(Key {
            namespace: text(delegate, "namespace").unwrap_or(namespace).to_owned(),
            name: text(delegate, "name").unwrap_or_default().to_owned(),
        }),
        port: None,
        weight: 1,
        has_filters: false,
        settings: Vec::new(),
    });
    Rule {
        name: text(rule, "name").map(str::to_owned),
        paths: list(rule, "match").map(path).collect(),
        backends: backends.chain(delegate).collect(),
        mirrors: Vec::new(),
        settings: read(OF_ROUTE, &field, rule, namespace),
        session_persistence: false,
    }
}

fn read(fields: &[Field], at: &str, owner: &Value, namespace: &str) -> Vec<Setting> {
    let given = fields.iter().filter_map(|(name, does)| Some((name, does, get(owner, name)?)));
    let settings = given.flat_map(|(name, does, value)| {
        let field = format!("{at}.{name}");
        does(value, namespace).into_iter().map(move |does| Setting { field: field.clone(), does })
    });
    settings.collect()
}

fn destination(to: &Value, namespace: &str) -> Target {
    text(to, "host").map_or(Target::Other, |host| Target::of_host(host, namespace))
}

fn subset(to: &Value, _: &str) -> Vec<Does> {
    text(to, "subset").map(|name| Does::Subset(name.to_owned())).into_iter().collect()
}

fn mirrors(mirrors: &Value, namespace: &str) -> Vec<Does> {
    let to = mirrors.as_array().into_iter().flatten().filter_map(|it| get(it, "destination"));
    to.map(|to| Does::Mirror(destination(to, namespace))).collect()
}

fn retries(retries: &Value, _: &str) -> Vec<Does> {
    vec![Does::Retry { attempts: get(retries, "attempts").and_then(Value::as_i64) }]
}

fn rewrites(rewrite: &Value, _: &str) -> Vec<Does> {
    let fields = [
        ("uri", UrlPart::Path),
        ("uriRegexRewrite", UrlPart::Path),
        ("authority", UrlPart::Hostname),
    ];
    let given = fields.into_iter().filter(|(field, _)| get(rewrite, field).is_some());
    given.map(|(_, part)| Does::Rewrite(part)).collect()
}

fn headers(headers: &Value, _: &str) -> Vec<Does> {
    let mut found = Vec::new();
    for (of, response) in [("request", false), ("response", true)] {
        let Some(changes) = get(headers, of) else { continue };
        let mut add = |name: &str, change| {
            found.push(Does::Header { response, name: name.to_ascii_lowercase(), change });
        };
        let named = |field| get(changes, field).and_then(Value::as_object).into_iter().flatten();
        for (name, value) in named("set") {
            add(name, Change::Set(value.as_str().unwrap_or_default().to_owned()));
        }
        for (name, _) in named("add") {
            add(name, Change::Add);
        }
        for name in list(changes, "remove").filter_map(Value::as_str) {
            add(name, Change::Remove);
        }
    }
    found
}

/// A prefix is one of the text here, not of whole elements.
fn path(given: &Value) -> Path {
    let exact = get(given, "uri").and_then(|uri| text(uri, "exact"));
    exact.map_or(Path::Any, |path| Path::Exact(path.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(spec: &Value) -> Route {
        route(&ObjectMeta::default(), "shop", spec)
    }

    fn key(namespace: &str, name: &str) -> Key {
        Key { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn gateways_are_parents_and_the_mesh_is_none() {
        let parents = |gateways: Value| {
            let route = read(&json!({"gateways": gateways}));
            route.parents.into_iter().map(|parent| parent.target).collect::<Vec<_>>()
        };
        assert_eq!(parents(json!(null)), []);
        assert_eq!(parents(json!(["mesh"])), []);
        let expected =
            ["shop", "infra"].map(|namespace| Target::IstioGateway(key(namespace, "gw")));
        assert_eq!(parents(json!(["gw", "mesh", "infra/gw"])), expected);
    }

    #[test]
    fn destinations_are_services_hosts_and_delegates() {
        let destination = |host| json!({"destination": {"host": host, "port": {"number": 80}}});
        let route = read(&json!({"http": [
            {"route": [destination("cart"), destination("Cart.shop.svc.cluster.local")]},
            {"delegate": {"name": "more"}},
            {"delegate": {"name": "more", "namespace": "infra"}},
            {"redirect": {"uri": "/"}},
        ]}));
        let targets = route.rules.iter().map(|rule| {
            rule.backends.iter().map(|backend| backend.target.clone()).collect::<Vec<_>>()
        });
        let cart = Target::Service(key("shop", "cart"));
        let expected = [
            vec![cart, Target::Host("cart.shop.svc.cluster.local".to_owned())],
            vec![Target::VirtualService(key("shop", "more"))],
            vec![Target::VirtualService(key("infra", "more"))],
            vec![],
        ];
        assert_eq!(targets.collect::<Vec<_>>(), expected);
        assert_eq!(route.rules.first().unwrap().backends.first().unwrap().port, Some(80));
    }

    #[test]
    fn each_field_is_a_setting() {
        let header =
            |response, name: &str, change| Does::Header { response, name: name.to_owned(), change };
        let mirror = || Does::Mirror(Target::Service(key("shop", "copy")));
        let cases = [
            (json!({"fault": {"abort": {"httpStatus": 418}}}), vec![Does::Fault]),
            (json!({"timeout": "3s"}), vec![Does::Timeout]),
            (json!({"corsPolicy": {}}), vec![Does::Cors]),
            (json!({"retries": {"attempts": 5}}), vec![Does::Retry { attempts: Some(5) }]),
            (json!({"rewrite": {"uri": "/"}}), vec![Does::Rewrite(UrlPart::Path)]),
            (
                json!({"rewrite": {"uriRegexRewrite": {}, "authority": "a"}}),
                vec![Does::Rewrite(UrlPart::Path), Does::Rewrite(UrlPart::Hostname)],
            ),
            (json!({"mirror": {"host": "copy"}}), vec![mirror()]),
            (json!({"mirrors": [{"destination": {"host": "copy"}}]}), vec![mirror()]),
            (
                json!({"headers": {"request": {"set": {"X-A": "1"}, "add": {"b": "2"}, "remove": ["c"]}}}),
                vec![
                    header(false, "x-a", Change::Set("1".to_owned())),
                    header(false, "b", Change::Add),
                    header(false, "c", Change::Remove),
                ],
            ),
            (
                json!({"headers": {"response": {"remove": ["d"]}}}),
                vec![header(true, "d", Change::Remove)],
            ),
            (json!({"timeout": null, "name": "a", "match": [], "route": []}), vec![]),
        ];
        for (rule, expected) in cases {
            let route = read(&json!({"http": [rule]}));
            let found = route.rules.into_iter().flat_map(|rule| rule.settings);
            assert_eq!(found.map(|setting| setting.does).collect::<Vec<_>>(), expected, "{rule}");
        }
    }

    #[test]
    fn a_destination_has_settings_of_its_own() {
        let to = json!({"destination": {"host": "cart", "subset": "v2"}, "headers": {"request": {"remove": ["a"]}}});
        let route = read(&json!({"http": [{"route": [to]}]}));
        let settings = route.rules.iter().flat_map(|rule| &rule.backends).flat_map(|b| &b.settings);
        let fields: Vec<_> = settings.map(|setting| setting.field.as_str()).collect();
        assert_eq!(fields, ["spec.http[0].route[0].destination", "spec.http[0].route[0].headers"]);
    }
}
