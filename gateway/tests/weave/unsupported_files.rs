//! Files that `patch` cannot take, and what of a file is lost.

use gateway::weave;
use serde_json::json;

use crate::build::{bootstrap, config, kind, manager, to};
use crate::{apply, notes, refused};

/// The case, and its siblings: each is told what it is, and what to give instead.
#[test]
fn not_a_bootstrap() {
    let config = config("filter-state");
    let listener = kind("config.listener.v3.Listener");
    for (given, path, message) in [
        (
            "apiVersion: v1\nkind: ConfigMap\ndata:\n  notes: x\n  envoy.yaml: |\n    static_resources: {}\n",
            "kind: \"ConfigMap\" is a Kubernetes object",
            "patch the text of its data.\"envoy.yaml\"",
        ),
        (
            "apiVersion: v1\nkind: Secret\nstringData: {e: 'admin: {}'}\n",
            "kind: \"Secret\" is",
            "stringData.\"e\"",
        ),
        (
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n",
            "kind: \"EnvoyFilter\" is",
            "`compile -o envoy-filter`",
        ),
        (
            &format!("version_info: 1\nresources: [{{\"@type\": {listener}, name: l}}]\n"),
            "resources: is at the top of a DiscoveryResponse",
            "where they are made",
        ),
        (
            &format!("\"@type\": {listener}\nname: l\n"),
            "@type: \"envoy.config.listener.v3.Listener\" is one resource",
            "the file that an Envoy is started with",
        ),
        ("{\"configs\": []}", "configs: is at the top of a dump", "/config_dump"),
        ("{\"services\": []}", "services: is at the top of the filter's own", "--config"),
        ("listeners: []\ncluster_manager: {}\n", "listeners: is at the top", "API v1"),
    ] {
        for said in [refused(given, &config), weave::remove(given).unwrap_err().to_string()] {
            assert!(said.starts_with(path) && said.contains(message), "{given}: {said}");
        }
    }
    for (given, message) in [
        (
            "dynamic_resources: {lds_config: {path_config_source: {path: /etc/envoy/lds.yaml}}}\n",
            "dynamic_resources: has the listeners come from the file /etc/envoy/lds.yaml",
        ),
        ("dynamic_resources: {lds_config: {path: /lds.yaml}}\n", "from the file /lds.yaml"),
        ("dynamic_resources: {lds_config: {ads: {}}}\n", "come from ADS"),
        ("dynamic_resources: {lds_config: {api_config_source: {}}}\n", "come from LDS"),
        (
            "a: 1\nb: 2\n",
            "the Envoy configuration: has none of the fields of a bootstrap (static_resources",
        ),
        ("{}", "but nothing"),
        (
            "static_resources: {listeners: []}\n",
            "hold no HTTP connection manager that could be patched",
        ),
        ("{{- if .Values.on }}\nadmin: {}\n", "is a template ({{ in line 1)"),
        (
            "admin:\n  port: {{ .Values.port }}\n",
            "is a template ({{ in line 2), not yet a configuration",
        ),
        ("a: b\n{% if x %}\n", "is a template ({% in line 2)"),
    ] {
        let said = refused(given, &config);
        assert!(said.contains(message), "{given}: {said}");
    }
    // What a template holds may stand in a text of a configuration.
    let lua = bootstrap(&[manager(&[to("reviews")])]).to_string().replace("edge", "{{ }}");
    assert_eq!(notes(&apply(&lua, &config).report), "");
}

/// The case: Envoy merges nothing.
#[test]
fn merge_key() {
    let config = config("filter-state");
    let yaml = "a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n";
    let said = refused(yaml, &config);
    assert!(said.contains("line 3: the merge key << has no meaning to Envoy"), "{said}");
    assert!(weave::remove(yaml).is_err());
    // As text it is a name like any other.
    let quoted = "node: {metadata: {\"<<\": a, b: <<}}\n";
    assert!(weave::remove(quoted).unwrap().text.contains("\"<<\": a"));
    assert!(weave::remove("{\"node\": {\"metadata\": {\"<<\": 1}}}").is_ok());
}

#[test]
fn aliases_expanded_comments_lost() {
    let lost = |yaml: &str| {
        let report = weave::remove(yaml).unwrap().report;
        let mut said = report.diagnostics.into_iter().filter(|it| it.code == mesh::Code::TextLost);
        let note = said.next().map(|note| (note.severity, note.message));
        assert_eq!(said.next(), None);
        note
    };
    let both = "# keep me\nadmin: &a {b: 1}\nnode: *a\n";
    let said = "comments are dropped, aliases are written out, and --remove does not restore them";
    assert_eq!(lost(both), Some((mesh::Severity::Info, said.to_owned())));
    assert!(lost("admin: {} # why\n").unwrap().1.starts_with("comments are dropped, and"));
    assert!(
        lost("admin: &a {}\nnode: *a\n").unwrap().1.starts_with("aliases are written out, and")
    );
    assert_eq!(lost("admin: &a {b: '#'}\n"), None);
    assert_eq!(lost("{\"admin\": \"# *a\"}"), None);
    let envoy = format!("# keep me\n{}", bootstrap(&[manager(&[to("reviews")])]));
    assert!(notes(&apply(&envoy, &config("filter-state")).report).contains("comments are dropped"));
}

/// The case: what Envoy does not take any more is named, beside what it takes and alone.
#[test]
fn old_managers_left_out() {
    let config = config("filter-state");
    let old = |filter: serde_json::Value| {
        let mut envoy = bootstrap(&[]);
        envoy["static_resources"]["listeners"][0]["name"] = json!("old");
        envoy["static_resources"]["listeners"][0]["filter_chains"] = json!([{"filters": [filter]}]);
        envoy
    };
    let v2 = "config.filter.network.http_connection_manager.v2.HttpConnectionManager";
    for (filter, message) in [
        (
            json!({"name": "any", "typed_config": {"@type": kind(v2)}}),
            format!("of another API (envoy.{v2})"),
        ),
        (
            json!({"name": "envoy.http_connection_manager", "config": {"stat_prefix": "a"}}),
            "without typed_config".to_owned(),
        ),
        (
            json!({"name": "envoy.filters.network.http_connection_manager"}),
            "without typed_config".to_owned(),
        ),
    ] {
        let mut envoy = old(filter);
        let said = refused(&envoy.to_string(), &config);
        let place = "static_resources.listeners[0].filter_chains[0].filters[0]";
        assert!(said.starts_with(place) && said.contains(&message), "{said}");
        let new =
            bootstrap(&[manager(&[to("reviews")])])["static_resources"]["listeners"][0].clone();
        envoy["static_resources"]["listeners"].as_array_mut().unwrap().push(new);
        let said = notes(&apply(&envoy.to_string(), &config).report);
        assert!(said.starts_with(&format!("Warning {place}")), "{said}");
        assert!(said.contains(&message) && said.contains("in listener \"old\""), "{said}");
    }
}
