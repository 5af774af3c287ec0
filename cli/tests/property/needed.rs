//! A configuration that leaves services out decides as one that holds all.

use std::collections::BTreeSet;

use ::mesh::object::Object;
use ::mesh::{Resolved, Rules};
use gateway::table::config::{Configuration, Forward, Via};
use gateway::table::{Compiled, Purpose};
use ingress_waypoint::{Outcome, Policy, Question};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::mesh::{Mesh, NAMESPACES, mesh};
use super::world;

/// Hosts beneath the wildcards of the meshes, and some that no service has.
const HOSTS: [&str; 7] = [
    "z.example.com",
    "a.x.example.com",
    "s9.green.svc.cluster.local",
    "a.s0.red.svc.cluster.local",
    "s0.red",
    "*.com",
    "elsewhere",
];

/// A question that owns its text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Cluster(String),
    Route(String, Option<u16>),
    Authority(String),
}

impl Asked {
    fn question(&self) -> Question<'_> {
        match self {
            Self::Cluster(name) => Question::Cluster(name.as_bytes()),
            Self::Route(name, port) => Question::Route { service: name.as_bytes(), port: *port },
            Self::Authority(host) => Question::Authority(host.as_bytes()),
        }
    }
}

/// The objects, some ServiceEntries under the names of Services, and a route for each pair of Services.
fn objects(mesh: &Mesh, same_names: bool) -> Vec<Object> {
    let mut objects = mesh.objects();
    for object in &mut objects {
        if let Object::ServiceEntry(entry) = object
            && same_names
        {
            let name = entry.metadata.name.as_deref().unwrap();
            entry.metadata.name = Some(name.replace('e', "s"));
        }
    }
    let backend = |i: usize| {
        let service = &mesh.services[i];
        json!({"name": format!("s{i}"), "namespace": NAMESPACES[service.namespace], "port": 80})
    };
    let rule = |i: usize| -> Value {
        let backends: Vec<_> = (i..mesh.services.len()).take(1 + i % 2).map(backend).collect();
        json!({"backendRefs": backends})
    };
    let rules: Vec<_> = (0..mesh.services.len()).map(rule).collect();
    let route = json!({
        "metadata": {"namespace": "red", "name": "route"},
        "spec": {"parentRefs": [{"name": "public"}], "rules": rules},
    });
    objects.push(Object::Route(
        ::mesh::object::Kind::HttpRoute,
        Box::new(serde_json::from_value(route).unwrap()),
    ));
    objects
}

/// By every name, in every grammar, on a port that is declared and on one that is not.
fn questions(compiled: &Compiled) -> BTreeSet<Asked> {
    let mut asked = BTreeSet::new();
    let mut hosts: BTreeSet<String> = HOSTS.map(str::to_owned).into();
    for Resolved { object, hosts: own, shadowed, service, .. } in &compiled.resolution.services {
        let (namespace, name) = (object.namespace.as_deref().unwrap(), &object.name);
        let own: Vec<_> = own.iter().chain(shadowed.iter().map(|(host, _)| host)).collect();
        for port in [80, 81] {
            asked.insert(Asked::Route(format!("{namespace}/{name}"), Some(port)));
            asked.insert(Asked::Route(format!("{namespace}/{name}"), None));
            for cluster in [
                format!("kube_{namespace}_{name}_{port}"),
                format!("service/{namespace}/{name}/{port}/http"),
                format!("{namespace}/{name}/{port}/0123456789"),
                format!("red/config/{namespace}:{name}:{port}"),
            ] {
                asked.insert(Asked::Cluster(cluster));
            }
            for host in &own {
                asked.insert(Asked::Cluster(format!("istio-se_{namespace}_{name}_{host}_{port}")));
            }
        }
        hosts.extend(own.into_iter().cloned());
        let listed = service.iter().flat_map(|service| &service.clusters);
        asked.extend(listed.map(|cluster| Asked::Cluster(cluster.name.to_string())));
    }
    for i in 0..8 {
        asked.insert(Asked::Cluster(format!("httproute/red/route/rule/{i}")));
        asked.insert(Asked::Cluster(format!("httproute/red/route/rule/{i}/backend/0")));
    }
    for host in hosts {
        for port in [80, 81] {
            asked.insert(Asked::Cluster(format!("outbound|{port}||{host}")));
            asked.insert(Asked::Cluster(format!("outbound_.{port}_.v1_.{}.", host.to_uppercase())));
            asked.insert(Asked::Authority(format!("{host}:{port}")));
        }
        asked.insert(Asked::Authority(host));
    }
    asked
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_out_changes_no_outcome(
        mesh in mesh(), same_names in any::<bool>(), header in any::<bool>(),
    ) {
        let forward = header.then(|| Forward { via: Some(Via::OriginalDstHeader), ..Forward::default() });
        let settings = Configuration { forward, ..Configuration::default() };
        let world = world(objects(&mesh, same_names));
        let compile = |all_services| {
            let purpose = Purpose { all_services, ..Purpose::default() };
            Compiled::new(&world, &Rules::default(), &settings, purpose).unwrap()
        };
        let (all, needed) = (compile(true), compile(false));
        let policy = |compiled: &Compiled| Policy::from_json(compiled.text.as_bytes(), Some("true")).unwrap();
        let (with_all, without) = (policy(&all), policy(&needed));
        for asked in questions(&all) {
            let (full, short) = (with_all.decide(asked.question()), without.decide(asked.question()));
            let is_direct = |outcome| matches!(outcome, Outcome::Direct(_));
            if full.outcome != short.outcome {
                prop_assert!(is_direct(full.outcome) && is_direct(short.outcome), "{:?}: {}, {}", asked, full, short);
                let reasons = (full.outcome.label().1, short.outcome.label().1);
                prop_assert_eq!(reasons, ("not-labelled", "unknown-service"), "{:?}", asked);
            }
            // A service that is required, or that opted in, is known by all its names.
            if let Some(service) = full.service.filter(|it| it.required() || it.ingress_use_waypoint()) {
                let known = short.service.map(|it| (it.to_string(), it.kind()));
                prop_assert_eq!(known, Some((service.to_string(), service.kind())));
            }
        }
    }
}
