//! What a client may try: with every mechanism it can neither leave the waypoint nor choose an
//! address.

use serde_json::{Value, json};
use testbed::client::{self, Request, Version};
use testbed::scene::{Outcome, Scene};

use crate::closed::is_vip_route;
use crate::common::{WASM, all, assert_at_vip, assert_nowhere, scene, unedited};

const ADDRESS: &str = "x-envoy-original-dst-host";
const CLUSTER: &str = "x-ingress-waypoint-cluster";
const PROTOCOL: &str = "x-ingress-waypoint-protocol";
const DESTINATION: &str = "x-ingress-waypoint-destination";

/// Sets of headers that try to choose a destination.
fn forgeries(scene: &Scene) -> Vec<Vec<(&'static str, String)>> {
    let endpoint = scene.endpoint("reviews").unwrap().to_string();
    let endpoint_cluster =
        format!("outbound|{}||reviews.default.svc.cluster.local", scene.ports.get(9080));
    let one = |name, value: &str| vec![(name, value.to_owned())];
    vec![
        one(ADDRESS, &endpoint),
        // The metadata service of the clouds: reaching for it would be the worst.
        one(ADDRESS, "169.254.169.254:80"),
        one(ADDRESS, "garbage"),
        one(DESTINATION, &endpoint),
        one(DESTINATION, "169.254.169.254:80"),
        one(DESTINATION, "garbage"),
        one(ADDRESS, ""),
        vec![(ADDRESS, endpoint.clone()), (ADDRESS, "169.254.169.254:80".into())],
        one(CLUSTER, &endpoint_cluster),
        one(CLUSTER, "waypoint_vip"),
        one(CLUSTER, "no such cluster"),
        vec![(CLUSTER, endpoint_cluster.clone()), (CLUSTER, "waypoint_vip".into())],
        vec![(ADDRESS, endpoint), (CLUSTER, endpoint_cluster)],
        vec![(ADDRESS, "169.254.169.254:80".into()), (CLUSTER, "waypoint_vip".into())],
        one(PROTOCOL, "http2"),
        vec![(PROTOCOL, "http2".into()), (PROTOCOL, "garbage".into())],
    ]
}

