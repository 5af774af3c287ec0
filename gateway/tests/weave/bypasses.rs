//! Requests that do not pass the filter: connections, and clusters that a client chooses.

use serde_json::{Value, json};

use crate::build::{HERE, HOST, bootstrap, config, kind, manager, split, to};
use crate::{apply, apply_as, module, notes};

fn with(filter: &Value) -> String {
    let mut envoy = bootstrap(&[manager(&[to("ratings")])]);
    let tcp = json!({"name": "tcp", "filter_chains": [{"filters": [filter]}]});
    envoy["static_resources"]["listeners"].as_array_mut().unwrap().push(tcp);
    envoy.to_string()
}

fn network(name: &str, config: Value) -> Value {
    json!({"name": name, "typed_config": config})
}

fn proxy(kind: &str, fields: Value) -> Value {
    let mut config = json!({"@type": self::kind(&format!("extensions.filters.{kind}"))});
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    network("forwards", config)
}

const TCP: &str = "network.tcp_proxy.v3.TcpProxy";
const PLACE: &str = "static_resources.listeners[1].filter_chains[0].filters[0].typed_config";

/// The case, and all other filters that lead to a cluster.
#[test]
fn tcp_proxy_to_a_required_service() {
    let legs = |name: &str| json!({"clusters": [{"name": "ratings", "weight": 1}, {"name": name, "weight": 1}]});
    let filters = |name: &str| {
        let to = json!({"cluster": name});
        let state = json!({"object_key": "envoy.tcp_proxy.cluster",
            "format_string": {"text_format_source": {"inline_string": name}}});
        let delegate = json!({"@type": kind("extensions.common.matching.v3.ExtensionWithMatcher"),
            "extension_config": proxy(TCP, to.clone())});
        let proxies = [
            (TCP, to.clone(), "cluster"),
            (TCP, json!({"weighted_clusters": legs(name)}), "weighted_clusters.clusters[1].name"),
            (
                "network.redis_proxy.v3.RedisProxy",
                json!({"prefix_routes": {"catch_all_route": to}}),
                "prefix_routes.catch_all_route.cluster",
            ),
            (
                "network.thrift_proxy.v3.ThriftProxy",
                json!({"route_config": {"routes": [{"route": {"weighted_clusters": legs(name)}}]}}),
                "route_config.routes[0].route.weighted_clusters.clusters[1].name",
            ),
            (
                "network.dubbo_proxy.v3.DubboProxy",
                json!({"route_config": [{"routes": [{"route": to}]}]}),
                "route_config[0].routes[0].route.cluster",
            ),
            (
                "udp.udp_proxy.v3.UdpProxyConfig",
                json!({"matcher": {"on_no_match": {"action": {"typed_config": to}}}}),
                "matcher.on_no_match.action.typed_config.cluster",
            ),
            (
                "network.set_filter_state.v3.Config",
                json!({"on_new_connection": [state]}),
                "on_new_connection[0].format_string",
            ),
        ];
        let mut all: Vec<_> = proxies.map(|(kind, fields, at)| (proxy(kind, fields), at)).into();
        all.push((network("delegate", delegate), "extension_config.typed_config.cluster"));
        all
    };
    for (cluster, who) in
        [("reviews", "shop/reviews, which is required"), ("cart", "shop/cart, which opted in")]
    {
        for (filter, field) in filters(cluster) {
            for form in [crate::Form::default(), module()] {
                let said = notes(&apply_as(&form, &with(&filter), &config("filter-state")).report);
                let name = filter["name"].as_str().unwrap();
                let expected = format!(
                    "Warning {PLACE}.{field}: in listener \"tcp\" the filter \"{name}\" leads to the \
                     cluster \"{cluster}\" of {who}: no HTTP filter sees these connections, which bypass \
                     the waypoint\n"
                );
                assert_eq!(said, expected);
            }
        }
    }
    for cluster in ["ratings", "other"] {
        for (filter, _) in filters(cluster) {
            let said = notes(&apply(&with(&filter), &config("filter-state")).report);
            assert!(!said.contains("leads to the cluster"), "{filter}: {said}");
        }
    }
    // What a filter asks by itself is not the way of a connection.
    let asks = proxy("network.x.v3.X", json!({"server": {"uri": "a", "cluster": "reviews"}}));
    assert_eq!(notes(&apply(&with(&asks), &config("filter-state")).report), "");
}

/// Which is reached, by tcp_proxy alone, and is not looked for among clusters that nobody knows.
#[test]
fn a_service_that_only_tcp_reaches_is_not_missed() {
    let mut envoy: Value =
        serde_json::from_str(&with(&proxy(TCP, json!({"cluster": "reviews"})))).unwrap();
    let routes = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    *envoy.pointer_mut(routes).unwrap() = json!([to("other"), to("cart")]);
    let said = notes(&apply(&envoy.to_string(), &config("filter-state")).report);
    assert!(said.contains("the filter \"forwards\" leads to the cluster \"reviews\""), "{said}");
    assert!(!said.contains("no route is known to lead to"), "{said}");
}

