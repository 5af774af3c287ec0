//! The resources of a control plane, as protobuf: edited by the rules of `patch`, and nothing that is not known is lost.

use std::collections::BTreeSet;
use std::path::Path;

use gateway::envoy::protobuf::{self, messages};
use gateway::envoy::{Form, yaml};
use gateway::weave::{self, Connection, Problems, Report, Resources};
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, Kind};
use serde_json::{Value, json};

use super::build::disables;
use super::envoy_api::{
    API, CLUSTER, LISTENER, MISSING, ROUTES, canonical, from_bytes, from_json, sprinkle, sprinkled,
};
use super::{live, notes, text, workspace};

/// The kinds, each with its field in the fixtures.
const KINDS: [(&str, &str); 3] =
    [("clusters", CLUSTER), ("listeners", LISTENER), ("routes", ROUTES)];

fn fixture() -> Value {
    serde_json::from_str(&text(Path::new("testdata/weave/gateway.json"))).unwrap()
}

fn config() -> String {
    text(Path::new("testdata/weave/config.json"))
}

fn forms() -> [Form; 2] {
    let mut live = live::live("shop/public");
    live.tls.as_mut().unwrap().server_name = Some("controller".to_owned());
    live::forms(&live)
}

fn lists(resources: &Resources) -> [&Vec<Vec<u8>>; 3] {
    [&resources.clusters, &resources.listeners, &resources.routes]
}

fn messages_of(fixture: &Value) -> Vec<Vec<DynamicMessage>> {
    let read = |(field, kind): (&str, &str)| {
        fixture[field].as_array().unwrap().iter().map(|json| from_json(kind, json)).collect()
    };
    KINDS.map(read).into()
}

fn encoded(messages: &[Vec<DynamicMessage>]) -> Resources {
    let list = |i: usize| messages[i].iter().map(Message::encode_to_vec).collect();
    Resources { clusters: list(0), listeners: list(1), routes: list(2) }
}

fn decoded(resources: &Resources) -> Vec<Vec<DynamicMessage>> {
    let read = |(list, (_, kind)): (&Vec<Vec<u8>>, (&str, &str))| {
        list.iter().map(|bytes| from_bytes(kind, bytes)).collect()
    };
    lists(resources).into_iter().zip(KINDS).map(read).collect()
}

fn translated_as(
    fixture: &Value,
    config: &str,
    form: &Form,
    connection: Connection,
) -> Result<(Resources, Report), Problems> {
    let policy = weave::policy(config, form).unwrap();
    weave::translate(encoded(&messages_of(fixture)), config, &policy, form, connection)
}

fn translated(fixture: &Value, config: &str) -> Result<(Resources, Report), Problems> {
    translated_as(fixture, config, &forms()[0], Connection::Address)
}

/// The fixture as the file of an Envoy without control plane: the routes stand in the listeners.
fn as_file(fixture: &Value) -> Value {
    let mut listeners = fixture["listeners"].clone();
    for_each_manager(&mut listeners, &mut |manager| {
        let rds = manager.as_object_mut().unwrap().remove("rds").unwrap();
        let routes = fixture["routes"].as_array().unwrap().iter();
        let mut named = routes.filter(|config| config["name"] == rds["route_config_name"]);
        manager["route_config"] = named.next().unwrap().clone();
    });
    json!({"static_resources": {"clusters": fixture["clusters"], "listeners": listeners}})
}

