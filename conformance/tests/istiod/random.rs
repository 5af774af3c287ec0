//! Random sets of objects, all such that an API server would take them.

use std::env;
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use super::around::completed;
use super::comparison::{Outcome, compare};
use super::differences::{Differences, shown};
use super::istiod;

/// The namespaces, beside that of the ingress.
const NAMESPACES: [&str; 3] = ["shop", "infra", "other"];

type Labels = Vec<(&'static str, &'static str)>;

/// One of these, the first far more often; the simplest comes first.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    often: &'static [T],
    seldom: &'static [T],
) -> impl Strategy<Value = T> {
    prop_oneof![5 => select(often), 1 => select(seldom)]
}

/// Labels, each absent where there is no value.
fn labels(values: Vec<(&'static str, Option<&'static str>)>) -> Labels {
    values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn map(labels: &Labels) -> Value {
    let pairs = labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// What binds a service, on it or on its namespace.
fn of_service() -> impl Strategy<Value = Labels> {
    let asks = mostly(
        &[None, None, None, Some("true")],
        &[
            Some("false"),
            Some("True"),
            Some("TRUE"),
            Some("tRUE"),
            Some("1"),
            Some("t"),
            Some("0"),
            Some("yes"),
            Some("wp"),
            Some(""),
        ],
    );
    let waypoint = mostly(
        &[None, None, None, Some("wp")],
        &[Some("second"), Some("none"), Some("gone"), Some("None"), Some("")],
    );
    let space = mostly(&[None, None], &[Some("infra"), Some("shop"), Some("nowhere"), Some("")]);
    let canary = mostly(&[None, None, None], &[Some("second"), Some("gone"), Some("none")]);
    (asks, waypoint, space, canary).prop_map(|(asks, waypoint, space, canary)| {
        labels(vec![
            ("istio.io/ingress-use-waypoint", asks),
            ("istio.io/use-waypoint", waypoint),
            ("istio.io/use-waypoint-namespace", space),
            ("istio.io/use-waypoint-canary", canary),
        ])
    })
}

/// A namespace binds its services more often than they do it themselves.
fn namespace() -> impl Strategy<Value = (Labels, Value)> {
    let bound =
        Just(vec![("istio.io/ingress-use-waypoint", "true"), ("istio.io/use-waypoint", "wp")]);
    let team = select(vec![None, Some("a"), Some("b")]);
    let canary = mostly(&[None, None], &[Some("20"), Some("0"), Some("101"), Some("many")]);
    (prop_oneof![3 => bound, 1 => of_service()], team, canary).prop_map(
        |(mut labels, team, canary)| {
            labels.extend(team.map(|team| ("team", team)));
            let annotations =
                canary.map_or(json!({}), |it| json!({"istio.io/use-waypoint-canary-weight": it}));
            (labels, annotations)
        },
    )
}

fn allowed_routes() -> impl Strategy<Value = Value> {
    let selector =
        |selector: Value| json!({"namespaces": {"from": "Selector", "selector": selector}});
    select(vec![
        json!({"namespaces": {"from": "All"}}),
        json!({"namespaces": {"from": "Same"}}),
        Value::Null,
        json!({"namespaces": {}}),
        selector(json!({"matchLabels": {"team": "a"}})),
        selector(json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}})),
        selector(json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]})),
        selector(
            json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["b"]}]}),
        ),
        selector(json!({})),
    ])
}

