//! The live mode against a server that speaks the Kubernetes API over HTTP, with TLS and without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../controller/tests/xds/authority.rs"]
mod authority;
mod kubeconfig;
mod server;
mod tls;

use ingress_waypoint_cli::rbac::{self, Account, Arguments};
use mesh::object::{Object, Origin};
use mesh::{Code, Severity};
use serde_json::{Value, json};
use source::{RESOURCES, Read, Wanted};

use server::{SERVICES, TOKEN, page, read, status, with};

const PODS: &str = "/api/v1/pods";
const GATEWAY_CLASSES: &str = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/httproutes";

fn services(reads: &[Read]) -> Vec<&str> {
    let mut names = Vec::new();
    for read in reads {
        if let Read::Object(_, Object::Service(service)) = read {
            names.push(service.metadata.name.as_deref().unwrap());
        }
    }
    names
}

fn warnings(reads: &[Read]) -> Vec<&str> {
    let mut texts = Vec::new();
    for read in reads {
        if let Read::Diagnostic(None, found) = read {
            assert_eq!((found.severity, found.code), (Severity::Warning, Code::SourceIncomplete));
            texts.push(found.message.as_str());
        }
    }
    texts
}

#[test]
fn reads_every_page_of_every_kind() {
    let server = with(&[
        (SERVICES, vec![page(&["a", "b"], Some("t1"))]),
        (&format!("{SERVICES}#t1"), vec![page(&["c"], Some("t2"))]),
        (&format!("{SERVICES}#t2"), vec![page(&["d"], None)]),
    ]);
    let (result, reads) = server.read(Wanted::Checks, TOKEN);
    result.unwrap();
    assert_eq!(services(&reads), ["a", "b", "c", "d"]);
    assert_eq!(warnings(&reads), [""; 0]);
    // Two more pages, and pods by two labels.
    assert_eq!(server.requests.lock().unwrap().len(), RESOURCES.len() + 3);
}

#[test]
fn lists_for_the_mesh_only_what_the_mesh_needs() {
    let server = with(&[]);
    server.read(Wanted::Mesh, TOKEN).0.unwrap();
    assert!(!server.requests(GATEWAY_CLASSES).is_empty());
    assert!(!server.requests(ROUTES).is_empty());
    assert_eq!(server.requests(PODS), [""; 0]);
}

/// A large cluster has tens of thousands of pods, of which the ingress's are a few.
#[test]
fn of_pods_only_those_of_gateways_are_listed() {
    let pages = [&["a", "b"][..], &["b"], &["c"]].map(|names| page(names, None));
    let server = with(&[(PODS, pages.to_vec())]);
    let pods = "istio=edge,tier in (a,b)".parse().unwrap();
    let (cluster, user) = (json!({"server": server.url}), json!({"token": TOKEN}));
    let (result, reads) = read(&cluster, &user, Wanted::Checks, Some(pods));
    result.unwrap();
    let names = reads.iter().filter_map(|read| match read {
        Read::Object(_, Object::Pod(pod)) => pod.metadata.name.as_deref(),
        _ => None,
    });
    assert_eq!(Vec::from_iter(names), ["a", "b", "c"], "one in two lists is read once");
    let requests = server.requests(PODS);
    let selectors = requests.iter().map(|request| {
        request.split(['?', '&']).find_map(|part| part.strip_prefix("labelSelector=")).unwrap()
    });
    let expected = [
        "gateway.networking.k8s.io%2Fgateway-name",
        "gateway.envoyproxy.io%2Fowning-gateway-name",
        "istio%3Dedge%2Ctier+in+%28a%2Cb%29",
    ];
    assert_eq!(Vec::from_iter(selectors), expected);
}

#[test]
fn a_kind_that_is_not_served_is_a_warning() {
    let istio = "/apis/networking.istio.io/v1/serviceentries";
    let missing = vec![status(404, "404 page not found")];
    let server = with(&[(istio, missing), (SERVICES, vec![page(&["a"], None)])]);
    let (result, reads) = server.read(Wanted::Checks, TOKEN);
    result.unwrap();
    assert_eq!(services(&reads), ["a"]);
    assert_eq!(
        warnings(&reads),
        ["the cluster does not serve ServiceEntry (no CRD serviceentries.networking.istio.io): \
          read as if there were none"]
    );
}