fn for_each_manager(value: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(fields) => {
            let kind = fields.get("@type").and_then(Value::as_str).unwrap_or_default();
            if kind.ends_with(".HttpConnectionManager") {
                return visit(value);
            }
            fields.values_mut().for_each(|value| for_each_manager(value, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_manager(item, visit)),
        _ => {}
    }
}

/// The same configuration in a file, by `patch`, and as resources comes out the same.
#[test]
fn resources_are_edited_as_a_file_is() {
    for form in forms() {
        for via in ["filter-state", "original-dst-header"] {
            if via != "filter-state" && matches!(form, Form::Module(_)) {
                continue;
            }
            let mut config: Value = serde_json::from_str(&config()).unwrap();
            config["forward"] = json!({"via": via});
            let config = config.to_string();
            let (resources, _) =
                translated_as(&fixture(), &config, &form, Connection::BootstrapCluster).unwrap();
            let patched = weave::apply(&as_file(&fixture()).to_string(), &config, &form).unwrap();
            let mut file: Value = serde_json::from_str(&patched.text).unwrap();
            // The routes are resources again.
            let mut configs = serde_json::Map::new();
            for_each_manager(&mut file["static_resources"]["listeners"], &mut |manager| {
                let config = manager.as_object_mut().unwrap().remove("route_config").unwrap();
                let name = config["name"].as_str().unwrap().to_owned();
                if name == "ingress_waypoint_table" {
                    manager["route_config"] = config;
                    return;
                }
                manager["rds"] = json!({"config_source": {"ads": {}, "resource_api_version": "V3"},
                                        "route_config_name": name});
                configs.insert(name, config);
            });
            let configs: Vec<Value> = configs.into_iter().map(|(_, config)| config).collect();
            let mut clusters = file["static_resources"]["clusters"].as_array().unwrap().clone();
            let controller = clusters.pop().unwrap();
            assert_eq!(controller["name"], "ingress_waypoint_xds", "which a bootstrap has");
            let expected = messages_of(&json!({
                "clusters": clusters,
                "listeners": file["static_resources"]["listeners"],
                "routes": configs,
            }));
            for (found, expected) in decoded(&resources).iter().zip(&expected) {
                let [found, expected] =
                    [found, expected].map(|list| list.iter().map(canonical).collect::<Vec<_>>());
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(found == expected, "{via}\n{found}\n---\n{expected}");
                }
            }
        }
    }
}

#[test]
fn what_is_added_to_the_resources() {
    let (resources, report) = translated(&fixture(), &config()).unwrap();
    let tcp = &encoded(&messages_of(&fixture())).listeners[3];
    assert_eq!(&resources.listeners[3], tcp, "byte for byte");
    assert_eq!(report.clusters, ["waypoint_vip", "waypoint_vip_h2"]);
    let managers: Vec<_> =
        report.connection_managers.iter().map(|it| (&*it.path, it.vip_routes)).collect();
    let filter = "filters[\"envoy.filters.network.http_connection_manager\"].typed_config";
    let at = |listener, chain| format!("listeners[\"shop/public/{listener}\"].{chain}.{filter}");
    let [http, https, quic] = [
        at("http", "default_filter_chain"),
        at("https", "filter_chains[\"shop/public/https\"]"),
        at("https-quic", "filter_chains[\"shop/public/https-quic\"]"),
    ];
    assert_eq!(managers, [(&*http, 6), (&*https, 2), (&*quic, 2)]);
    super::golden::golden(Path::new("testdata/weave/notes.txt"), &notes(&report));
    let listener = canonical(&decoded(&resources)[1][0]);
    assert!(listener.contains("target_uri: String(\"waypoint-controller.istio-system:18000\")"));
    let count = listener.matches("ingress_waypoint/shop/public").count();
    assert_eq!(count, 2, "the manager's own chain, and that of an upgrade");
}

/// Envoy takes a listener that is not the same byte for byte for another one, and drains the old one.
#[test]
fn equal_resources_become_equal_bytes() {
    let [form, _] = forms();
    let policy = weave::policy(&config(), &form).unwrap();
    let resources = encoded(&messages_of(&fixture()));
    let translate = || {
        let resources = resources.clone();
        weave::translate(resources, &config(), &policy, &form, Connection::Address).unwrap()
    };
    assert!(translate() == translate());
}

#[test]
fn nothing_that_is_not_known_is_lost() {
    for form in forms() {
        let mut messages = messages_of(&fixture());
        let mut count = 0;
        messages.iter_mut().flatten().for_each(|message| sprinkle(message, &mut count));
        assert!(count > 200, "{count}");
        let policy = weave::policy(&config(), &form).unwrap();
        let outcome =
            weave::translate(encoded(&messages), &config(), &policy, &form, Connection::Address);
        let (resources, report) = outcome.unwrap();
        assert_eq!(report.connection_managers.len(), 3);
        let mut found = Vec::new();
        decoded(&resources).iter().flatten().for_each(|message| sprinkled(message, &mut found));
        let found: BTreeSet<u64> = found.into_iter().collect();
        let lost: Vec<u64> = (1..=count).filter(|number| !found.contains(number)).collect();
        assert_eq!(lost, Vec::<u64>::new());
    }
}