/// What is read of a Gateway: class, label, listeners, binding, and the form of its addresses.
type Form = (
    &'static str,
    Option<&'static str>,
    Vec<((&'static str, i32), Value)>,
    Option<&'static str>,
    &'static str,
);

/// Every second waypoint has nothing that binds no service.
fn form() -> impl Strategy<Value = Form> {
    let usual = select(&["ip", "host"][..]).prop_map(|address| {
        let routes = json!({"namespaces": {"from": "All"}});
        ("istio-waypoint", None, vec![(("HBONE", 15008), routes)], None, address)
    });
    let class = mostly(&["istio-waypoint"], &["custom", "istio-east-west", "istio", "gone"]);
    let is_for = mostly(
        &[None, None, Some("service"), Some("all")],
        &[Some("workload"), Some("none"), Some("Service"), Some("")],
    );
    let listener = mostly(
        &[("HBONE", 15008)],
        &[("HBONE", 15009), ("istio.io/PROXY", 15088), ("HTTP", 80), ("HTTP", 15008)],
    );
    let listeners = prop::collection::vec((listener, allowed_routes()), 1..3);
    let binding = mostly(
        &[None, None, None],
        &[Some("PROXY/15088"), Some("PROXY"), Some("NONE/80"), Some("NONE")],
    );
    let address = mostly(
        &["ip", "host", "ip"],
        &["", "ip host", "named", "untyped", "ip6", "ip elsewhere", "host elsewhere"],
    );
    prop_oneof![usual, (class, is_for, listeners, binding, address)]
}

/// A waypoint, one of the two that a namespace can have.
fn gateway(nth: usize) -> impl Strategy<Value = Value> {
    form()
        .prop_map(move |(class, is_for, listeners, binding, address)| {
            let (namespace, name) = (NAMESPACES[nth / 2], ["wp", "second"][nth % 2]);
            let addresses = address.split(' ').filter_map(|form| {
                Some(match form {
                    "ip" => json!({"type": "IPAddress", "value": format!("10.2.0.{nth}")}),
                    "ip6" => json!({"type": "IPAddress", "value": format!("fd00::2:{nth}")}),
                    "host" => json!({"type": "Hostname", "value": format!("{name}.{namespace}.svc.cluster.local")}),
                    "named" => json!({"type": "NamedAddress", "value": "wp"}),
                    "untyped" => json!({"value": "wp.example.com"}),
                    "elsewhere" => json!({"type": "IPAddress", "value": "203.0.113.1"}),
                    _ => return None,
                })
            });
            let addresses: Vec<_> = addresses.collect();
            let listeners = listeners.iter().enumerate().map(|(i, ((protocol, port), routes))| {
                json!({"name": format!("l{i}"), "protocol": protocol, "port": port, "allowedRoutes": routes})
            });
            let listeners: Vec<_> = listeners.collect();
            let annotations = binding.map_or(json!({}), |it| json!({"ambient.istio.io/waypoint-inbound-binding": it}));
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {
                    "namespace": namespace, "name": name, "annotations": annotations,
                    "labels": map(&labels(vec![("istio.io/waypoint-for", is_for)])),
                },
                "spec": {"gatewayClassName": class, "listeners": listeners},
                "status": {"addresses": addresses},
            })
        })
}

fn class() -> impl Strategy<Value = Value> {
    let name = select(&["istio-waypoint", "custom", "istio-east-west"][..]);
    let is_for = select(&[None, Some("service"), Some("all"), Some("workload")][..]);
    (name, is_for).prop_map(|(name, is_for)| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": name, "labels": map(&labels(vec![("istio.io/waypoint-for", is_for)]))},
            "spec": {"controllerName": "istio.io/mesh-controller"},
        })
    })
}

/// When an object was made: never at one time with another.
fn created() -> impl Strategy<Value = u32> {
    0u32..24
}

fn time(hour: u32, nth: usize) -> String {
    format!("2026-01-01T{hour:02}:{nth:02}:00Z")
}

