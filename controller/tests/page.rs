//! The page, its JSON and the metrics, over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod objects;
mod running;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use controller::page;
use controller::status::Status;
use mesh::object::{Kind, Object};
use mesh::{OF_SERVICES, REQUIRED};
use objects::{namespace, service, typed, waypoint};
use running::{PATIENCE, Running};
use serde_json::{Value, json};
use source::watch::Change;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

const TABLE: &str = "ingress_waypoint_table/ingress/public";
const HOSTILE: &str = "<script>alert('1')</script>&\"";

struct Site(SocketAddr);

struct Response {
    code: u16,
    head: String,
    body: String,
}

impl Site {
    async fn of(status: &Arc<Status>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(page::serve(listener, Arc::clone(status), std::future::pending()));
        Self(address)
    }

    async fn send(&self, method: &str, path: &str) -> Response {
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { code, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Response {
        self.send("GET", path).await
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.code, 200, "{path}: {}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    async fn names(&self, path: &str) -> Vec<String> {
        let list = self.json(path).await;
        let items = list["items"].as_array().unwrap().iter();
        items.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Asks again until it is so.
    async fn until(&self, path: &str, is: impl Fn(&Response) -> bool) -> Response {
        let asking = async {
            loop {
                let response = self.get(path).await;
                if is(&response) {
                    return response;
                }
                sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} never becomes so"))
    }
}

fn other(name: &str, labels: Value) -> Object {
    Object::Service(typed(json!({
        "metadata": {"namespace": "shop", "name": name, "labels": labels},
        "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80, "name": "http"}]},
    })))
}

fn in_vain(name: &str) -> Object {
    let labels = json!({"istio.io/ingress-use-waypoint": "true", "istio.io/use-waypoint": HOSTILE});
    other(name, labels)
}

/// A service that must not bypass its waypoint, and does not ask for it.
fn strict() -> Object {
    Object::Service(typed(json!({
        "metadata": {"namespace": "shop", "name": "strict", "annotations": {REQUIRED: HOSTILE}},
        "spec": {"clusterIP": "10.0.0.8", "ports": [{"port": 80, "name": "http"}]},
    })))
}

/// `cart` goes to its waypoint, `lost` asks in vain, `strict` is refused, and the others do not ask.
async fn small() -> (Running, Site) {
    let running = Running::start(&["ingress/public", "shop/inside"]).await;
    let site = Site::of(&running.status).await;
    let plain = (1..=7).map(|number| other(&format!("plain-{number}"), json!({})));
    let mut objects =
        vec![namespace(), waypoint(), service(true, "10.0.0.1"), in_vain("lost"), strict()];
    objects.extend(plain);
    running.list(&OF_SERVICES, &objects).await;
    site.until("/", |response| response.code == 200).await;
    (running, site)
}

#[tokio::test]
async fn before_all_is_listed_the_page_says_what_is_missing() {
    let running = Running::start(&["ingress/public"]).await;
    let site = Site::of(&running.status).await;
    running.list(&[Kind::Service], &[service(true, "10.0.0.1")]).await;
    running.send(Kind::Gateway, Change::Lost("it is away".to_owned())).await;
    for path in ["/", "/services", "/findings"] {
        let wanted = |it: &Response| it.body.contains("Gateway: it is away");
        let response = site.until(path, wanted).await;
        assert_eq!(response.code, 503, "{path}");
        assert!(response.body.contains("Namespace: not listed yet"), "{path}: {}", response.body);
        assert!(!response.body.contains("Service: not listed yet"), "{path}: {}", response.body);
    }
    let response = site.get("/api/v1/services").await;
    assert_eq!(response.code, 503);
    let answer: Value = serde_json::from_str(&response.body).unwrap();
    assert!(answer["error"].as_str().unwrap().starts_with("the services are not known yet"));
    let missing = answer["missing"].as_array().unwrap();
    assert!(missing.contains(&json!("Namespace: not listed yet")), "{missing:?}");
    let kinds = site.json("/api/v1/kinds").await;
    let state = |kind: &str| {
        let mut items = kinds["items"].as_array().unwrap().iter();
        items.find(|it| it["kind"] == kind).unwrap()["state"].clone()
    };
    let states = ["Service", "Gateway", "Namespace"].map(state);
    assert_eq!(states, ["followed", "lost", "unlisted"]);
    assert_eq!(site.get("/proxies").await.code, 200);
    running.end().await;
}

#[tokio::test]
async fn a_controller_that_does_not_answer_is_busy() {
    // There is no main loop.
    let site = Site::of(&Arc::new(Status::default())).await;
    tokio::time::pause();
    let response = site.get("/api/v1/services").await;
    assert_eq!(response.code, 503);
    assert!(response.body.contains("busy"), "{}", response.body);
}

#[tokio::test]
async fn a_service_says_where_its_requests_go_and_why() {
    let (running, site) = small().await;
    let list = site.json("/api/v1/services?q=CART").await;
    let mut cart = list["items"][0].clone();
    let steps = cart.as_object_mut().unwrap().remove("steps").unwrap();
    assert!(steps.as_array().unwrap().iter().all(|step| step["holds"] == true), "{steps}");
    let expected = json!({
        "kind": "Service", "namespace": "shop", "name": "cart",
        "decision": "waypoint", "reason": "labelled", "held": false, "required": false,
        "hosts": ["cart.shop.svc.cluster.local"], "vips": ["10.0.0.1"], "ports": [80],
        "waypoint": "shop/waypoint",
    });
    assert_eq!(cart, expected);
    let counts = ["total", "matched", "page", "pages"].map(|it| list[it].as_u64().unwrap());
    assert_eq!(counts, [10, 1, 1, 1]);
    let lost = &site.json("/api/v1/services?q=lost").await["items"][0];
    assert_eq!((&lost["decision"], &lost["reason"]), (&json!("direct"), &json!("no-waypoint")));
    assert!(lost["why"].as_str().unwrap().contains("waypoint"), "{lost}");
    let page = site.get("/services?q=cart").await.body;
    for text in ["10.0.0.1", "shop/waypoint", "labelled", "requests go to the VIP"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    running.end().await;
}

#[tokio::test]
async fn filters_choose_services_and_findings() {
    let (running, site) = small().await;
    assert_eq!(site.names("/api/v1/services?decision=waypoint").await, ["cart"]);
    assert_eq!(site.names("/api/v1/services?decision=direct&reason=no-waypoint").await, ["lost"]);
    assert_eq!(site.names("/api/v1/services?reason=not-labelled&q=shop/plain").await.len(), 7);
    assert_eq!(site.names("/api/v1/services?held=true").await, [""; 0]);
    assert_eq!(site.names("/api/v1/services?q=&decision=&gateway=shop/inside").await.len(), 10);
    let findings = site.json("/api/v1/findings?severity=error&q=shop/strict").await;
    let first = &findings["items"][0];
    assert_eq!((&first["severity"], &first["object"]["name"]), (&json!("error"), &json!("strict")));
    let page = site.get("/findings").await.body;
    assert!(page.contains("gateway=ingress%2Fpublic&#38;decision=direct&#38;reason=no-waypoint"));
    let code = first["code"].as_str().unwrap();
    let same = site.json(&format!("/api/v1/findings?code={code}")).await;
    assert_eq!(same["items"][0], *first);
    assert_eq!(site.json("/api/v1/findings?code=none-such").await["matched"], 0);
    running.end().await;
}

#[tokio::test]
async fn lists_have_pages_and_links_keep_the_filter() {
    let (running, site) = small().await;
    let list = site.json("/api/v1/services?q=plain&limit=3&page=3").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let counts = ["total", "matched", "page", "pages"].map(|it| list[it].as_u64().unwrap());
    assert_eq!(counts, [10, 7, 3, 3]);
    let first = site.names("/api/v1/services?q=plain&limit=3").await;
    assert_eq!(first, ["plain-1", "plain-2", "plain-3"]);
    let beyond = format!("/api/v1/services?page={}", usize::MAX);
    assert_eq!(site.names(&beyond).await, [""; 0]);
    let page = site.get("/services?q=plain&limit=3&page=2").await.body;
    for link in ["?limit=3&#38;page=1&#38;q=plain", "?limit=3&#38;page=3&#38;q=plain"] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{page}");
    }
    running.end().await;
}

#[tokio::test]
async fn parameters_that_cannot_be_used_are_refused_by_name() {
    let (running, site) = small().await;
    for (query, says) in [
        ("page=0", r#"page: "0" is not a whole number from 1"#),
        ("page=-1", "page: "),
        ("limit=201", r#"limit: "201" is not a whole number from 1 to 200"#),
        ("decision=maybe", r#"decision: "maybe" is none of direct, reject, waypoint"#),
        ("reason=none-such", r#"reason: "none-such" is none of"#),
        ("held=yes", r#"held: "yes" is none of false, true"#),
        ("colour=red", r#"colour: "red" is not expected: the parameters are gateway"#),
        ("q=a&q=b", r#"q: "b" is given a second time"#),
    ] {
        let response = site.get(&format!("/api/v1/services?{query}")).await;
        assert_eq!(response.code, 400, "{query}");
        let answer: Value = serde_json::from_str(&response.body).unwrap();
        let error = answer["error"].as_str().unwrap();
        assert!(error.starts_with(says), "{query}: {error}");
        assert_eq!(site.get(&format!("/services?{query}")).await.code, 400, "{query}");
    }
    assert_eq!(site.get("/?a=b").await.code, 400);
    assert_eq!(site.get("/findings?severity=fatal").await.code, 400);
    assert_eq!(site.get("/proxies?state=ill").await.code, 400);
    let unknown = site.get("/api/v1/services?gateway=ingress/other").await;
    assert_eq!(unknown.code, 404);
    assert!(unknown.body.contains("is not served here"), "{}", unknown.body);
    assert_eq!(site.send("POST", "/services").await.code, 405);
    assert_eq!(site.send("DELETE", "/api/v1/proxies").await.code, 405);
    let head = site.send("HEAD", "/services").await;
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    running.end().await;
}

#[tokio::test]
async fn texts_of_others_are_shown_as_text() {
    let (running, site) = small().await;
    let mut proxy = running.subscribe_as(TABLE, HOSTILE).await;
    proxy.refuse(HOSTILE).await;
    let refused = |it: &Response| it.body.contains("refused</span>");
    let proxies = site.until("/proxies", refused).await;
    let findings = site.get("/findings").await;
    let services = site.get("/services?q=lost").await;
    let echoed = site.get("/services?q=%3Cscript%3E%22").await;
    let bad = site.get("/services?page=%3Cscript%3E").await;
    for response in [&proxies, &findings, &services, &echoed, &bad] {
        assert!(!response.body.contains("<script"), "{}", response.body);
        assert!(response.head.contains("content-security-policy: default-src 'none';"));
        assert!(response.head.contains("x-content-type-options: nosniff"));
    }
    for response in [&proxies, &findings, &services] {
        assert!(response.body.contains("&#60;script&#62;alert"), "{}", response.body);
    }
    let list = site.json("/api/v1/proxies?state=refused").await;
    let proxy = &list["items"][0];
    assert_eq!((&proxy["node"], &proxy["state"]), (&json!(HOSTILE), &json!("refused")));
    let resource = &proxy["resources"][0];
    assert_eq!((&resource["name"], &resource["error"]), (&json!(TABLE), &json!(HOSTILE)));
    assert_eq!(resource["refused"]["version"], resource["sent"]["version"]);
    running.end().await;
}

#[tokio::test]
async fn gateways_have_their_version_and_their_proxies() {
    let (running, site) = small().await;
    let mut proxy = running.subscribe(TABLE).await;
    proxy.table().await;
    let is_there = |it: &Response| it.body.contains(r#""state":"acknowledged""#);
    let list = site.until("/api/v1/proxies?q=envoy", is_there).await;
    let list: Value = serde_json::from_str(&list.body).unwrap();
    let gateways = site.json("/api/v1/gateways").await;
    let public = &gateways["items"][0];
    assert_eq!(public["name"], "ingress/public");
    assert_eq!(public["version"], list["items"][0]["resources"][0]["acknowledged"]["version"]);
    assert_eq!((&public["proxies"], &public["refusing"]), (&json!(1), &json!(0)));
    let decisions = json!([
        {"decision": "direct", "reason": "no-waypoint", "services": 1},
        {"decision": "direct", "reason": "not-labelled", "services": 7},
        {"decision": "reject", "reason": "not-labelled", "services": 1},
        {"decision": "waypoint", "reason": "labelled", "services": 1},
    ]);
    assert_eq!(public["decisions"], decisions);
    assert_eq!(gateways["items"][1]["proxies"], 0);
    running.end().await;
}

#[tokio::test]
async fn what_the_guard_holds_is_shown_as_held() {
    let running = Running::start(&["ingress/public"]).await;
    let site = Site::of(&running.status).await;
    let asking = json!({"istio.io/ingress-use-waypoint": "true"});
    let services = (1..=6).map(|number| other(&format!("s{number}"), asking.clone()));
    let objects: Vec<_> = [namespace(), waypoint()].into_iter().chain(services).collect();
    running.list(&OF_SERVICES, &objects).await;
    site.until("/", |response| response.code == 200).await;
    assert_eq!(site.names("/api/v1/services?held=true").await, [""; 0]);
    running.apply(Object::Namespace(typed(json!({"metadata": {"name": "shop"}})))).await;
    let held = |it: &Response| it.body.contains(r#""matched":6"#);
    let list = site.until("/api/v1/services?held=true&decision=waypoint", held).await;
    let list: Value = serde_json::from_str(&list.body).unwrap();
    let first = &list["items"][0];
    assert_eq!((&first["name"], &first["held"]), (&json!("s1"), &json!(true)));
    assert!(first["why"].as_str().unwrap().contains("waypoint"), "{first}");
    assert!(site.get("/services").await.body.contains("held, because now: "));
    assert_eq!(site.json("/api/v1/gateways").await["items"][0]["held"], 6);
    let metrics = site.get("/metrics").await.body;
    assert_eq!(value(&metrics, "withdrawals_total"), Some(1.0));
    assert_eq!(value(&metrics, r#"services_held{gateway_namespace="ingress"}"#), Some(6.0));
    running.end().await;
}

/// The value of a sample.
fn value(metrics: &str, sample: &str) -> Option<f64> {
    let name = format!("ingress_waypoint_controller_{sample} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map(|it| it.parse().unwrap())
}

/// Each line is a comment or a sample with a finite value, and each family is declared once.
fn check(metrics: &str) {
    assert!(metrics.ends_with("# EOF\n"));
    let mut types = Vec::new();
    for line in metrics.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            types.push(declared.split(' ').next().unwrap());
        } else if !line.starts_with("# ") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
            let family = types.last().unwrap();
            assert!(sample.starts_with(family), "{line} is not of {family}");
        }
    }
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), count);
}

#[tokio::test]
async fn metrics_follow_the_mesh_and_the_proxies() {
    let (running, site) = small().await;
    let mut proxy = running.subscribe(TABLE).await;
    proxy.table().await;
    let namespace = r#"gateway_namespace="ingress""#;
    let waypoint = format!(r#"services{{{namespace},decision="waypoint",reason="labelled"}}"#);
    let acknowledged = |it: &Response| value(&it.body, "resources_acknowledged_total") == Some(1.0);
    let metrics = site.until("/metrics", acknowledged).await;
    assert!(metrics.head.contains("content-type: application/openmetrics-text; version=1.0.0"));
    let metrics = metrics.body;
    check(&metrics);
    for (sample, expected) in [
        (waypoint.as_str(), 1.0),
        (&format!(r#"services{{{namespace},decision="direct",reason="not-labelled"}}"#), 7.0),
        (&format!("services_in_table{{{namespace}}}"), 3.0),
        (&format!("services_held{{{namespace}}}"), 0.0),
        (&format!("stale_seconds{{{namespace}}}"), 0.0),
        (r#"kind_followed{kind="Service"}"#, 1.0),
        (r#"kind_objects{kind="Service"}"#, 10.0),
        (r#"kind_objects{kind="Gateway"}"#, 1.0),
        ("proxies", 1.0),
        ("proxies_refusing", 0.0),
        ("resources_refused_total", 0.0),
        ("withdrawals_total", 0.0),
        ("publications_total", 2.0),
    ] {
        assert_eq!(value(&metrics, sample), Some(expected), "{sample}: {metrics}");
    }
    for sample in [
        r#"build_info{version="0.1.0"}"#,
        "update_duration_seconds_count",
        "publish_duration_seconds_count",
        r#"kind_last_list_timestamp_seconds{kind="Service"}"#,
        &format!("last_update_timestamp_seconds{{{namespace}}}"),
        &format!("last_publish_timestamp_seconds{{{namespace}}}"),
    ] {
        assert!(value(&metrics, sample).is_some_and(|it| it > 0.0), "{sample}: {metrics}");
    }
    running.apply(service(false, "10.0.0.1")).await;
    running.send(Kind::Service, Change::Lost("it is away".to_owned())).await;
    proxy.refuse("no").await;
    let refused = |it: &Response| value(&it.body, "resources_refused_total") == Some(1.0);
    let metrics = site.until("/metrics", refused).await.body;
    check(&metrics);
    assert_eq!(value(&metrics, &waypoint), None);
    assert_eq!(value(&metrics, "proxies_refusing"), Some(1.0));
    assert_eq!(value(&metrics, r#"kind_followed{kind="Service"}"#), Some(0.0));
    let stale = value(&metrics, &format!("stale_seconds{{{namespace}}}"));
    assert!(stale.is_some_and(|it| it > 0.0), "{metrics}");
    running.end().await;
}

#[tokio::test]
async fn the_documentation_has_every_metric_and_no_other() {
    let (running, site) = small().await;
    let metrics = site.get("/metrics").await.body;
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let is: BTreeSet<_> = types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let name = name.strip_prefix("ingress_waypoint_controller_").unwrap();
            if kind == "counter" { format!("{name}_total") } else { name.to_owned() }
        })
        .collect();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observability.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.split("## The controller").nth(1).unwrap().lines();
    let cells = rows.filter_map(|row| row.strip_prefix("| `")?.split('|').next());
    let names = cells.flat_map(|cell| cell.split(", ").map(|it| it.trim().trim_matches('`')));
    let told: BTreeSet<_> = names.map(|it| it.split('{').next().unwrap().to_owned()).collect();
    assert_eq!(told, is);
    running.end().await;
}
