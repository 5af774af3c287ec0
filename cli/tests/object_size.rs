//! What one object adds to the configuration is linear in its own size, whatever its hosts and ports are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use gateway::table::config::Configuration;
use gateway::table::{Compiled, Purpose};
use mesh::object::{Object, Origin};
use mesh::{Rules, World};
use serde_json::{Value, json};

/// How many bytes of the configuration a byte of an object may become.
const AT_MOST: usize = 6;

fn entry(
    namespace: &str,
    hosts: usize,
    ports: usize,
    year: u32,
    required: bool,
    own: bool,
) -> Value {
    let names: Vec<_> = (0..hosts).map(|n| format!("h{n}.example.com")).collect();
    let ports: Vec<_> = (0..ports)
        .map(|n| json!({"number": n + 1, "name": format!("p{n}"), "protocol": "HTTP"}))
        .collect();
    let address = |(n, host): (usize, &String)| json!({"host": host, "value": format!("240.240.{}.{}", n / 256, n % 256)});
    let status: Vec<_> = names.iter().enumerate().filter(|_| own).map(address).collect();
    json!({
        "metadata": {
            "namespace": namespace, "name": format!("of-{year}"),
            "creationTimestamp": format!("{year}-01-01T00:00:00Z"),
            "labels": {"istio.io/ingress-use-waypoint": "true"},
            "annotations": if required { json!({"ingress-waypoint/required": "true"}) } else { json!({}) },
        },
        "spec": {
            "hosts": names, "ports": ports, "resolution": "DNS",
            "addresses": if own { json!([]) } else { json!(["240.0.0.1"]) },
        },
        "status": {"addresses": status},
    })
}

fn size(entries: &[&Value]) -> usize {
    let mut world = World::default();
    for entry in entries {
        let object = Object::ServiceEntry(serde_json::from_value((*entry).clone()).unwrap());
        assert!(world.add(Origin::Cluster, object).is_none());
    }
    let compiled =
        Compiled::new(&world, &Rules::default(), &Configuration::default(), Purpose::default())
            .unwrap();
    // The larger it is, the more is to be shown: to no avail if the filter does not take it.
    assert_eq!(compiled.policy.summary().opted_in, entries.len());
    compiled.text.len()
}

#[test]
fn hosts_times_ports_is_no_size() {
    for (hosts, ports) in [(1, 1), (256, 1), (1, 256), (64, 64), (256, 256), (1024, 1024)] {
        for own in [false, true] {
            let others = [
                None,
                // Takes the hosts in another namespace, in its own, and from what is required.
                Some(entry("other", hosts, 1, 2020, false, false)),
                Some(entry("shop", hosts, 1, 2020, false, false)),
                Some(entry("other", hosts, 1, 2020, true, false)),
            ];
            for other in &others {
                let object = entry("shop", hosts, ports, 2024, false, own);
                let before: Vec<_> = other.iter().collect();
                let with: Vec<_> = other.iter().chain([&object]).collect();
                let added = size(&with) - size(&before);
                let own_size = object.to_string().len();
                assert!(
                    added <= AT_MOST * own_size,
                    "{hosts} hosts, {ports} ports, addresses of their own: {own}: {own_size} bytes add {added}"
                );
            }
        }
    }
}
