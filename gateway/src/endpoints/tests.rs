use envoy_types::pb::envoy::config::core::v3::Locality as Place;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};
use envoy_types::pb::google::protobuf::{ListValue, Struct};

use super::*;

const CLUSTER: &str = "httproute/shop/a/rule/0";

/// `reviews` is labelled, `billing` is required and has no waypoint, `ratings` is not labelled.
fn policy(settings: &str) -> Policy {
    let config = r#"{"ingressUseWaypoints": true, SETTINGS "services": [
        {"namespace": "shop", "name": "reviews", "vips": ["10.96.0.10", "fd00::10"], "ports": [
            {"number": 80, "protocol": "http"}, {"number": 81, "protocol": "http2"}
         ], "waypoint": "shop/waypoint", "ingressUseWaypoint": true,
         "clusters": [{"name": "httproute/shop/a/rule/0", "port": 81}]},
        {"namespace": "shop", "name": "billing", "vips": ["10.96.0.11"], "required": true,
         "ports": [{"number": 80, "protocol": "http"}], "ingressUseWaypoint": true},
        {"namespace": "shop", "name": "ratings", "vips": ["10.96.0.12"],
         "ports": [{"number": 80, "protocol": "http"}]}
    ]}"#;
    Policy::from_json(config.replace("SETTINGS", settings), None).unwrap()
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

/// As Envoy Gateway names the object that a locality was made of.
fn made_of(kind: &str, name: &str, port: &str) -> Metadata {
    let texts = [("kind", kind), ("namespace", "shop"), ("name", name), ("sectionName", port)];
    let fields = texts.map(|(field, value)| (field.to_owned(), text(value)));
    let resource = Value { kind: Some(Kind::StructValue(Struct { fields: fields.into() })) };
    let list = Value { kind: Some(Kind::ListValue(ListValue { values: vec![resource] })) };
    let fields = [("resources".to_owned(), list)].into();
    let filter_metadata = [("envoy-gateway".to_owned(), Struct { fields })].into();
    Metadata { filter_metadata, ..Metadata::default() }
}

fn tls() -> Metadata {
    let fields = [("name".to_owned(), text("tls/0"))].into();
    let filter_metadata = [("envoy.transport_socket_match".to_owned(), Struct { fields })].into();
    Metadata { filter_metadata, ..Metadata::default() }
}

fn at(address: &str) -> Option<Address> {
    let address: SocketAddr = address.parse().unwrap();
    let address = SocketAddress {
        address: address.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(address.port().into())),
        ..SocketAddress::default()
    };
    Some(Address { address: Some(address::Address::SocketAddress(address)) })
}

/// An endpoint with all that a pod can have.
fn pod(address: &str) -> LbEndpoint {
    let endpoint = Endpoint {
        address: at(address),
        hostname: "pod.example.com".to_owned(),
        health_check_config: Some(HealthCheckConfig { port_value: 9000, ..Default::default() }),
        ..Endpoint::default()
    };
    LbEndpoint {
        health_status: 3,
        metadata: Some(tls()),
        load_balancing_weight: Some(UInt32Value { value: 7 }),
        host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
    }
}

fn locality(region: &str, metadata: Option<Metadata>, weight: u32) -> LocalityLbEndpoints {
    LocalityLbEndpoints {
        locality: Some(Place { region: region.to_owned(), ..Place::default() }),
        lb_endpoints: vec![pod("10.44.0.4:9080"), pod("10.44.0.5:9080")],
        load_balancing_weight: Some(UInt32Value { value: weight }),
        metadata,
        ..LocalityLbEndpoints::default()
    }
}

fn assignment(endpoints: Vec<LocalityLbEndpoints>) -> ClusterLoadAssignment {
    let cluster_name = CLUSTER.to_owned();
    ClusterLoadAssignment { cluster_name, endpoints, ..ClusterLoadAssignment::default() }
}

/// What is decided, and where each locality leads with which weight: `10.96.0.10:80 (5)`.
fn shown(settings: &str, localities: Vec<LocalityLbEndpoints>) -> (Vec<String>, Vec<String>) {
    let edited = edit(&assignment(localities).encode_to_vec(), &policy(settings)).unwrap();
    let outcomes = edited.outcomes.iter().map(|outcome| {
        let (decision, reason) = outcome.label();
        format!("{decision} {reason}")
    });
    let read = ClusterLoadAssignment::decode(&*edited.assignment).unwrap();
    assert_eq!(read.cluster_name, CLUSTER);
    let address = |endpoint: &LbEndpoint| {
        let Some(HostIdentifier::Endpoint(endpoint)) = &endpoint.host_identifier else { panic!() };
        let address::Address::SocketAddress(address) =
            endpoint.address.clone().unwrap().address.unwrap()
        else {
            panic!()
        };
        let Some(PortSpecifier::PortValue(port)) = address.port_specifier else { panic!() };
        format!("{}:{port}", address.address)
    };
    let led = read.endpoints.iter().map(|locality| {
        let addresses: Vec<_> = locality.lb_endpoints.iter().map(address).collect();
        let weight = locality.load_balancing_weight.map(|it| it.value).unwrap_or_default();
        format!("{} ({weight})", addresses.join(" "))
    });
    (outcomes.collect(), led.collect())
}