/// Most clusters have no Envoy Gateway, and an account's role may be older than this program.
#[test]
fn envoy_gateways_kinds_may_be_missing_or_forbidden() {
    let policies = "/apis/gateway.envoyproxy.io/v1alpha1/backendtrafficpolicies";
    let proxies = "/apis/gateway.envoyproxy.io/v1alpha1/envoyproxies";
    let server = with(&[
        (proxies, vec![status(404, "404 page not found")]),
        (policies, vec![status(403, "backendtrafficpolicies is forbidden")]),
        (SERVICES, vec![page(&["a"], None)]),
    ]);
    let (result, reads) = server.read(Wanted::Mesh, TOKEN);
    result.unwrap();
    assert_eq!(services(&reads), ["a"]);
    let [warning] = warnings(&reads)[..] else { panic!("{reads:?}") };
    assert!(warning.contains("may not list backendtrafficpolicies.gateway.envoyproxy.io (403"));
    assert!(warning.contains("`ingress-waypoint rbac`"), "{warning}");
}

/// The filter sees no TCP: what a role does not allow, or a cluster does not have, changes nothing for a command.
#[test]
fn routes_of_tcp_may_be_missing_or_forbidden() {
    let tcp = |version: &str| format!("/apis/gateway.networking.k8s.io/{version}/tcproutes");
    let server = with(&[
        (&tcp("v1"), vec![status(404, "404 page not found")]),
        (&tcp("v1alpha2"), vec![status(404, "404 page not found")]),
        ("/apis/gateway.networking.k8s.io/v1/tlsroutes", vec![status(403, "it is forbidden")]),
        (SERVICES, vec![page(&["a"], None)]),
    ]);
    let (result, reads) = server.read(Wanted::Mesh, TOKEN);
    result.unwrap();
    assert_eq!(services(&reads), ["a"]);
    let [warning] = warnings(&reads)[..] else { panic!("{reads:?}") };
    assert!(warning.contains("may not list tlsroutes.gateway.networking.k8s.io (403"), "{warning}");
}

#[test]
fn an_older_version_is_asked_for() {
    let v1 = "/apis/gateway.networking.k8s.io/v1/gateways";
    let old = "/apis/gateway.networking.k8s.io/v1beta1/gateways";
    let gateway = json!({"kind": "GatewayList", "metadata": {"resourceVersion": "1"}, "items": [{
        "metadata": {"name": "g", "namespace": "n"},
        "spec": {"gatewayClassName": "istio-waypoint", "listeners": []},
    }]});
    let server = with(&[(v1, vec![status(404, "")]), (old, vec![(200, gateway)])]);
    let (result, reads) = server.read(Wanted::Mesh, TOKEN);
    result.unwrap();
    assert!(matches!(reads.as_slice(), [Read::Object(_, Object::Gateway(_))]), "{reads:?}");
}

#[test]
fn a_server_error_is_asked_again_and_not_for_ever() {
    let once = vec![status(500, "etcd leader changed"), page(&["a"], None)];
    let server = with(&[(SERVICES, once)]);
    let (result, reads) = server.read(Wanted::Mesh, TOKEN);
    result.unwrap();
    assert_eq!(services(&reads), ["a"]);

    let server = with(&[(SERVICES, vec![status(503, "overloaded")])]);
    let error = format!("{:#}", server.read(Wanted::Mesh, TOKEN).0.unwrap_err());
    assert_eq!(server.requests(SERVICES).len(), 5);
    assert!(error.contains("list services: gave up after 5 tries"), "{error}");
    assert!(error.contains("503: overloaded"), "{error}");
}

#[test]
fn an_expired_continue_token_begins_the_list_anew_without_duplicates() {
    let expired = status(410, "The provided continue parameter is too old");
    let server = with(&[
        (SERVICES, vec![page(&["a", "b"], Some("old")), page(&["a", "b"], Some("new"))]),
        (&format!("{SERVICES}#old"), vec![expired.clone()]),
        (&format!("{SERVICES}#new"), vec![page(&["c"], None)]),
    ]);
    let (result, reads) = server.read(Wanted::Mesh, TOKEN);
    result.unwrap();
    assert_eq!(services(&reads), ["a", "b", "c"]);
    assert_eq!(server.requests(SERVICES).len(), 4);

    let always =
        [(SERVICES, vec![page(&["a"], Some("old"))]), ("/api/v1/services#old", vec![expired])];
    let error = with(&always).read(Wanted::Mesh, TOKEN).0.unwrap_err().to_string();
    assert!(error.contains("the list expired 5 times before its end (410)"), "{error}");
}