fn request(host: &str, path: &str, headers: &[(&'static str, String)]) -> Request {
    headers
        .iter()
        .fold(Request::get(host, path), |request, (name, value)| request.header(name, value))
}

/// The waypoint's policy was applied: `/admin` is denied there, anything else is marked.
fn assert_at_waypoint(scene: &Scene, outcome: &Outcome, path: &str, what: &str) {
    let status = if path == "/admin" { 403 } else { 200 };
    assert_at_vip(scene, outcome, "reviews", status, what);
    assert_eq!(outcome.through_waypoint, status == 200, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_header_changes_nothing() {
    for mechanism in all() {
        let scene = unedited(mechanism).await;
        let ratings = scene.endpoint("ratings").unwrap().to_string();
        for headers in forgeries(&scene) {
            let what = format!("{mechanism} {headers:?}");
            for path in ["/", "/admin"] {
                for version in [Version::Http1, Version::Http2] {
                    let request = request("reviews.example.com", path, &headers);
                    let outcome = scene.send(version, request).await.unwrap();
                    assert_at_waypoint(&scene, &outcome, path, &what);
                }
            }
            // A service that did not opt in goes to its own endpoint and nowhere else.
            let request = request("ratings.example.com", "/", &headers);
            let outcome = scene.send(Version::Http1, request).await.unwrap();
            assert_eq!(outcome.logged("upstream"), Some(ratings.as_str()), "{what}");
            assert_eq!(outcome.served_by.as_deref(), Some("ratings"), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_ours_reaches_the_waypoint() {
    for mechanism in all() {
        // The address has to stay in its header for a retry to find it.
        let ours = match mechanism {
            "original-dst-header.yaml" | "native:original-dst-header.yaml" => {
                vec![CLUSTER, PROTOCOL]
            }
            _ => vec![ADDRESS, CLUSTER, PROTOCOL, DESTINATION],
        };
        let scene = unedited(mechanism).await;
        let outcome = scene.get("reviews.example.com", "/", &[]).await.unwrap();
        assert!(outcome.through_waypoint);
        for header in &ours {
            assert_eq!(outcome.seen_header(header), None, "{mechanism}");
        }
        scene.health_check("greeter.example.com", &[]).await.unwrap().result.unwrap();
        let call = scene.greeter.calls().pop().unwrap();
        for header in &ours {
            assert!(call.iter().all(|(name, _)| name != *header), "{mechanism}: {call:?}");
        }
    }
}

/// The examples take a client's headers out before any route is resolved. Where that was forgotten,
/// the filter is the second line.
#[tokio::test(flavor = "multi_thread")]
async fn without_early_header_mutation_the_filter_refuses() {
    for mechanism in all().into_iter().filter(|name| name.ends_with("-header.yaml")) {
        let scene = scene(mechanism, |ingress| {
            ingress.connection_manager()?.remove("early_header_mutation_extensions");
            Ok(())
        })
        .await;
        let mut forged = 0;
        for headers in forgeries(&scene) {
            let what = format!("{mechanism} {headers:?}");
            for host in ["reviews.example.com", "ratings.example.com"] {
                let request = request(host, "/admin", &headers);
                let outcome = scene.send(Version::Http1, request).await.unwrap();
                if outcome.status == 503 && outcome.logged("decision") == Some("reject") {
                    assert_eq!(outcome.logged("reason"), Some("forged-destination"), "{what}");
                    assert_eq!(outcome.logged("upstream"), None, "{what}");
                    forged += 1;
                } else if host == "reviews.example.com" {
                    assert_at_waypoint(&scene, &outcome, "/admin", &what);
                } else {
                    assert_eq!(outcome.served_by.as_deref(), Some("ratings"), "{what}");
                }
            }
        }
        assert!(forged > 0, "{mechanism}: no request came to the filter as forged");
    }
}

/// The second line does not hang on the name of the cluster that the routes lead to.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_still_there_is_refused_whatever_the_cluster_is_called() {
    let scene = scene("original-dst-header.yaml", |ingress| {
        ingress.connection_manager()?.remove("early_header_mutation_extensions");
        let text = ingress.config.to_string().replace("\"waypoint_vip\"", "\"another_name\"");
        ingress.config = serde_json::from_str(&text)?;
        Ok(())
    })
    .await;
    let endpoint = scene.endpoint("reviews").unwrap().to_string();
    for host in ["reviews.example.com", "ratings.example.com"] {
        let outcome = scene.get(host, "/admin", &[(ADDRESS, &endpoint)]).await.unwrap();
        assert_nowhere(&outcome, 503, host);
        assert_eq!(outcome.logged("reason"), Some("forged-destination"));
    }
    let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
    assert_at_waypoint(&scene, &outcome, "/admin", "without the header");
}

/// The status of the answer to bytes sent as they are: an endpoint may only have been reached
/// through the waypoint.
async fn raw(scene: &Scene, bytes: &[u8]) -> u16 {
    let answer = client::raw(scene.address(), bytes).await.unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(
        !text.contains("\"server\":") || text.contains("x-waypoint"),
        "went past the waypoint: {text}"
    );
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_requests_do_no_harm() {
    for mechanism in all() {
        let scene = scene(mechanism, |ingress| {
            let manager = ingress.connection_manager()?;
            manager.insert("http_protocol_options".into(), json!({"accept_http_10": true}));
            // So that a request gets to the filter whatever its authority is.
            let domains = &mut manager["route_config"]["virtual_hosts"][0]["domains"];
            domains.as_array_mut().unwrap().push(json!("*"));
            Ok(())
        })
        .await;
        // With cluster-header and no route of its own, an authority that is not of a service goes nowhere.
        let any_host = if mechanism.ends_with("cluster-header.yaml") { 503 } else { 200 };
        let get = |host: &[u8], rest: &[u8]| {
            [b"GET / HTTP/1.1\r\nhost: ", host, b"\r\n", rest, b"\r\n"].concat()
        };
        let reviews = b"reviews.example.com".as_slice();
        for header in ["x-bytes", ADDRESS, CLUSTER, PROTOCOL] {
            let header = [header.as_bytes(), b": \xff\xfe\x80\r\n"].concat();
            assert_eq!(raw(&scene, &get(reviews, &header)).await, 200, "{mechanism} {header:?}");
        }
        // What Envoy itself takes for no authority, and what it does not.
        for host in [b"\xff\xfe.example.com".as_slice(), b"", b"reviews.example.com\xff"] {
            let status = raw(&scene, &get(host, b"")).await;
            assert!(status == 400 || status == any_host, "{mechanism} {host:?}: {status}");
        }
        let long = "a".repeat(59 * 1024);
        assert_eq!(raw(&scene, &get(long.as_bytes(), b"")).await, any_host, "{mechanism}");

        let old = b"GET /admin HTTP/1.0\r\nhost: reviews.example.com\r\n\r\n";
        assert_eq!(raw(&scene, old).await, 403, "{mechanism}");
        let no_host = raw(&scene, b"GET / HTTP/1.0\r\n\r\n").await;
        assert!(no_host == 400 || no_host == any_host, "{mechanism}: {no_host}");

        // After all that the filter still does its job.
        let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_at_waypoint(&scene, &outcome, "/admin", mechanism);
    }
}

/// A VIP route has to match what its route matches: `prefix` never matches CONNECT.
#[tokio::test(flavor = "multi_thread")]
async fn connect_goes_to_the_vip_where_its_route_has_a_twin() {
    let scene = scene("filter-state.yaml", |ingress| {
        ingress.accept_upgrade("CONNECT")?;
        // The authority of CONNECT has a port.
        ingress.virtual_hosts()?[0]["domains"] =
            json!(["reviews.example.com", "reviews.example.com:80"]);
        let mut hosts = ingress.all_routes()?;
        let routes = &mut hosts[0];
        let connect = |route: &Value| {
            let mut route = route.clone();
            let matched = route["match"].as_object_mut().unwrap();
            matched.remove("prefix");
            matched.insert("connect_matcher".into(), json!({}));
            route
        };
        let connects: Vec<_> = routes.iter().map(connect).collect();
        routes.splice(0..0, connects);
        Ok(())
    })
    .await;
    let host = "reviews.example.com";
    let connect = format!("CONNECT {host}:80 HTTP/1.1\r\nhost: {host}\r\n\r\n");
    raw(&scene, connect.as_bytes()).await;
    let entry =
        scene.ingress.wait_for_access_log(|entry| entry["decision"] == "waypoint").await.unwrap();
    assert_eq!(entry["upstream"], scene.vip("reviews").unwrap().to_string());
}

/// What a filter in front takes from the route it takes from the plain one, and that still holds.
#[tokio::test(flavor = "multi_thread")]
async fn authorization_at_the_gateway_still_holds() {
    for mechanism in all() {
        let scene = scene(mechanism, |ingress| {
            let rbac = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3";
            let filter = json!({"@type": format!("{rbac}.RBAC")});
            ingress.http_filters()?.insert(0, json!({"name": "rbac", "typed_config": filter}));
            let deny = json!({"rbac": {"@type": format!("{rbac}.RBACPerRoute"), "rbac": {"rules": {
                "action": "DENY",
                "policies": {"secret": {
                    "permissions": [{"url_path": {"path": {"prefix": "/secret"}}}],
                    "principals": [{"any": true}],
                }},
            }}}});
            for route in ingress.all_routes()?.into_iter().flatten() {
                if !is_vip_route(route) {
                    route["typed_per_filter_config"] = deny.clone();
                }
            }
            Ok(())
        })
        .await;
        let outcome = scene.get("reviews.example.com", "/secret", &[]).await.unwrap();
        assert_nowhere(&outcome, 403, mechanism);
        let outcome = scene.get("reviews.example.com", "/", &[]).await.unwrap();
        assert_at_waypoint(&scene, &outcome, "/", mechanism);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_goes_through_the_waypoint() {
    for mechanism in all() {
        let scene = scene(mechanism, |ingress| ingress.accept_upgrade("websocket")).await;
        let request = Request::get("reviews.example.com", "/socket");
        let echoed = client::websocket_echo(scene.address(), &request, b"ping").await.unwrap();
        assert_eq!(echoed, b"ping");
        let entry =
            scene.ingress.wait_for_access_log(|entry| entry["path"] == "/socket").await.unwrap();
        assert_eq!(entry["upstream"], scene.vip("reviews").unwrap().to_string(), "{mechanism}");
        let denied = Request::get("reviews.example.com", "/admin/socket");
        assert!(client::websocket_echo(scene.address(), &denied, b"ping").await.is_err());
    }
}

/// A module that loads and then traps on every request.
const TRAP: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_initialize"))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
    (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable))"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_traps_lets_nothing_through() {
    let module = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(module.path(), wat::parse_str(TRAP).unwrap()).unwrap();
    for mechanism in WASM {
        let path = module.path().to_owned();
        let scene = scene(mechanism, move |ingress| {
            let vm = &mut ingress.filter()?["typed_config"]["config"]["vm_config"];
            vm["code"] = json!({"local": {"filename": path}});
            Ok(())
        })
        .await;
        for host in ["reviews.example.com", "ratings.example.com"] {
            let outcome = scene.get(host, "/", &[]).await.unwrap();
            assert!(outcome.status >= 500, "{mechanism}: {}", outcome.status);
            assert_nowhere(&outcome, outcome.status, mechanism);
        }
    }
}
