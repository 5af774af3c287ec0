//! What is read as YAML or JSON and written again is the same, to Envoy and to every other reader;
//! and what `patch` adds to any configuration it removes again.
use gateway::envoy::Form;
use gateway::envoy::tree::Node;
use gateway::envoy::{json, yaml};
use gateway::weave;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Words that a reader may take for something else than text.
const HARD: &str =
    "on yes N null ~ 1.10 010 0x1f 1e3 .inf 1:30 - << 2001-12-14 --- ... %a @a `a {a *a &a !a |";

/// The same with blanks and line breaks.
const HARDER: [&str; 13] = [
    "",
    "a: b",
    "a #b",
    "- a",
    "? a",
    "a\n",
    "a\n\n",
    "\na",
    " a\nb\n",
    "a\n b\n\nc",
    "a\r\nb",
    "a\u{85}b",
    "\u{feff}a",
];

/// Text that is hard on a writer.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[a-z:# \\n\\t'\"\\\\-]{0,10}",
        any::<String>(),
        prop::sample::select(Vec::from_iter(HARD.split(' ').chain(HARDER))).prop_map(str::to_owned),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(|float: f64| Value::from(float)),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    scalar.prop_recursive(5, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A route with settings, its own filter state, several clusters, or none.
fn route() -> impl Strategy<Value = Value> {
    let action = prop_oneof![
        Just(json!({"route": {"cluster": "a", "timeout": "0.25s"}})),
        Just(
            json!({"route": {"priority": "HIGH", "cluster_header": "x-a"}, "request_headers_to_remove": ["a"]})
        ),
        Just(
            json!({"route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1}, {"name": "b"}]}}})
        ),
        Just(
            json!({"route": {"weightedClusters": {"clusters": [{"name": "a", "requestHeadersToRemove": ["a"]}]}}})
        ),
        Just(json!({"route": {"cluster_specifier_plugin": "a"}})),
        Just(json!({"redirect": {}})),
        Just(json!({"direct_response": {"status": 200}})),
        Just(json!({"route": {}})),
    ];
    let matches = prop_oneof![
        Just(json!({"prefix": "/"})),
        Just(json!({"path": "/a", "headers": [{"name": "a", "present_match": true}]})),
        Just(
            json!({"prefix": "/", "filter_state": [{"key": "a", "string_match": {"exact": "b"}}]})
        ),
        Just(json!({"prefix": "/", "filterState": null, "headers": []})),
    ];
    let metadata = prop_oneof![
        tree(),
        tree().prop_map(|inner| json!({"filter_metadata": inner})),
        tree()
            .prop_map(|inner| json!({"filterMetadata": {"ingress_waypoint": inner, "other": {}}})),
        tree()
            .prop_map(|inner| json!({"filter_metadata": {"ingress_waypoint": {"service": inner}}})),
    ];
    let metadata = prop_oneof![Just(None), metadata.prop_map(Some)];
    (action, matches, metadata).prop_map(|(mut route, matches, metadata)| {
        route["match"] = matches;
        if let Some(metadata) = metadata {
            route["metadata"] = metadata;
        }
        route
    })
}

fn manager() -> impl Strategy<Value = Value> {
    let filters = prop_oneof![
        Just(json!([{"name": "envoy.filters.http.router"}])),
        Just(json!([{"name": "cors"}, {"name": "r", "typed_config":
            {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}])),
    ];
    let hosts = prop::collection::vec(prop::collection::vec(route(), 0..4), 0..3);
    let early = prop_oneof![
        Just(None),
        Just(Some(json!([]))),
        Just(Some(Value::Null)),
        Just(Some(json!([{"name": "a"}])))
    ];
    let upgrades = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!([{"upgrade_type": "a"}, {"upgrade_type": "b", "filters": []}])),
        filters.clone().prop_map(|filters| json!([{"upgrade_type": "a", "filters": filters}])),
    ];
    let parts = (filters, upgrades, hosts, early, any::<bool>());
    parts.prop_map(|(filters, upgrades, hosts, early, rds)| {
        let mut manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "http_filters": filters,
            "upgrade_configs": upgrades,
        });
        let hosts: Vec<_> = hosts.into_iter().map(|routes| json!({"routes": routes})).collect();
        manager[if rds { "rds" } else { "route_config" }] = json!({"virtual_hosts": hosts});
        if let Some(early) = early {
            manager["early_header_mutation_extensions"] = early;
        }
        manager
    })
}

