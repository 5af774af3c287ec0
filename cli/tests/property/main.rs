//! Any mesh at all: what is compiled and asked of the filter's core is what `explain` says, what a
//! plain reading of the rules says, and the same whatever the order of the objects. The services that a
//! configuration leaves out change no outcome.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../mesh/tests/arbitrary/mod.rs"]
mod mesh;
mod needed;

use ::mesh::label::Compat;
use ::mesh::object::{Object, Origin};
use ::mesh::{Rules, World};
use gateway::table::config::{Configuration, Forward, Via};
use gateway::table::{Compiled, Purpose};
use ingress_waypoint::{Kind, Policy, Protocol, Question};
use ingress_waypoint_cli::compile::table;
use ingress_waypoint_cli::explain::{Explanation, explain};
use proptest::prelude::*;

use self::mesh::{Common, NAMESPACES, Waypoint, mesh};

fn compile(objects: Vec<Object>, rules: &Rules) -> (World, Compiled) {
    compile_with(objects, rules, &Configuration::default())
}

fn world(objects: Vec<Object>) -> World {
    let mut world = World::default();
    for object in objects {
        assert!(world.add(Origin::Cluster, object).is_none());
    }
    world
}

fn compile_with(
    objects: Vec<Object>,
    rules: &Rules,
    settings: &Configuration,
) -> (World, Compiled) {
    let world = world(objects);
    let compiled = Compiled::new(&world, rules, settings, Purpose::default())
        .unwrap_or_else(|error| panic!("{error:#}"));
    (world, compiled)
}

fn explain_all(world: &World, compiled: &Compiled) -> Vec<Explanation> {
    let services = compiled.resolution.services.iter();
    let mut names: Vec<_> = services
        .map(|r| format!("{}/{}", r.object.namespace.as_deref().unwrap(), r.object.name))
        .collect();
    names.dedup();
    names.iter().flat_map(|name| explain(world, compiled, name)).collect()
}

fn compat() -> impl Strategy<Value = Compat> {
    prop::sample::select(vec![Compat::Istio, Compat::Istio129, Compat::Kgateway])
}