/// Read and written without an edit, every message is what it was.
#[test]
fn what_is_read_is_written_again() {
    let kinds =
        [protobuf::Kind::Cluster, protobuf::Kind::Listener, protobuf::Kind::RouteConfiguration];
    let mut messages = messages_of(&fixture());
    messages.iter_mut().flatten().for_each(|message| sprinkle(message, &mut 0));
    for ((messages, kind), (_, name)) in messages.iter().zip(kinds).zip(KINDS) {
        for message in messages {
            let node = protobuf::decode(kind, &message.encode_to_vec()).unwrap();
            let bytes = protobuf::encode(kind, &node).unwrap();
            assert_eq!(canonical(&from_bytes(name, &bytes)), canonical(message));
        }
    }
}

/// Broken bytes are an error or kept; whatever is read is written again the same way.
#[test]
fn broken_resources_are_errors() {
    let resources = encoded(&messages_of(&fixture()));
    let bytes = &resources.listeners[0];
    for end in 0..bytes.len() {
        if let Ok(node) = protobuf::decode(protobuf::Kind::Listener, &bytes[..end]) {
            protobuf::encode(protobuf::Kind::Listener, &node).unwrap();
        }
        let mut broken = bytes.clone();
        broken[end] ^= 0x55;
        if let Ok(node) = protobuf::decode(protobuf::Kind::Listener, &broken) {
            let again = protobuf::encode(protobuf::Kind::Listener, &node).unwrap();
            assert_eq!(protobuf::decode(protobuf::Kind::Listener, &again).unwrap(), node);
        }
    }
    let broken = Resources { listeners: vec![vec![0x0a, 0x05]], ..Resources::default() };
    let [form, _] = forms();
    let policy = weave::policy("{}", &form).unwrap();
    let problems = weave::translate(broken, "{}", &policy, &form, Connection::Address).unwrap_err();
    assert!(problems.to_string().starts_with("listeners[0]: is not a message: "), "{problems}");
}