fn bootstrap() -> impl Strategy<Value = Value> {
    let clusters = prop_oneof![
        Just(None),
        Just(Some(json!([]))),
        Just(Some(Value::Null)),
        Just(Some(json!([{"name": "a", "type": "ORIGINAL_DST"}]))),
    ];
    let stats = prop_oneof![
        Just(None),
        Just(Some(json!({}))),
        Just(Some(Value::Null)),
        Just(Some(json!({"stats_tags": []}))),
        Just(Some(json!({"stats_tags": [{"tag_name": "decision"}], "histogram": 1}))),
        Just(Some(json!({"a": 1}))),
    ];
    let managers = prop::collection::vec(manager(), 1..3);
    (managers, clusters, stats, tree()).prop_map(|(managers, clusters, stats, other)| {
        let filters: Vec<_> = managers.iter().map(|m| json!({"typed_config": m})).collect();
        let mut root = json!({"other": other, "static_resources": {"listeners": [
            {"name": "a", "filter_chains": [{"filters": filters}], "api_listener": {"api_listener": managers[0]}},
        ]}});
        if let Some(clusters) = clusters {
            root["static_resources"]["clusters"] = clusters;
        }
        if let Some(stats) = stats {
            root["stats_config"] = stats;
        }
        root
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn yaml_comes_back(value in tree()) {
        let node = Node::from(&value);
        let written = yaml::write(&node);
        prop_assert_eq!(&yaml::read(&written).unwrap(), &node, "{}", written);
        // Another reader sees the same.
        let read: Value = serde_saphyr::from_str(&written)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
        prop_assert_eq!(&read, &value, "{}", written);
    }

    #[test]
    fn json_comes_back(value in tree()) {
        let written = json::write(&Node::from(&value));
        prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
        prop_assert_eq!(json::write(&serde_json::from_str(&written).unwrap()), written);
    }

    #[test]
    fn reading_never_panics(text in any::<String>(), yamlish in "[-a:\\[\\]{}&*!|>'\"# \\n,?~1]{0,40}") {
        let _ = yaml::read(&text);
        if let Ok(node) = yaml::read(&yamlish) {
            let written = yaml::write(&node);
            prop_assert_eq!(yaml::read(&written), Ok(node), "{:?} as {:?}", yamlish, written);
        }
    }

    #[test]
    fn whatever_is_patched_comes_back(root in bootstrap(), header in any::<bool>(), as_json in any::<bool>()) {
        let via = if header { "original-dst-header" } else { "filter-state" };
        let config = json!({"forward": {"via": via}, "services": [{"namespace": "a", "name": "a", "vips": ["10.0.0.1"],
            "ports": [{"number": 80}], "clusters": ["a"]}]}).to_string();
        let node = Node::from(&root);
        let original = if as_json { json::write(&node) } else { yaml::write(&node) };
        let patched = weave::apply(&original, &config, &Form::default()).unwrap();
        prop_assert!(patched.text != original);
        let again = weave::apply(&patched.text, &config, &Form::default()).unwrap();
        prop_assert_eq!(&again, &patched);
        prop_assert_eq!(weave::remove(&patched.text).unwrap().text, original);
        for manager in &patched.report.connection_managers {
            prop_assert_eq!(manager.vip_routes, manager.routes * 2);
        }
    }
}