#[test]
fn refused_credentials_say_so() {
    let server = with(&[]);
    let error = server.read(Wanted::Mesh, "expired").0.unwrap_err().to_string();
    assert!(error.contains("list namespaces: the credentials are not accepted (401"), "{error}");
    assert_eq!(server.requests.lock().unwrap().len(), 1, "not asked again");
}

#[test]
fn every_forbidden_kind_is_named_with_what_to_do() {
    let forbidden = |kind: &str| vec![status(403, &format!("{kind} is forbidden"))];
    let server =
        with(&[(SERVICES, forbidden("services")), (GATEWAY_CLASSES, forbidden("gatewayclasses"))]);
    let error = server.read(Wanted::Mesh, TOKEN).0.unwrap_err().to_string();
    let named = "may not list services, gatewayclasses.gateway.networking.k8s.io (403: services is";
    assert!(error.contains(named), "{error}");
    assert!(error.contains("`ingress-waypoint rbac`"), "{error}");
}

#[test]
fn a_broken_object_does_not_hide_the_others() {
    let (_, mut body) = page(&["a", "b"], None);
    body["items"][0]["spec"] = json!({"ports": [{"port": "x"}]});
    let server = with(&[(SERVICES, vec![(200, body)])]);
    let (result, reads) = server.read(Wanted::Mesh, TOKEN);
    result.unwrap();
    assert_eq!(services(&reads), ["b"]);
    let Some(Read::Diagnostic(Some(Origin::Cluster), found)) = reads.first() else {
        panic!("{reads:?}")
    };
    assert_eq!((found.severity, found.code), (Severity::Error, Code::ObjectInvalid));
    let expected =
        "Service n/a: spec.ports[0].port cannot be read: invalid type: string \"x\", expected i32";
    assert_eq!(found.to_string(), expected);
}

#[test]
fn the_role_allows_what_the_client_asks_for_and_no_more() {
    let server = with(&[]);
    server.read(Wanted::Checks, TOKEN).0.unwrap();
    let mut asked: Vec<_> =
        server.requests.lock().unwrap().iter().map(|r| resource_of(r)).collect();
    asked.sort();
    asked.dedup();

    let yaml = rbac::manifests(&Arguments {
        account: Account::Cluster,
        namespace: "istio-ingress".to_owned(),
        istio_namespace: "istio-system".to_owned(),
        envoy_gateway: false,
        route_clusters: false,
    });
    let yaml = yaml.unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    let kinds: Vec<_> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    );
    // Of ConfigMaps, those beside Istio's alone.
    assert_eq!(objects[3]["metadata"]["namespace"], "istio-system");
    assert_eq!(objects[3]["rules"][0]["resources"], json!(["configmaps"]));
    assert_eq!(objects[4]["metadata"]["namespace"], "istio-system");
    assert_eq!(objects[4]["subjects"][0]["namespace"], "istio-ingress");
    assert_eq!(objects[0]["metadata"]["namespace"], "istio-ingress");
    assert_eq!(objects[2]["subjects"][0]["namespace"], "istio-ingress");
    let mut allowed = Vec::new();
    let rules = [&objects[1], &objects[3]].map(|role| role["rules"].as_array().unwrap());
    for rule in rules.into_iter().flatten() {
        assert_eq!(rule["verbs"], json!(["list"]));
        for resource in rule["resources"].as_array().unwrap() {
            let group = rule["apiGroups"][0].as_str().unwrap().to_owned();
            allowed.push((group, resource.as_str().unwrap().to_owned()));
        }
    }
    allowed.sort();
    assert_eq!(allowed, asked);
}

/// Group and resource of a list's URL.
fn resource_of(request: &str) -> (String, String) {
    let path: Vec<_> = request.split('?').next().unwrap().split('/').collect();
    let group = if path[1] == "api" { "" } else { path[2] };
    (group.to_owned(), (*path.last().unwrap()).to_owned())
}