/// The cluster that an answer is about.
fn cluster(question: &str) -> &str {
    question.strip_prefix("cluster \"").and_then(|rest| rest.strip_suffix('"')).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_filter_decides_what_explain_says(mesh in mesh(), compat in compat()) {
        let rules = Rules { compat, ..Rules::default() };
        let (world, compiled) = compile(mesh.objects(), &rules);
        // As the filter does: from the text.
        let policy = Policy::from_json(compiled.text.as_bytes(), Some("true")).unwrap();
        for explanation in explain_all(&world, &compiled) {
            for answer in &explanation.decisions {
                let decision = policy.decide(Question::Cluster(cluster(&answer.question).as_bytes()));
                let (decided, reason) = decision.outcome.label();
                let (was_decided, was_reason) = answer.outcome.label();
                prop_assert_eq!(decided, was_decided);
                let left_out = (was_reason, reason) == ("not-labelled", "unknown-service");
                prop_assert!(reason == was_reason || left_out, "{}: {}", answer.question, reason);
                // So is the host of an ExternalName service that a ServiceEntry has too.
                let outside = explanation.steps.iter().any(|s| s.rule == ::mesh::Rule::InTheMesh && !s.holds);
                let object = &explanation.object;
                let name = format!("{}/{}", object.namespace.as_deref().unwrap(), object.name);
                if outside && answer.service.as_ref().is_some_and(|by| *by != name) {
                    continue;
                }
                let holds = explanation.steps.iter().all(|step| step.holds);
                prop_assert_eq!(holds, answer.outcome.label().0 == "waypoint", "{:#?}", explanation);
            }
        }
    }

    #[test]
    fn it_is_what_the_rules_say(mesh in mesh(), compat in compat()) {
        let rules = Rules { compat, ..Rules::default() };
        let (world, compiled) = compile(mesh.objects(), &rules);
        for (i, service) in mesh.services.iter().enumerate() {
            let name = format!("{}/s{i}", NAMESPACES[service.namespace]);
            let found = explain(&world, &compiled, &name);
            prop_assert_eq!(found.len(), 1);
            let answer = &found[0].decisions[0];
            // The host of an ExternalName service may be a ServiceEntry's, or nobody's.
            let taken = answer.service.as_ref().is_some_and(|by| *by != name);
            let contested = answer.outcome.label().1 == "ambiguous-service";
            if !(service.external && (taken || contested)) {
                let expected = mesh.expected(service, compat);
                prop_assert_eq!(answer.outcome.label(), expected, "{}: {:#?}", name, found[0]);
            }
        }
        // Requests of a required ServiceEntry never bypass its waypoint, by any of its hosts, whoever else
        // has them; but a Service's host is the Service's.
        for resolved in compiled.resolution.services.iter().filter(|it| it.required.is_some()) {
            let shadowed = resolved.shadowed.iter().map(|(host, _)| host);
            for host in resolved.hosts.iter().chain(shadowed) {
                let cluster = format!("outbound|80||{host}");
                let decision = compiled.policy.decide(Question::Cluster(cluster.as_bytes()));
                let is_services = decision.service.is_some_and(|it| it.kind() == Kind::Service);
                let own = resolved.object.kind == ::mesh::object::Kind::Service;
                prop_assert!(decision.outcome.label().0 != "direct" || is_services && !own, "{}", cluster);
            }
        }
    }

    /// One object is in the mesh for a host and namespace; the others are not dialled.
    #[test]
    fn who_loses_a_host_in_its_namespace_is_not_dialled(mesh in mesh()) {
        let (_, compiled) = compile(mesh.objects(), &Rules::default());
        for (i, entry) in mesh.entries.iter().enumerate() {
            for host in entry.hosts.iter().filter(|host| !["*", "a b", ""].contains(host)) {
                let host = host.to_lowercase();
                let name = format!("istio-se_{}_e{i}_{host}_80", NAMESPACES[entry.namespace]);
                let decision = compiled.policy.decide(Question::Cluster(name.as_bytes()));
                let service = decision.service.unwrap();
                prop_assert_eq!(service.to_string(), format!("{}/e{i}", NAMESPACES[entry.namespace]));
                prop_assert_eq!(service.outside_mesh(), mesh.is_lost(i, &host), "{}", name);
            }
        }
    }

    /// `table`, `explain` and the filter give one answer for a cluster.
    #[test]
    fn the_table_says_what_the_filter_and_explain_say(mesh in mesh(), by_authority in any::<bool>()) {
        let forward = by_authority
            .then(|| Forward { via: Some(Via::ClusterHeader), ..Forward::default() });
        let settings = Configuration { forward, ..Configuration::default() };
        let (world, compiled) = compile_with(mesh.objects(), &Rules::default(), &settings);
        let policy = Policy::from_json(compiled.text.as_bytes(), Some("true")).unwrap();
        let rows = table::rows(&compiled);
        for resolved in &compiled.resolution.services {
            let kept = resolved.ports.kept.iter().map(|kept| i64::from(kept.port.number));
            let left_out = resolved.ports.left_out.iter().map(|port| port.number);
            let object = &resolved.object;
            let name = format!("{}/{}", object.namespace.as_deref().unwrap(), object.name);
            for port in kept.chain(left_out) {
                let cluster = resolved.cluster(u16::try_from(port).unwrap());
                let answer = compiled.policy.decide(Question::Cluster(cluster.as_bytes())).outcome.label();
                let of_port = rows.iter().filter(|row| {
                    (row.kind, &row.service, row.port) == (object.kind, &name, Some(port))
                        && resolved.hosts.iter().all(|host| row.hosts.contains(host))
                });
                let answers: Vec<_> = of_port.map(|row| row.outcome.label()).collect();
                prop_assert!(answers.contains(&answer), "{}: {:?}", cluster, answers);
                let (decided, reason) = policy.decide(Question::Cluster(cluster.as_bytes())).outcome.label();
                prop_assert_eq!(decided, answer.0, "{}", cluster);
                let left_out = (answer.1, reason) == ("not-labelled", "unknown-service");
                prop_assert!(reason == answer.1 || left_out, "{}: {}", cluster, reason);
                let explained = explain(&world, &compiled, &cluster);
                // An ExternalName service that is not required is nothing to the filter.
                for explanation in explained {
                    let answers: Vec<_> =
                        explanation.decisions.iter().map(|it| it.outcome.label()).collect();
                    prop_assert_eq!(answers, vec![answer], "{}", cluster);
                }
            }
        }
        let mut alike: Vec<_> = rows
            .iter()
            .map(|row| {
                let protocol = row.protocol.map(Protocol::as_str);
                (row.kind, &row.service, row.port, protocol, row.outcome.label(), &row.note)
            })
            .collect();
        alike.sort();
        alike.dedup();
        prop_assert_eq!(alike.len(), rows.len());
    }

    #[test]
    fn the_order_of_objects_changes_nothing(mesh in mesh(), seed in any::<u64>()) {
        let rules = Rules::default();
        let (world, compiled) = compile(mesh.objects(), &rules);
        let mut objects = mesh.objects();
        // Any order will do, as long as it is another.
        let mut state = seed | 1;
        for i in (1..objects.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            objects.swap(i, usize::try_from(state % (i as u64 + 1)).unwrap());
        }
        let (other_world, other) = compile(objects, &rules);
        prop_assert_eq!(&compiled.text, &other.text);
        prop_assert_eq!(&compiled.resolution.diagnostics, &other.resolution.diagnostics);
        prop_assert_eq!(table::rows(&compiled), table::rows(&other));
        let json = |world, compiled| serde_json::to_value(explain_all(world, compiled)).unwrap();
        prop_assert_eq!(json(&world, &compiled), json(&other_world, &other));
    }

    /// Each host of a ServiceEntry has the address that was allocated for it, on every way there.
    #[test]
    fn every_host_has_its_own_address(mesh in mesh()) {
        let mut mesh = mesh;
        for (i, namespace) in mesh.namespaces.iter_mut().enumerate() {
            namespace.read = true;
            namespace.common = Common { label: Some("true"), waypoint: Some("a"), waypoint_namespace: None, required: None };
            mesh.waypoints[i * 2] = Waypoint { exists: true, ready: true, is_for: None, from: None };
        }
        for entry in &mut mesh.entries {
            entry.common = Common { label: None, waypoint: None, waypoint_namespace: None, required: None };
            entry.addresses.clear();
            entry.allocated = true;
            entry.resolution = "DYNAMIC_DNS";
        }
        let (_, compiled) = compile(mesh.objects(), &Rules::default());
        for (i, entry) in mesh.entries.iter().enumerate() {
            let mut seen = Vec::new();
            for (n, host) in entry.hosts.iter().enumerate() {
                let lower = host.to_lowercase();
                if ["*", "a b", ""].contains(host) || seen.contains(&lower) {
                    continue;
                }
                seen.push(lower.clone());
                // By kgateway's name, which holds the ServiceEntry's, there is no doubt whose it is.
                let name = format!("istio-se_{}_e{i}_{lower}_80", NAMESPACES[entry.namespace]);
                let decision = compiled.policy.decide(Question::Cluster(name.as_bytes()));
                if mesh.is_lost(i, &lower) {
                    prop_assert_eq!(decision.outcome.label(), ("direct", "not-in-mesh"));
                    continue;
                }
                // Of a host that is given twice Istio has both addresses, by each spelling its own.
                let first = format!("240.240.{i}.{}:80", n + 1);
                let text = decision.to_string();
                prop_assert!(text.contains(&format!("at {first} ")), "{}: {}", name, text);
            }
        }
    }
}