fn service() -> impl Strategy<Value = Value> {
    let name = mostly(
        &[("http", None), ("", None)],
        &[
            ("grpc", None),
            ("grpc-web", None),
            ("http2-x", None),
            ("https", None),
            ("tcp-x", None),
            ("tls", None),
            ("mongo", None),
            ("mysql-x", None),
            ("redis", None),
            ("udp", None),
            ("httpx", None),
            ("hbone", None),
            ("http", Some("tcp")),
            ("tcp", Some("http")),
            ("x", Some("kubernetes.io/h2c")),
            ("x", Some("kubernetes.io/ws")),
            ("x", Some("kubernetes.io/wss")),
            ("x", Some("GRPC")),
            ("x", Some("http2")),
            ("grpc", Some("example.com/x")),
            ("x", Some("https")),
            ("x", Some("HTTP_PROXY")),
            ("x", Some("h2c")),
            ("x", Some("grpc-web")),
        ],
    );
    let transport = mostly(&["TCP", "TCP", "TCP"], &["UDP", "SCTP"]);
    let numbers = subsequence(vec![80u16, 8080, 3306, 443, 25, 27017, 53, 9000], 1..4);
    let ports = (numbers, prop::collection::vec((name, transport), 4));
    let form =
        mostly(&["v4"], &["dual", "v6 first", "v6", "headless", "external", "load balancer"]);
    let managed = mostly(
        &[None, None, None],
        &[Some("istio.io-mesh-controller"), Some("istio.io-eastwest-controller"), Some("x")],
    );
    let export_to = mostly(
        &[None, None, None],
        &[Some("."), Some("istio-ingress"), Some("~"), Some("*"), Some("shop")],
    );
    (select(&NAMESPACES[..]), of_service(), ports, form, managed, export_to, created()).prop_map(
        |(namespace, mut labels, (numbers, names), form, managed, export_to, created)| {
            labels.extend(managed.map(|it| ("gateway.istio.io/managed", it)));
            let several = numbers.len() > 1;
            let ports = numbers.iter().zip(names).enumerate().map(
                |(i, (number, ((name, app), transport)))| {
                    let name = match (several, name) {
                        (false, name) => name.to_owned(),
                        (true, "") => format!("p{i}"),
                        // A second hyphen changes nothing.
                        (true, name) => format!("{name}-{i}"),
                    };
                    let mut port =
                        json!({"port": number, "targetPort": 8080, "protocol": transport});
                    if !name.is_empty() {
                        port["name"] = json!(name);
                    }
                    if let Some(app) = app {
                        port["appProtocol"] = json!(app);
                    }
                    port
                },
            );
            let ports: Vec<_> = ports.collect();
            let annotations =
                export_to.map_or(json!({}), |it| json!({"networking.istio.io/exportTo": it}));
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {
                    "namespace": namespace, "labels": map(&labels), "annotations": annotations,
                    "creationTimestamp": created,
                },
                "spec": {"type": form, "ports": ports},
            })
        },
    )
}

/// Gives a service its name and addresses.
fn numbered(mut service: Value, nth: usize) -> Value {
    let hour = u32::try_from(service["metadata"]["creationTimestamp"].as_u64().unwrap()).unwrap();
    service["metadata"]["creationTimestamp"] = json!(time(hour, nth));
    service["metadata"]["name"] = json!(format!("s{nth}"));
    let (v4, v6) = (format!("10.1.0.{}", nth + 1), format!("fd00::1:{}", nth + 1));
    let spec = service["spec"].as_object_mut().unwrap();
    let form = spec["type"].as_str().unwrap().to_owned();
    let (kind, ips, families) = match form.as_str() {
        "dual" => ("ClusterIP", vec![v4, v6], json!(["IPv4", "IPv6"])),
        "v6 first" => ("ClusterIP", vec![v6, v4], json!(["IPv6", "IPv4"])),
        "v6" => ("ClusterIP", vec![v6], json!(["IPv6"])),
        "headless" => ("ClusterIP", vec!["None".to_owned()], json!(["IPv4"])),
        "load balancer" => ("LoadBalancer", vec![v4], json!(["IPv4"])),
        "external" => ("ExternalName", vec![], Value::Null),
        _ => ("ClusterIP", vec![v4], json!(["IPv4"])),
    };
    spec.insert("type".to_owned(), json!(kind));
    if kind == "ExternalName" {
        spec.insert("externalName".to_owned(), json!("x.example.com"));
    } else {
        spec.insert("clusterIP".to_owned(), json!(ips[0]));
        spec.insert("clusterIPs".to_owned(), json!(ips));
        spec.insert("ipFamilies".to_owned(), families);
    }
    service
}