/// The names, numbers and types of `gateway/proto` are Envoy's.
#[test]
fn the_messages_are_those_of_envoy() {
    let mut compared = 0;
    let matchers = ["xds.type.matcher.v3.IPMatcher", "xds.type.matcher.v3.ServerNameMatcher"];
    for message in messages().all_messages() {
        let name = message.full_name();
        let missing = MISSING.contains(&message.parent_file().name());
        if missing || matchers.iter().any(|it| name.starts_with(it)) {
            continue;
        }
        let whole = API.get_message_by_name(name).unwrap_or_else(|| panic!("{name}"));
        for field in message.fields() {
            let place = field.full_name();
            let theirs = whole.get_field(field.number()).unwrap_or_else(|| panic!("{place}"));
            assert_eq!(theirs.name(), field.name(), "{place}");
            assert_eq!(theirs.cardinality(), field.cardinality(), "{place}");
            assert_eq!(theirs.supports_presence(), field.supports_presence(), "{place}");
            assert_eq!(format!("{:?}", theirs.kind()), format!("{:?}", field.kind()), "{place}");
            if let (Kind::Enum(ours), Kind::Enum(theirs)) = (field.kind(), theirs.kind()) {
                for value in ours.values() {
                    let theirs = theirs.get_value(value.number()).unwrap();
                    assert_eq!(theirs.name(), value.name(), "{place}");
                }
            }
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}

/// Every field that the rules read is a field of `gateway/proto`, unless it is one that only a bootstrap or Envoy's
/// files have.
#[test]
fn the_rules_see_every_field_that_they_read() {
    // Of a bootstrap.
    const BOOTSTRAP: &[&str] = &[
        "static_resources",
        "dynamic_resources",
        "cds_config",
        "lds_config",
        "lds_resources_locator",
        "stats_config",
        "stats_tags",
        "tag_name",
        "layered_runtime",
        "layers",
        "admin_layer",
        "node",
        "admin",
        "id",
        "ads",
        "path",
        "path_config_source",
        "configs",
        "listeners",
    ];
    // Names, and fields of the filter's own configuration and of other files.
    const OTHER: &[&str] = &[
        "clusters_before",
        "added",
        "in_empty",
        "in_null",
        "ingress_waypoint_in_empty_list",
        "ingress_waypoint_in_null",
        "ingress_waypoint_admin",
        "services",
        "resources",
        "file",
        "table",
        "namespace",
        "ports",
        "protocol",
        "http2",
        "kind",
        "data",
        "false",
        "no",
        "off",
        "n",
        "proto",
        "nothing",
        "true",
        // Beside `cluster` it tells what an extension asks from where connections go, and those are not read.
        "uri",
    ];
    let known: BTreeSet<String> = messages()
        .all_messages()
        .flat_map(|message| {
            message.fields().map(|field| field.name().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let mut read = BTreeSet::new();
    for entry in std::fs::read_dir(workspace().join("gateway/src/weave")).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let code: String = source
            .split("#[cfg(test)]")
            .next()
            .unwrap()
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        for literal in code.split('"').skip(1).step_by(2) {
            let first = literal.starts_with(|c: char| c.is_ascii_lowercase());
            if first
                && literal.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
            {
                read.insert(literal.to_owned());
            }
        }
    }
    assert!(read.len() > 60, "{read:?}");
    let unknown: Vec<_> = read.iter().filter(|name| !known.contains(*name)).collect();
    let unknown: Vec<_> = unknown
        .into_iter()
        .filter(|it| !BOOTSTRAP.contains(&it.as_str()) && !OTHER.contains(&it.as_str()))
        .collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

#[test]
fn the_gateway_is_known_by_the_metadata_of_its_virtual_hosts() {
    let gateways = |fixture: &Value| encoded(&messages_of(fixture)).gateways();
    let mut fixture = fixture();
    assert_eq!(gateways(&fixture).unwrap(), BTreeSet::from(["shop/public".to_owned()]));
    let resources = "/virtual_hosts/0/metadata/filter_metadata/envoy-gateway/resources/0";
    fixture["routes"][1].pointer_mut(resources).unwrap()["name"] = json!("other");
    let both = ["shop/other", "shop/public"].map(str::to_owned);
    assert_eq!(gateways(&fixture).unwrap(), BTreeSet::from(both));
    // Whose it is has to be known.
    fixture["routes"][1].pointer_mut(resources).unwrap()["kind"] = json!("Other");
    let problems = gateways(&fixture).unwrap_err().to_string();
    assert!(problems.contains("routes[\"shop/public/https\"].virtual_hosts"), "{problems}");
    fixture["routes"] = json!([]);
    assert_eq!(gateways(&fixture).unwrap(), BTreeSet::new());
}

fn refused(fixture: &Value) -> String {
    translated(fixture, &config()).unwrap_err().to_string()
}

#[test]
fn what_keeps_a_required_service_from_its_waypoint_is_refused() {
    let filter = "ingress_waypoint/shop/public";
    let mut disabled = fixture();
    let route = &mut disabled["routes"][0]["virtual_hosts"][0]["routes"][0];
    route["typed_per_filter_config"] = disables(filter);
    let problems = refused(&disabled);
    let path = "routes[\"shop/public/http\"].virtual_hosts[\"shop/public/http/shop_example_com\"]\
                .routes[\"httproute/shop/cart/rule/0/match/0/shop_example_com\"]\
                .typed_per_filter_config.ingress_waypoint/shop/public: disables the filter";
    assert!(problems.starts_with(path), "{problems}");
    assert!(problems.contains("shop/cart, which is required"), "{problems}");
    // For a service that opted in it is a warning.
    let mut disabled = fixture();
    let route = &mut disabled["routes"][1]["virtual_hosts"][0]["routes"][0];
    route["typed_per_filter_config"] = disables(filter);
    let (_, report) = translated(&disabled, &config()).unwrap();
    let notes = notes(&report);
    assert_eq!(notes.matches("disables the filter").count(), 1, "{notes}");
    assert!(notes.contains("Warning routes[\"shop/public/https\"]"), "{notes}");

    let mut overwritten = fixture();
    overwritten["routes"][0]["virtual_hosts"][0]["request_headers_to_add"] =
        json!([{"header": {"key": "x-ingress-waypoint-protocol", "value": "http2"}}]);
    assert!(refused(&overwritten).contains("only the filter may set"));

    let mut without = fixture();
    let manager = "/default_filter_chain/filters/0/typed_config/http_filters";
    let filters = without["listeners"][0].pointer_mut(manager).unwrap().as_array_mut().unwrap();
    filters.pop();
    assert!(refused(&without).contains("does not end with a router"));
}

#[test]
fn names_of_ours_are_refused() {
    let taken = |kind: usize, name: &str| {
        let field = KINDS[kind].0;
        let mut fixture = fixture();
        fixture[field][0]["name"] = json!(name);
        let problems = refused(&fixture);
        assert!(
            problems.starts_with(&format!("{field}[{name:?}].name: {name:?} is taken")),
            "{problems}"
        );
    };
    taken(0, "waypoint_vip");
    taken(0, "waypoint_vip_h2");
    taken(1, "ingress_waypoint_table");
    let (twice, _) = translated(&fixture(), &config()).unwrap();
    let [form, _] = forms();
    let policy = weave::policy(&config(), &form).unwrap();
    let problems =
        weave::translate(twice, &config(), &policy, &form, Connection::Address).unwrap_err();
    assert!(problems.to_string().contains("is taken by"), "{problems}");
}

#[test]
fn without_http_everything_stays() {
    let mut fixture = fixture();
    fixture["listeners"].as_array_mut().unwrap().drain(..3);
    for form in forms() {
        let before = encoded(&messages_of(&fixture));
        let policy = weave::policy(&config(), &form).unwrap();
        let (resources, report) =
            weave::translate(before.clone(), &config(), &policy, &form, Connection::Address)
                .unwrap();
        assert!(resources == before);
        assert!(notes(&report).contains("shop/mysql"), "a bypass that is reported");
    }
    let none = json!({"clusters": [], "listeners": [], "routes": []});
    let (resources, report) = translated(&none, "{}").unwrap();
    assert_eq!((resources, report), (Resources::default(), Report::default()));
}

/// A route configuration that a listener names and that is not there belongs to another source.
#[test]
fn a_route_configuration_that_is_not_there_is_reported() {
    let mut fixture = fixture();
    let routes = fixture["routes"].as_array_mut().unwrap();
    routes.remove(1);
    let (resources, report) = translated(&fixture, &config()).unwrap();
    assert_eq!(resources.routes.len(), 1);
    let notes = notes(&report);
    assert!(
        notes.contains("the routes of listener \"shop/public/https\" come from RDS"),
        "{notes}"
    );
}

/// Settings that only a tree of Envoy's own file can have are read as Envoy reads them.
#[test]
fn the_fixture_is_what_a_file_could_hold() {
    assert!(yaml::read(&as_file(&fixture()).to_string()).is_ok());
}

/// An empty `Any` is how Envoy is told that a filter runs.
#[test]
fn an_empty_any_is_an_empty_object() {
    // typed_per_filter_config: {filter: FilterConfig {config: {}}}
    let config = b"\n\0";
    let url = b"type.googleapis.com/envoy.config.route.v3.FilterConfig";
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let any = [&[0x0a, length(url)], &url[..], &[0x12, length(config)], config].concat();
    let entry = [b"\n\x06filter\x12", &[length(&any)][..], &any].concat();
    let bytes = [&[0x82, 0x01, length(&entry)][..], &entry].concat();
    let node = protobuf::decode(protobuf::Kind::RouteConfiguration, &bytes).unwrap();
    let config = node.get("typed_per_filter_config").and_then(|configs| configs.get("filter"));
    assert!(config.unwrap().get("config").unwrap().map().unwrap().is_empty());
    assert_eq!(protobuf::encode(protobuf::Kind::RouteConfiguration, &node).unwrap(), bytes);
}
