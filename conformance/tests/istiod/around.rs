//! What a cluster has beside the objects of a case: namespaces, endpoints, and the Services of waypoints.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Kinds without a namespace.
const OF_CLUSTER: [&str; 2] = ["Namespace", "GatewayClass"];

pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `namespace` and `name`.
pub fn names(object: &Value) -> (&str, &str) {
    (text(object, "/metadata/namespace"), text(object, "/metadata/name"))
}

/// The objects as an API server with controllers has them. Of two of one name the first counts.
pub fn completed(objects: Vec<Value>) -> Vec<Value> {
    let mut cluster = Cluster::default();
    for mut object in objects {
        let kind = text(&object, "/kind").to_owned();
        if !OF_CLUSTER.contains(&kind.as_str())
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.entry("namespace").or_insert_with(|| json!("default"));
        }
        match kind.as_str() {
            "Namespace" => {
                let name = object["metadata"]["name"].clone();
                object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            }
            "Service" => both_fields(&mut object),
            _ => {}
        }
        cluster.add(object);
    }
    for namespace in cluster.namespaces() {
        let labels = json!({"kubernetes.io/metadata.name": namespace});
        cluster.add(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels},
        }));
    }
    cluster.date();
    for gateway in cluster.objects.clone().iter().filter(|it| text(it, "/kind") == "Gateway") {
        cluster.waypoint(gateway);
    }
    for service in cluster.objects.clone().iter().filter(|it| text(it, "/kind") == "Service") {
        if text(service, "/spec/type") != "ExternalName" {
            cluster.endpoints(service);
        }
    }
    cluster.objects
}

/// `clusterIP` and `clusterIPs`: the server fills in the one that is missing.
fn both_fields(service: &mut Value) {
    let spec = &mut service["spec"];
    match (spec["clusterIP"].as_str(), spec["clusterIPs"][0].as_str()) {
        (Some(one), None) if !one.is_empty() => spec["clusterIPs"] = json!([one]),
        (None | Some(""), Some(first)) => spec["clusterIP"] = json!(first),
        _ => {}
    }
}

#[derive(Default)]
struct Cluster {
    objects: Vec<Value>,
    names: BTreeSet<(String, String, String)>,
    endpoints: u16,
}

impl Cluster {
    fn add(&mut self, object: Value) {
        let (namespace, name) = names(&object);
        let kind = text(&object, "/kind");
        if self.names.insert((kind.to_owned(), namespace.to_owned(), name.to_owned())) {
            self.objects.push(object);
        }
    }

    fn namespaces(&self) -> BTreeSet<String> {
        let known = self.names.iter().map(|(_, namespace, _)| namespace.clone());
        let known = known.filter(|namespace| !namespace.is_empty());
        known.chain([super::istiod::INGRESS, "istio-system"].map(str::to_owned)).collect()
    }

    /// The time at which each object was made: of its own, as istiod's gateway and ztunnel disagree about objects of one
    /// time. What has none was made last.
    fn date(&mut self) {
        let mut times = BTreeSet::new();
        for (i, object) in self.objects.iter_mut().enumerate() {
            let given = text(object, "/metadata/creationTimestamp");
            let mut time = match given {
                "" => format!("2027-01-01T{:02}:{:02}:00Z", i / 60, i % 60),
                given => given.to_owned(),
            };
            while !times.insert(time.clone()) {
                // Objects of the same time count in the order of their names, which is that of files.
                let (before, second) = time.split_at(time.len() - 3);
                let second: u8 = second.trim_end_matches('Z').parse().unwrap_or_default();
                time = format!("{before}{:02}Z", second + 1);
            }
            object["metadata"]["creationTimestamp"] = json!(time);
        }
    }

    /// One endpoint for each port.
    fn endpoints(&mut self, service: &Value) {
        self.endpoints += 1;
        let address = format!("10.250.{}.{}", self.endpoints / 250, self.endpoints % 250 + 1);
        let (namespace, name) = names(service);
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let ports = ports.map(|port| {
            let name = port["name"].as_str().unwrap_or_default();
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            json!({"name": name, "port": port["port"], "protocol": protocol})
        });
        let ports: Vec<_> = ports.collect();
        self.add(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "namespace": namespace, "name": format!("{name}-endpoints"),
                "labels": {"kubernetes.io/service-name": name},
            },
            "ports": ports, "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        }));
    }

    /// The Service that a Gateway's address is of, as Istio makes it.
    fn waypoint(&mut self, gateway: &Value) {
        let (namespace, name) = names(gateway);
        let addresses = gateway["status"]["addresses"].as_array().into_iter().flatten();
        for address in addresses {
            let value = text(address, "/value");
            let (name, ip) = match text(address, "/type") {
                "IPAddress" => (name.to_owned(), value.to_owned()),
                "Hostname" => {
                    self.endpoints += 1;
                    let first = value.split('.').next().unwrap_or_default().to_owned();
                    (first, format!("10.251.{}.{}", self.endpoints / 250, self.endpoints % 250 + 1))
                }
                _ => continue,
            };
            let is_of_service = |it: &Value| {
                text(it, "/kind") == "Service"
                    && it["spec"]["clusterIPs"]
                        .as_array()
                        .is_some_and(|ips| ips.contains(&json!(ip)))
            };
            if name.is_empty()
                || ip.parse::<std::net::IpAddr>().is_err()
                || self.objects.iter().any(is_of_service)
            {
                continue;
            }
            let mesh = json!({"name": "mesh", "port": 15008, "appProtocol": "hbone"});
            let mut services = self.objects.iter_mut();
            let is_it = |it: &&mut Value| {
                text(it, "/kind") == "Service" && names(it) == (namespace, &*name)
            };
            if let Some(service) = services.find(is_it) {
                if let Some(ports) = service["spec"]["ports"].as_array_mut()
                    && ports.iter().all(|port| port["port"] != 15008)
                {
                    ports.push(mesh);
                }
                continue;
            }
            let service = json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {
                    "namespace": namespace, "name": name,
                    "labels": {"gateway.istio.io/managed": "istio.io-mesh-controller"},
                },
                "spec": {
                    "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip],
                    "ports": [mesh],
                },
            });
            self.add(service);
        }
    }
}