#[test]
fn a_cluster_made_of_a_required_services_is_said() {
    let mut envoy = bootstrap(&[manager(&[to("all"), to("reviews"), to("cart")])]);
    let all = json!({"name": "all", "connect_timeout": "1s", "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": {
            "@type": kind("extensions.clusters.aggregate.v3.ClusterConfig"),
            "clusters": ["ratings", "reviews"]}}});
    envoy["static_resources"]["clusters"].as_array_mut().unwrap().push(all);
    let said = notes(&apply(&envoy.to_string(), &config("filter-state")).report);
    let made = "the cluster \"all\" is made of clusters of shop/reviews, which is required";
    assert!(said.contains(made), "{said}");
}

#[test]
fn what_a_discovered_filter_has_by_default_is_seen() {
    let config = json!({"@type": kind("extensions.filters.network.tcp_proxy.v3.TcpProxy"), "cluster": "reviews"});
    let filter = json!({"name": "later", "config_discovery": {"default_config": config}});
    let said = notes(&apply(&with(&filter), &crate::build::config("filter-state")).report);
    assert!(said.contains("the filter \"later\" leads to the cluster \"reviews\""), "{said}");
}

#[test]
fn a_cluster_that_a_connection_chooses_is_said() {
    let sni = proxy("network.sni_cluster.v3.SniCluster", json!({}));
    let state = proxy(
        "network.set_filter_state.v3.Config",
        json!({"on_new_connection": [
        {"object_key": "envoy.tcp_proxy.cluster", "format_string": {"text_format_source": {"inline_string": "%REQUESTED_SERVER_NAME%"}}}]}),
    );
    let thrift = proxy(
        "network.thrift_proxy.v3.ThriftProxy",
        json!({"route_config": {"routes": [{"route": {"cluster_header": "x-c"}}]}}),
    );
    for (filter, by) in [
        (sni, "the server name that a client asks for"),
        (state, "what %REQUESTED_SERVER_NAME% is"),
        (thrift, "the header x-c"),
    ] {
        let said = notes(&apply(&with(&filter), &config("filter-state")).report);
        assert!(said.starts_with("Warning ") && said.contains(by), "{said}");
        assert!(said.contains("in listener \"tcp\""), "{said}");
    }
}

/// The case: said, and decided as it should be.
#[test]
fn cluster_by_a_clients_header() {
    let mut plain = to("");
    plain["route"] = json!({"cluster_header": "x-tenant-cluster"});
    let mut weighted = split(&["ratings", "x"]);
    weighted["route"]["weighted_clusters"]["clusters"][1] =
        json!({"cluster_header": "x-tenant-cluster", "weight": 1});
    for (route, field) in
        [(plain, "cluster_header"), (weighted, "weighted_clusters.clusters[1].cluster_header")]
    {
        let envoy = bootstrap(&[manager(&[route])]).to_string();
        for form in [crate::Form::default(), module()] {
            let said = notes(&apply_as(&form, &envoy, &config("filter-state")).report);
            let place = format!("Info {HERE}.{HOST}.routes[0].route.{field}: ");
            assert!(said.starts_with(&place), "{said}");
            assert!(said.contains("x-tenant-cluster"), "{said}");
            assert!(said.contains("forged-destination"), "{said}");
        }
    }
}

/// The case, and all else that goes by a header which is removed from every request.
#[test]
fn own_header_routing_broken() {
    let header = "X-Envoy-Original-Dst-Host";
    let by_default = json!({"use_http_header": true});
    let by_name = json!({"use_http_header": true, "http_header_name": header});
    let off = json!({"use_http_header": false});
    let other = json!({"use_http_header": true, "http_header_name": "x-mine"});
    for (lb, broken) in [(by_default, true), (by_name, true), (off, false), (other, false)] {
        let mut envoy = bootstrap(&[manager(&[to("pods"), to("reviews")])]);
        let pods = json!({"name": "pods", "type": "ORIGINAL_DST", "original_dst_lb_config": lb});
        envoy["static_resources"]["clusters"].as_array_mut().unwrap().push(pods);
        let said = notes(&apply(&envoy.to_string(), &config("original-dst-header")).report);
        let place =
            "Warning static_resources.clusters[4].original_dst_lb_config: the cluster \"pods\"";
        assert_eq!(said.contains(place), broken, "{lb}: {said}");
        for form in [crate::Form::default(), module()] {
            let said = notes(&apply_as(&form, &envoy.to_string(), &config("filter-state")).report);
            assert!(!said.contains("original_dst_lb_config"), "{said}");
        }
    }
    let mut matched = to("reviews");
    matched["match"]["headers"] = json!([{"name": header, "present_match": true}]);
    let mut followed = to("");
    followed["route"] = json!({"cluster_header": header});
    let mut rewritten = to("reviews");
    rewritten["route"]["host_rewrite_header"] = json!(header);
    for (route, field) in [
        (matched, "match.headers[0]"),
        (followed, "route.cluster_header"),
        (rewritten, "route.host_rewrite_header"),
    ] {
        let envoy = bootstrap(&[manager(&[route])]).to_string();
        let said = notes(&apply(&envoy, &config("original-dst-header")).report);
        let place = format!("Warning {HERE}.{HOST}.routes[0].{field}: depends on {header}");
        assert!(said.contains(&place), "{said}");
    }
}
