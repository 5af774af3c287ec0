//! The live mode against a server that speaks the Kubernetes API over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use ingress_waypoint_cli::input::{self, RESOURCES, Source, Wanted};
use ingress_waypoint_cli::object::{Object, Read};
use ingress_waypoint_cli::rbac;
use serde_json::{Value, json};

const TOKEN: &str = "a-token";

/// What the server answers, once each in this order and then the last one for good.
type Answers = BTreeMap<String, Vec<(u16, Value)>>;

/// A server with its requests (`path?query`) written down.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (Arc::new(Mutex::new(answers)), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                thread::spawn(move || serve(&stream.unwrap(), &answers, &seen));
            }
        });
        Self { url, requests }
    }

    /// Reads the cluster through a kubeconfig, in this test's own context.
    fn read(&self, wanted: Wanted, token: &str) -> (anyhow::Result<()>, Vec<Read>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "elsewhere",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [
                {"name": "here", "context": {"cluster": "c", "user": "u"}},
                {"name": "elsewhere", "context": {"cluster": "none", "user": "u"}},
            ],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        let sources = [Source::Cluster { context: Some("here".to_owned()) }];
        let mut reads = Vec::new();
        // The kubeconfig's place is the process's own, so one test at a time reads it.
        static KUBECONFIG: Mutex<()> = Mutex::new(());
        let guard = KUBECONFIG.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: no other thread of this test program reads the environment unlocked.
        unsafe { std::env::set_var("KUBECONFIG", &path) };
        let result = input::read_wanted(&sources, wanted, &mut |read| reads.push(read));
        drop(guard);
        (result, reads)
    }

    fn requests(&self, path: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|r| r.split('?').next() == Some(path)).cloned().collect()
    }
}

fn serve(stream: &TcpStream, answers: &Mutex<Answers>, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut is_authorized = false;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            is_authorized |=
                header.trim_end().eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}"));
            if header == "\r\n" {
                break;
            }
        }
        let target = first.split(' ').nth(1).unwrap().to_owned();
        assert!(first.starts_with("GET "), "only lists: {first}");
        seen.lock().unwrap().push(target.clone());
        let (code, body) = if is_authorized {
            answer(&target, &mut answers.lock().unwrap())
        } else {
            status(401, "Unauthorized")
        };
        let body = body.to_string();
        let mut stream = stream;
        let _ = write!(
            stream,
            "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
}

/// The answer for `path`, or `path#TOKEN` where a continue token is given.
fn answer(target: &str, answers: &mut Answers) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap();
    assert!(query.contains("limit=500"), "a bounded page: {target}");
    let token = query.split('&').find_map(|part| part.strip_prefix("continue="));
    let key = token.map_or(path.to_owned(), |token| format!("{path}#{token}"));
    match answers.get_mut(&key) {
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0].clone(),
        None => status(404, "the server could not find the requested resource"),
    }
}

fn status(code: u16, message: &str) -> (u16, Value) {
    let reason = if code == 410 { "Expired" } else { "" };
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message,
                  "reason": reason, "code": code}),
    )
}

fn page(names: &[&str], token: Option<&str>) -> (u16, Value) {
    // As the API server answers: the items do not say what they are.
    let item = |name: &&str| json!({"metadata": {"name": name, "namespace": "n"}, "spec": {}});
    let items: Vec<_> = names.iter().map(item).collect();
    (
        200,
        json!({"kind": "XList", "apiVersion": "v1",
                 "metadata": {"continue": token.unwrap_or_default(), "resourceVersion": "1"},
                 "items": items}),
    )
}

const SERVICES: &str = "/api/v1/services";
const GATEWAY_CLASSES: &str = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/httproutes";

/// A cluster that serves every kind, with nothing in it.
fn empty() -> Answers {
    let mut answers = Answers::new();
    for resource in RESOURCES {
        let root = if resource.group.is_empty() { "/api" } else { "/apis" };
        let version = resource.api_version(resource.versions[0]);
        answers.insert(format!("{root}/{version}/{}", resource.plural), vec![page(&[], None)]);
    }
    answers
}

fn with(changes: &[(&str, Vec<(u16, Value)>)]) -> Server {
    let mut answers = empty();
    answers.extend(changes.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())));
    Server::start(answers)
}

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
        if let Read::Warning(text) = read {
            texts.push(text.as_str());
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
    assert_eq!(server.requests.lock().unwrap().len(), RESOURCES.len() + 2);
}

#[test]
fn lists_for_the_mesh_only_what_the_mesh_needs() {
    let server = with(&[]);
    server.read(Wanted::Mesh, TOKEN).0.unwrap();
    assert!(!server.requests(GATEWAY_CLASSES).is_empty());
    assert_eq!(server.requests("/api/v1/pods"), [""; 0]);
    assert_eq!(server.requests(ROUTES), [""; 0]);
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

#[test]
fn an_older_version_is_asked_for() {
    let v1 = "/apis/gateway.networking.k8s.io/v1/gateways";
    let old = "/apis/gateway.networking.k8s.io/v1beta1/gateways";
    let gateway = json!({"kind": "GatewayList", "metadata": {}, "items": [{
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
    assert!(error.contains("the list expired 4 times before its end (410)"), "{error}");
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
    let Some(Read::Broken(broken)) = reads.first() else { panic!("{reads:?}") };
    assert_eq!(
        broken.reason,
        "Service n/a: spec.ports[0].port: invalid type: string \"x\", expected i32"
    );
}

#[test]
fn the_role_allows_what_the_client_asks_for_and_no_more() {
    let server = with(&[]);
    server.read(Wanted::Checks, TOKEN).0.unwrap();
    let mut asked: Vec<_> =
        server.requests.lock().unwrap().iter().map(|r| resource_of(r)).collect();
    asked.sort();

    let yaml = rbac::manifests("istio-ingress");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    let kinds: Vec<_> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"]);
    assert_eq!(objects[0]["metadata"]["namespace"], "istio-ingress");
    assert_eq!(objects[2]["subjects"][0]["namespace"], "istio-ingress");
    let mut allowed = Vec::new();
    for rule in objects[1]["rules"].as_array().unwrap() {
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
