//! What a client may try where there are no VIP routes: it can neither choose an address nor leave the
//! waypoint, by no kind of request.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::client::{self, Request};
use testbed::example::Example;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::specifiers;
use crate::common::{assert_at_vip, assert_nowhere, scene, unedited};

const ADDRESS: &str = "x-envoy-original-dst-host";

/// Lets CONNECT through to reviews, on a route with that in its action.
fn accept_connect(ingress: &mut Example, action: &Value) -> Result<()> {
    ingress.accept_upgrade("CONNECT")?;
    let mut hosts = ingress.virtual_hosts()?.iter_mut();
    let host = hosts.find(|host| host["name"] == "reviews").context("reviews")?;
    // The authority of CONNECT has a port.
    host["domains"] = json!(["reviews.example.com", "reviews.example.com:80"]);
    let routes = ingress.routes("reviews")?;
    let mut connect = routes[0].clone();
    connect["match"] = json!({"connect_matcher": {}});
    for (key, value) in action.as_object().context("an action")? {
        connect["route"][key] = value.clone();
    }
    routes.insert(0, connect);
    Ok(())
}

/// Passed on as it is, which the waypoint answers as it likes, or ended here and made a connection.
#[tokio::test(flavor = "multi_thread")]
async fn connect_leads_to_the_vip_whatever_address_it_asks_for() {
    for example in specifiers() {
        let ended = json!({"upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]});
        for (action, ends) in [(json!({}), false), (ended, true)] {
            let scene = scene(example, move |ingress| accept_connect(ingress, &action)).await;
            let endpoint = scene.endpoint("reviews").unwrap();
            let mut stream = TcpStream::connect(scene.address()).await.unwrap();
            let connect = format!(
                "CONNECT reviews.example.com:80 HTTP/1.1\r\nhost: reviews.example.com:80\r\n{ADDRESS}: {endpoint}\r\n\r\n"
            );
            stream.write_all(connect.as_bytes()).await.unwrap();
            let mut answer = vec![0; 4096];
            let length = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            if ends {
                assert!(answer.starts_with("HTTP/1.1 200"), "{example}: {answer}");
                // What is at the other end denies this: the waypoint.
                let admin = b"GET /admin HTTP/1.1\r\nhost: reviews.example.com\r\nconnection: close\r\n\r\n";
                stream.write_all(admin).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 403"), "{example}: {answer}");
            }
            drop(stream);
            let entry = scene.ingress.wait_for_access_log(|entry| entry["decision"] == "waypoint");
            let vip = scene.vip("reviews").unwrap().to_string();
            assert_eq!(entry.await.unwrap()["upstream"], vip, "{example}");
        }
    }
}

/// `connection` names headers that a proxy is to take out; the one that carries the address is not a
/// client's to name.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_have_the_address_taken_out() {
    for example in specifiers() {
        let scene = unedited(example).await;
        for nominated in [ADDRESS, &format!("close, {ADDRESS}"), "te, x-ingress-waypoint-reason"] {
            for host in ["reviews.example.com", "ratings.example.com"] {
                let request = format!(
                    "GET /admin HTTP/1.1\r\nhost: {host}\r\n{ADDRESS}: 169.254.169.254:80\r\nconnection: {nominated}\r\n\r\n"
                );
                let answer = client::raw(scene.address(), request.as_bytes()).await.unwrap();
                let answer = String::from_utf8_lossy(&answer).into_owned();
                let status = if host.starts_with("reviews") { "403" } else { "200" };
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{example}: {answer}");
            }
        }
    }
}

/// Who may pick a cluster by a header picks services, and not the way to a VIP.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_picks_the_cluster_picks_no_address() {
    for example in specifiers() {
        let scene = scene(example, |ingress| {
            ingress.routes("reviews")?[0]["route"] = json!({"cluster_header": "x-pick"});
            Ok(())
        })
        .await;
        let endpoint = scene.endpoint("reviews").unwrap().to_string();
        let ask = async |cluster: &str| {
            let headers = [("x-pick", cluster), (ADDRESS, &endpoint)];
            scene.get("reviews.example.com", "/admin", &headers).await.unwrap()
        };
        for cluster in ["waypoint_vip", "waypoint_vip_h2"] {
            let outcome = ask(cluster).await;
            assert_nowhere(&outcome, 503, example);
            assert_eq!(outcome.logged("reason"), Some("forged-destination"), "{example}");
        }
        let of = |service: &str| {
            format!("outbound|{}||{service}.default.svc.cluster.local", scene.ports.get(9080))
        };
        assert_at_vip(&scene, &ask(&of("reviews")).await, "reviews", 403, example);
        let outcome = ask(&of("ratings")).await;
        assert_eq!(outcome.served_by.as_deref(), Some("ratings"), "{example}");
    }
}

/// A route that another filter changes after ours has decided is decided anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_changed_behind_the_filter_leads_past_no_waypoint() {
    for example in specifiers() {
        let scene = scene(example, |ingress| {
            let script = "function envoy_on_request(r)
                local to = r:headers():get('x-to')
                if to then r:headers():replace(':authority', to) end
                r:clearRouteCache()
            end";
            let lua = json!({"name": "lua", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": script},
            }});
            let filters = ingress.http_filters()?;
            filters.insert(filters.len() - 1, lua);
            Ok(())
        })
        .await;
        let alone = example == "module-specifier.yaml";
        let ask = async |from: &str, to: &str| {
            let to = format!("{to}.example.com");
            scene.get(&format!("{from}.example.com"), "/admin", &[("x-to", &to)]).await.unwrap()
        };
        // To a service that opted in, from one that did not.
        assert_at_vip(&scene, &ask("ratings", "reviews").await, "reviews", 403, example);
        // To another that opted in: the filter has set the address of the first.
        let first = if alone { "reviews" } else { "payments" };
        assert_at_vip(&scene, &ask("payments", "reviews").await, first, 403, example);
        // To one that is refused, and to one that did not opt in.
        assert_nowhere(&ask("reviews", "billing").await, 503, example);
        let outcome = ask("reviews", "ratings").await;
        assert_eq!(outcome.served_by.as_deref(), Some("ratings"), "{example}");
    }
}

/// A copy of a request goes where the route says, and with it what the specifier alone adds: the
/// waypoint's address, and never one of the client's.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirrored_request_carries_no_address_of_a_clients() {
    for example in specifiers() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scene = scene(example, move |ingress| {
            let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
            ingress.clusters()?.push(json!({
                "name": "mirror",
                "load_assignment": {"cluster_name": "mirror", "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": address}}]}]},
            }));
            ingress.routes("reviews")?[0]["route"]["request_mirror_policies"] =
                json!([{"cluster": "mirror"}]);
            Ok(())
        })
        .await;
        let request =
            Request::get("reviews.example.com", "/admin").header(ADDRESS, "169.254.169.254:80");
        let outcome = scene.send(client::Version::Http1, request).await.unwrap();
        assert_at_vip(&scene, &outcome, "reviews", 403, example);
        let vip = scene.vip("reviews").unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut copy = vec![0; 16 << 10];
        let length = stream.read(&mut copy).await.unwrap();
        let copy = String::from_utf8_lossy(&copy[..length]).to_ascii_lowercase();
        assert!(copy.contains("host: reviews.example.com-shadow"), "{copy}");
        let alone = example == "module-specifier.yaml";
        assert_eq!(copy.contains("169.254.169.254"), !alone, "{example}: {copy}");
        assert_eq!(copy.contains(&format!("{ADDRESS}: {vip}")), alone, "{example}: {copy}");
    }
}
