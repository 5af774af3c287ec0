//! Random changes for a while, at whose end everything has what `compile` makes of the cluster.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::kube::path;
use testbed::live::{EXAMPLES, LABEL, Mesh, route_version, table_of, waypoint};
use tokio::time::Instant;

use super::outages::until_same;

/// Twenty seconds, or as many as `LIVE_SOAK_SECONDS` says.
fn duration() -> Duration {
    let seconds = std::env::var("LIVE_SOAK_SECONDS").ok();
    Duration::from_secs(seconds.map_or(20, |seconds| seconds.parse().unwrap()))
}

/// Numbers that look random; the same ones each time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const NAMESPACES: [&str; 3] = ["default", "a", "b"];
const LABELS: [Option<&str>; 4] = [None, Some("true"), Some("false"), Some("yes")];
const ROUTES: [&str; 4] = ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"];
const WAYPOINTS: [Option<&str>; 3] = [None, Some("waypoint"), Some("none")];

/// A change of some object. That it is refused is no failure: an object may be there already, or be gone.
async fn change(mesh: &mut Mesh, numbers: &mut Numbers) {
    let space = numbers.one(&NAMESPACES);
    let name = format!("s{}", numbers.below(12));
    let service = path("v1", "Service", Some(space), &name);
    let entry = path("networking.istio.io/v1", "ServiceEntry", Some(space), &name);
    let labels =
        json!({LABEL: numbers.one(&LABELS), "istio.io/use-waypoint": numbers.one(&WAYPOINTS)});
    let metadata = json!({"name": name, "namespace": space, "labels": labels});
    let labelled = json!({"metadata": {"labels": labels}});
    let api = &mesh.api;
    let _ = match numbers.below(15) {
        0..3 => {
            let ip = numbers.one(&[None, Some("None")]);
            let spec = json!({"clusterIP": ip, "ports": [{"name": "http", "port": 80}]});
            api.apply(&without_nulls(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec,
            })))
            .await
        }
        3..5 => {
            let addresses: Vec<_> =
                (0..numbers.below(3)).map(|i| format!("127.0.2.{}", 10 + i)).collect();
            let spec = json!({
                "hosts": [format!("{}.example.com", numbers.one(&["x", "y", "z"]))], "addresses": addresses,
                "resolution": "STATIC", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            });
            api.apply(&without_nulls(json!({
                "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": spec,
            })))
            .await
        }
        5 => api.delete(&service).await,
        6 => api.delete(&entry).await,
        7 => api.patch(&service, &labelled).await,
        8 => api.patch(&entry, &labelled).await,
        9 => api.patch(&path("v1", "Namespace", None, space), &labelled).await,
        10 => {
            let kinds = ["service", "all", "none", "workload"];
            api.label(&waypoint(), "istio.io/waypoint-for", Some(numbers.one(&kinds))).await
        }
        11..13 => api.apply(&route(numbers, space, &name)).await,
        13 => {
            let kind = numbers.one(&ROUTES);
            api.delete(&path(route_version(kind).unwrap(), kind, Some(space), &name)).await
        }
        _ if numbers.below(40) == 0 => {
            mesh.api.go();
            mesh.api.come().await.unwrap();
            Ok(())
        }
        _ => Ok(()),
    };
}

/// A route to one or two services, with a mirror if its kind can have one.
fn route(numbers: &mut Numbers, space: &str, name: &str) -> Value {
    let kind = numbers.one(&ROUTES);
    let mut backend = || {
        let namespace = numbers.one(&NAMESPACES);
        json!({"name": format!("s{}", numbers.below(12)), "namespace": namespace, "port": 80})
    };
    let (mirror, mut backends) = (backend(), vec![backend()]);
    if numbers.below(3) == 0 {
        let port = numbers.one(&[80, 81]);
        backends.push(json!({"name": format!("s{}", numbers.below(12)), "port": port}));
    }
    let mirror = json!([{"type": "RequestMirror", "requestMirror": {"backendRef": mirror}}]);
    let has_mirror = matches!(kind, "HTTPRoute" | "GRPCRoute") && numbers.below(3) == 0;
    let rule =
        json!({"backendRefs": backends, "filters": if has_mirror { mirror } else { json!([]) }});
    let parent = json!({"name": "public", "namespace": "ingress"});
    json!({
        "apiVersion": route_version(kind).unwrap(), "kind": kind,
        "metadata": {"name": name, "namespace": space},
        "spec": {"parentRefs": [parent], "rules": [rule]},
    })
}

/// An applied object cannot have them.
fn without_nulls(mut object: Value) -> Value {
    match &mut object {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(|value| *value = without_nulls(value.take()));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| *item = without_nulls(item.take()));
        }
        _ => {}
    }
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_many_changes_everything_is_as_compiled() {
    let mut mesh = Mesh::start().await.unwrap();
    for name in ["a", "b"] {
        mesh.namespace(name, &[]).await.unwrap();
    }
    for kind in ROUTES {
        mesh.define_route(kind).await.unwrap();
    }
    mesh.allow_routes().await.unwrap();
    // What is held back is not what `compile` makes.
    let controller =
        mesh.controller(&["--withdrawal-delay", "1s", "--route-clusters"]).await.unwrap();
    let mut scenes = Vec::new();
    for example in EXAMPLES {
        // Both on the controller's port, the rest on ports of their own.
        scenes.push(mesh.scene(example).await.unwrap());
        mesh.other_gateway().unwrap();
    }
    let end = Instant::now() + duration();
    let (mut numbers, mut changes) = (Numbers(0x9e37_79b9_7f4a_7c15), 0);
    while Instant::now() < end {
        change(&mut mesh, &mut numbers).await;
        changes += 1;
    }
    until_same(&mesh, async || controller.table()).await;
    for scene in &scenes {
        until_same(&mesh, async || table_of(&scene.ingress).await).await;
    }
    println!("{changes} changes");
}