fn entry() -> impl Strategy<Value = Value> {
    let host = mostly(
        &["own.example.com", "more.example.com"],
        &[
            "shared.example.com",
            "*.example.com",
            "*.wild.example.com",
            "a.wild.example.com",
            "Own.Example.com",
            "s0.shop.svc.cluster.local",
            "s1.shop.svc.cluster.local",
            "s0.infra.svc.cluster.local",
            "s0.shop",
            "*.com",
        ],
    );
    let hosts = prop::collection::vec(host, 1..4);
    let addresses = mostly(
        &["240.1.0.1", ""],
        &[
            "240.1.0.1/32",
            "10.99.0.0/16",
            "240.1.0.1 fd00::9",
            "fd00::9 240.1.0.1",
            "fd00::9/128",
            "10.99.0.0/16 240.1.0.1",
            "240.1.0.1 240.1.0.2",
            "10.1.0.1",
        ],
    );
    let resolution = mostly(&["STATIC", "NONE"], &["DNS", "DYNAMIC_DNS", "DNS_ROUND_ROBIN", ""]);
    let port = mostly(
        &[("http", "HTTP"), ("x", "")],
        &[
            ("https", "HTTPS"),
            ("grpc", "GRPC"),
            ("http2", "HTTP2"),
            ("tcp", "TCP"),
            ("tls", "TLS"),
            ("mongo", "MONGO"),
            ("grpc", ""),
            ("https", ""),
            ("x", "http"),
            ("x", "GRPC-WEB"),
            ("x", "UDP"),
            ("x", "http_proxy"),
            ("x", "REDIS"),
        ],
    );
    let numbers = subsequence(vec![80u16, 8080, 3306, 443, 9000], 1..3);
    let ports = (numbers, prop::collection::vec(port, 3));
    let export_to = mostly(&["", ""], &["*", ".", "istio-ingress", "~", ". istio-ingress", "shop"]);
    let allocated = mostly(&["all"], &["none", "first", "false"]);
    let rest = (export_to, allocated, created());
    (select(&NAMESPACES[..]), of_service(), hosts, addresses, resolution, ports, rest).prop_map(
        |(namespace, mut labels, hosts, addresses, resolution, (numbers, names), (export_to, allocated, created))| {
            if allocated == "false" {
                labels.push(("networking.istio.io/enable-autoallocate-ip", "false"));
            }
            let ports = numbers.iter().zip(names).enumerate().map(|(i, (number, (name, protocol)))| {
                let mut port = json!({"number": number, "name": format!("{name}-{i}")});
                if !protocol.is_empty() {
                    port["protocol"] = json!(protocol);
                }
                port
            });
            let [addresses, export_to] = [addresses, export_to].map(|it| it.split_whitespace().collect::<Vec<_>>());
            let mut spec = json!({"hosts": hosts, "addresses": addresses, "ports": ports.collect::<Vec<_>>(), "exportTo": export_to});
            if !resolution.is_empty() {
                spec["resolution"] = json!(resolution);
            }
            if resolution == "STATIC" {
                spec["endpoints"] = json!([{"address": "192.0.2.7"}]);
            }
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
                "metadata": {"namespace": namespace, "labels": map(&labels), "creationTimestamp": created},
                "spec": spec,
                "status": {"addresses": allocated},
            })
        },
    )
}

/// Gives a ServiceEntry its name, and addresses of its own.
fn numbered_entry(mut entry: Value, nth: usize) -> Value {
    let hour = u32::try_from(entry["metadata"]["creationTimestamp"].as_u64().unwrap()).unwrap();
    // Not at one time with a Service.
    entry["metadata"]["creationTimestamp"] = json!(time(hour, nth + 30));
    entry["metadata"]["name"] = json!(format!("e{nth}"));
    let place = format!("240.1.{}.", nth + 1);
    let own = entry["spec"]["addresses"].as_array().unwrap().iter().map(|it| {
        it.as_str()
            .unwrap()
            .replace("240.1.0.", &place)
            .replace("fd00::9", &format!("fd00::9:{nth}"))
    });
    entry["spec"]["addresses"] = own.collect();
    let mut hosts: Vec<String> = Vec::new();
    for host in entry["spec"]["hosts"].as_array().unwrap() {
        let host = host.as_str().unwrap();
        let host = match host {
            "own.example.com" | "more.example.com" => format!("{}{nth}.example.com", &host[..3]),
            other => other.to_owned(),
        };
        if !hosts.iter().any(|it| it.eq_ignore_ascii_case(&host)) {
            hosts.push(host);
        }
    }
    let kept = match entry["status"]["addresses"].as_str().unwrap() {
        "none" => 0,
        "first" => 1,
        _ => hosts.len(),
    };
    let allocated = hosts.iter().take(kept).enumerate();
    let allocated = allocated
        .map(|(i, host)| json!({"host": host, "value": format!("240.240.{nth}.{}", i + 1)}));
    entry["status"]["addresses"] = allocated.collect();
    entry["spec"]["hosts"] = json!(hosts);
    entry
}