#[track_caller]
fn one(settings: &str, locality: LocalityLbEndpoints, outcome: &str, leads: &str) {
    let expected = (vec![outcome.to_owned()], vec![leads.to_owned()]);
    assert_eq!(shown(settings, vec![locality]), expected);
}

const PODS: &str = "10.44.0.4:9080 10.44.0.5:9080 (3)";

#[test]
fn each_locality_goes_where_its_service_goes() {
    let of = |name: &str, port: &str| locality("any", Some(made_of("Service", name, port)), 3);
    one("", of("reviews", "80"), "waypoint labelled", "10.96.0.10:80 (3)");
    one("", of("reviews", "81"), "waypoint labelled", "10.96.0.10:81 (3)");
    one("", of("reviews", "82"), "direct unknown-port", PODS);
    one("", of("billing", "80"), "reject no-waypoint", " (3)");
    one("", of("ratings", "80"), "direct not-labelled", PODS);
    one("", of("unknown", "80"), "direct unknown-service", PODS);
    let refused = r#""requiredNamespaces": ["shop"],"#;
    one(refused, of("unknown", "80"), "reject unknown-service", " (3)");
    one(r#""ipFamily": "v6-only","#, of("reviews", "80"), "waypoint labelled", "fd00::10:80 (3)");
}

#[test]
fn without_metadata_the_region_or_the_cluster_names_the_service() {
    let region = |name: &str| locality(name, None, 3);
    let (vip, waypoint) = ("10.96.0.10:80 (3)", "waypoint labelled");
    one("", region("service/shop/reviews/80/http"), waypoint, vip);
    one("", region(CLUSTER), waypoint, "10.96.0.10:81 (3)");
    one("", region(""), waypoint, "10.96.0.10:81 (3)");
    one("", region("httproute/shop/a/rule/1"), "direct unknown-service", PODS);
    // Of another kind, or not as Envoy Gateway writes it.
    let of = |kind: &str, port: &str| {
        locality("service/shop/reviews/80", Some(made_of(kind, "billing", port)), 3)
    };
    one("", of("Backend", "80"), waypoint, vip);
    one("", of("Service", "http"), waypoint, vip);
    one("", of("Service", ""), waypoint, vip);
}

#[test]
fn without_endpoints_nothing_is_decided() {
    let mut empty = locality("any", Some(made_of("Service", "reviews", "80")), 3);
    empty.lb_endpoints.clear();
    assert_eq!(shown("", vec![empty]), (vec![], vec![" (3)".to_owned()]));
}

#[test]
fn localities_of_one_vip_are_one() {
    let of = |name: &str, weight, priority| {
        let metadata = Some(made_of("Service", name, "80"));
        LocalityLbEndpoints { priority, ..locality("any", metadata, weight) }
    };
    let mixed = vec![
        of("reviews", 0, 0),
        of("ratings", 50, 0),
        of("reviews", 30, 0),
        of("reviews", 20, 0),
        of("reviews", 9, 1),
    ];
    let expected =
        ["10.96.0.10:80 (50)", &PODS.replace("(3)", "(50)"), " (30)", " (20)", "10.96.0.10:80 (9)"];
    assert_eq!(shown("", mixed).1, expected);
    let mut unweighted = of("reviews", 1, 0);
    unweighted.load_balancing_weight = None;
    assert_eq!(shown("", vec![unweighted.clone(), unweighted]).1, ["10.96.0.10:80 (0)", " (0)"]);
}

#[test]
fn a_vip_is_no_pod() {
    let reviews = locality("any", Some(made_of("Service", "reviews", "80")), 3);
    let edited = edit(&assignment(vec![reviews]).encode_to_vec(), &policy("")).unwrap();
    let mut read = ClusterLoadAssignment::decode(&*edited.assignment).unwrap();
    let endpoint = read.endpoints[0].lb_endpoints.pop().unwrap();
    let mut told = tls();
    let texts = [("decision", "waypoint"), ("reason", "labelled"), ("service", "shop/reviews")];
    let fields = texts.map(|(field, value)| (field.to_owned(), text(value))).into();
    told.filter_metadata.insert(METADATA.to_owned(), Struct { fields });
    let check = HealthCheckConfig { disable_active_health_check: true, ..Default::default() };
    let own = Endpoint {
        address: at("10.96.0.10:80"),
        health_check_config: Some(check),
        ..Endpoint::default()
    };
    let expected = LbEndpoint {
        metadata: Some(told),
        host_identifier: Some(HostIdentifier::Endpoint(own)),
        ..LbEndpoint::default()
    };
    assert_eq!(endpoint, expected);
}

/// Puts a message between two fields that nobody knows.
fn strange(message: &[u8]) -> Vec<u8> {
    let mut strange = Vec::new();
    put(&mut strange, 1000, b"first");
    strange.extend_from_slice(message);
    // A varint, and the last number that there is.
    strange.extend_from_slice(b"\xc0\x3e\x07");
    put(&mut strange, 536_870_911, b"last");
    strange
}

/// The pods of a locality, with fields that nobody knows in the endpoint, around it, and in its metadata.
fn strange_pods() -> Vec<Vec<u8>> {
    let one = |address: &str| {
        let (pod, mut strange_pod) = (pod(address), Vec::new());
        let Some(HostIdentifier::Endpoint(endpoint)) = &pod.host_identifier else { panic!() };
        put(&mut strange_pod, 1, &strange(&endpoint.encode_to_vec()));
        put(&mut strange_pod, 3, &strange(&tls().encode_to_vec()));
        strange(&strange_pod)
    };
    vec![one("10.44.0.4:9080"), one("10.44.0.5:9080")]
}

/// An assignment with fields that nobody knows at every level, and these endpoints.
fn strange_assignment(of: &[u8], endpoints: &[Vec<u8>]) -> Vec<u8> {
    let (mut locality, mut assignment) = (Vec::new(), Vec::new());
    put(&mut locality, 1, &strange(&Place::default().encode_to_vec()));
    put(&mut locality, 9, &strange(of));
    for endpoint in endpoints {
        put(&mut locality, 2, endpoint);
    }
    // So that the endpoints stay behind all others.
    let head = strange(b"");
    let locality = [head, locality].concat();
    put(&mut assignment, 1, CLUSTER.as_bytes());
    put(&mut assignment, 2, &locality);
    put(&mut assignment, 4, &strange(b""));
    strange(&assignment)
}

#[test]
fn what_is_not_known_comes_back_as_it_came() {
    let policy = policy("");
    let pods = strange_pods();
    let told = |decision: Decision<'_>| metadata(&decision);
    let ask = |service: &[u8]| policy.decide(Question::Route { service, port: Some(80) });

    let [ratings, reviews, billing] = ["ratings", "reviews", "billing"]
        .map(|name| made_of("Service", name, "80").encode_to_vec());
    // Of pods, everything stays, and something is added.
    let told_of_ratings = told(ask(b"shop/ratings"));
    let with_more = pods.iter().map(|pod| {
        let mut pod = pod.clone();
        put(&mut pod, 3, &told_of_ratings);
        pod
    });
    let with_more: Vec<_> = with_more.collect();
    let edited = edit(&strange_assignment(&ratings, &pods), &policy).unwrap();
    assert_eq!(edited.assignment, strange_assignment(&ratings, &with_more));

    // In their place, the VIP has what stood around the first one, and its metadata.
    let around = strange(&{
        let mut metadata = Vec::new();
        put(&mut metadata, 3, &strange(&tls().encode_to_vec()));
        metadata
    });
    let destination = "10.96.0.10:80".parse().unwrap();
    let vip = vip(&around, destination, &told(ask(b"shop/reviews"))).unwrap();
    assert!(vip.starts_with(&around));
    let edited = edit(&strange_assignment(&reviews, &pods), &policy).unwrap();
    assert_eq!(edited.assignment, strange_assignment(&reviews, &[vip]));

    let edited = edit(&strange_assignment(&billing, &pods), &policy).unwrap();
    assert_eq!(edited.assignment, strange_assignment(&billing, &[]));
}

#[test]
fn other_lists_of_endpoints_do_not_bypass_the_decision() {
    for number in [7, 8] {
        let with = |of: &[u8]| {
            let (mut locality, mut assignment) = (Vec::new(), Vec::new());
            put(&mut locality, number, b"");
            put(&mut locality, 9, of);
            put(&mut assignment, 2, &locality);
            assignment
        };
        let of = |name: &str| made_of("Service", name, "80").encode_to_vec();
        let ratings = with(&of("ratings"));
        assert_eq!(edit(&ratings, &policy("")).unwrap().assignment, ratings);
        for name in ["reviews", "billing"] {
            let edited = edit(&with(&of(name)), &policy("")).unwrap().assignment;
            let read = ClusterLoadAssignment::decode(&*edited).unwrap();
            assert_eq!(read.endpoints[0].lb_config, None, "{name}");
            assert_eq!(read.endpoints[0].lb_endpoints.len(), usize::from(name == "reviews"));
        }
    }
}

#[test]
fn what_is_no_assignment_is_refused() {
    let said = |bytes: &[u8]| edit(bytes, &policy("")).unwrap_err().to_string();
    assert_eq!(said(b"\x12\x05"), "not a ClusterLoadAssignment: it ends within a field");
    assert!(said(b"\x12\x02\x0a\x07").starts_with("not a ClusterLoadAssignment: "));
    assert_eq!(edit(b"", &policy("")).unwrap().assignment, b"");
}