fn mesh_config() -> impl Strategy<Value = Option<&'static str>> {
    mostly(
        &[None, None, None, None],
        &[
            Some("discoverySelectors: [{matchLabels: {team: a}}]"),
            Some(
                "discoverySelectors: [{matchLabels: {team: a}}, {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [infra]}]}]",
            ),
            Some("serviceEntryVisibility: {defaultVisibility: NAMESPACE}"),
            Some("serviceEntryVisibility: {defaultVisibility: NONE}"),
            Some(
                "serviceEntryVisibility: {policies: [{namespaces: [{matchLabels: {team: a}}], visibility: NAMESPACE}]}",
            ),
            Some("defaultServiceExportTo: [\".\"]"),
        ],
    )
}

fn set() -> impl Strategy<Value = Vec<Value>> {
    let namespaces = prop::collection::vec(namespace(), 3);
    let gateway = |nth| prop::option::weighted(0.8, gateway(nth));
    let gateways = [gateway(0), gateway(1), gateway(2), gateway(3), gateway(4), gateway(5)];
    let classes = prop::collection::vec(class(), 0..3);
    let services = prop::collection::vec(service(), 0..20);
    let entries = prop::collection::vec(entry(), 0..14);
    (namespaces, classes, gateways, services, entries, mesh_config()).prop_map(
        |(namespaces, classes, gateways, services, entries, mesh)| {
            let mut objects = Vec::new();
            for (name, (labels, annotations)) in NAMESPACES.iter().zip(namespaces) {
                objects.push(json!({
                    "apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": name, "labels": map(&labels), "annotations": annotations},
                }));
            }
            if let Some(mesh) = mesh {
                objects.push(json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"namespace": "istio-system", "name": "istio"}, "data": {"mesh": mesh},
                }));
            }
            objects.extend(classes);
            objects.extend(gateways.into_iter().flatten());
            objects.extend(services.into_iter().enumerate().map(|(i, it)| numbered(it, i)));
            objects.extend(entries.into_iter().enumerate().map(|(i, it)| numbered_entry(it, i)));
            objects
        },
    )
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}: not a number"))
    })
}

/// The tree of one random set.
fn tree(seed: u64, case: u64) -> impl ValueTree<Value = Vec<Value>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&case.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    set().new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).unwrap()
}

fn judged(sets: &[Vec<Value>], known: &Differences) -> Vec<Outcome> {
    let sets: Vec<_> = sets.iter().cloned().map(completed).collect();
    let answers = istiod::ask(&sets);
    sets.iter()
        .zip(answers)
        .map(|(objects, answer)| {
            assert_eq!(answer.error, "");
            assert!(answer.refused.is_empty(), "{:?}", answer.refused);
            compare(objects, &answer, known)
        })
        .collect()
}

/// The smallest objects that still show a difference that is not known.
fn smallest(
    mut tree: impl ValueTree<Value = Vec<Value>>,
    known: &Differences,
) -> (Vec<Value>, Outcome) {
    let fails = |objects: &Vec<Value>| {
        let outcome = judged(std::slice::from_ref(objects), known).remove(0);
        (!outcome.unknown.is_empty()).then_some(outcome)
    };
    let mut least = None;
    for _ in 0..400 {
        let objects = tree.current();
        let goes_on = match fails(&objects) {
            Some(outcome) => {
                least = Some((objects, outcome));
                tree.simplify()
            }
            None => tree.complicate(),
        };
        if !goes_on {
            break;
        }
    }
    least.expect("it failed before")
}

#[test]
fn random_objects_are_decided_as_istio_decides() {
    let (cases, seed) = (number("CASES", 280), number("SEED", 1));
    let known = Differences::read();
    let begin = Instant::now();
    let sets: Vec<_> = (0..cases).map(|case| tree(seed, case).current()).collect();
    let mut all = Outcome::default();
    let mut first = None;
    for (case, outcome) in judged(&sets, &known).into_iter().enumerate() {
        if !outcome.unknown.is_empty() && first.is_none() {
            first = Some(case);
        }
        all.add(outcome);
    }
    println!(
        "{cases} sets of objects (SEED={seed}) in {:.0} s: {all}",
        begin.elapsed().as_secs_f64()
    );
    let Some(case) = first else { return };
    all.unknown.truncate(30);
    println!("{}", shown(&all.unknown));
    let (objects, outcome) = smallest(tree(seed, case as u64), &known);
    // A line of YAML each, to be put into a file.
    let objects: Vec<_> = objects.iter().map(|it| format!("- {it}")).collect();
    let objects = objects.join("\n");
    panic!("{all}\nset {case} (SEED={seed}), made small:\n{objects}\n{}", shown(&outcome.unknown));
}
