//! What is held back, and what passes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod objects;

use std::time::{Duration, Instant};

use controller::guard::{Limits, Withdrawal};
use controller::view::View;
use gateway::table::config::Configuration;
use mesh::object::{Kind, Object};
use mesh::{Key, MeshConfigChoice, OF_SERVICES, Rules};
use objects::{typed, waypoint};
use serde_json::{Value, json};

const DELAY: Duration = Duration::from_secs(300);

fn key(namespace: &str, name: &str) -> Key {
    Key { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn namespace(name: &str, waypoint: &str) -> Object {
    let labels = json!({
        "istio.io/use-waypoint": waypoint, "istio.io/ingress-use-waypoint": "true",
    });
    Object::Namespace(typed(json!({"metadata": {"name": name, "labels": labels}})))
}

fn service(namespace: &str, number: u8, opted_in: Option<bool>) -> Object {
    let labels = opted_in.map(|it| json!({"istio.io/ingress-use-waypoint": it.to_string()}));
    Object::Service(typed(json!({
        "metadata": {"namespace": namespace, "name": format!("s{number}"), "labels": labels},
        "spec": {"clusterIP": format!("10.0.0.{number}"), "ports": [{"port": 80, "name": "http"}]},
    })))
}

struct Mesh {
    view: View,
    start: Instant,
    seconds: u64,
}

impl Mesh {
    /// A namespace with that many services on its waypoint.
    fn of(services: u8) -> Self {
        let (rules, settings) = (Rules::default(), Configuration::default());
        let limits = Limits { delay: DELAY, ..Limits::default() };
        let view = View::new(&rules, &settings, MeshConfigChoice::Found, limits, false);
        let mut mesh = Self { view, start: Instant::now(), seconds: 0 };
        assert!(mesh.view.update(mesh.now()).is_err(), "nothing is listed");
        for kind in OF_SERVICES {
            mesh.view.state_mut().begin(kind);
        }
        let services = (1..=services).map(|number| service("shop", number, None));
        for object in [namespace("shop", "waypoint"), waypoint()].into_iter().chain(services) {
            assert!(mesh.view.state_mut().apply(object));
        }
        for kind in OF_SERVICES {
            mesh.view.state_mut().end(kind);
        }
        assert_eq!(mesh.update(), None);
        mesh
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.seconds)
    }

    fn apply(&mut self, object: Object) -> Option<Withdrawal> {
        assert!(self.view.state_mut().apply(object));
        self.update()
    }

    fn delete(&mut self, kind: Kind, key: &Key) -> Option<Withdrawal> {
        self.view.state_mut().delete(kind, key);
        self.update()
    }

    fn update(&mut self) -> Option<Withdrawal> {
        self.seconds += 1;
        self.view.update(self.now()).unwrap().held
    }

    fn wait(&mut self, time: Duration, confirmed: Option<&str>) -> bool {
        self.seconds += time.as_secs();
        !self.view.release(confirmed, self.now()).unwrap().is_empty()
    }

    /// How many are sent to their VIPs: as the guard has it, and as the filter has it.
    fn to_vip(&self) -> usize {
        let text = self.view.policy().unwrap().into_text();
        let value: Value = serde_json::from_str(&text).unwrap();
        let is_sent = |service: &&Value| {
            service["ingressUseWaypoint"] == true && service["waypoint"].is_string()
        };
        let sent = value["services"].as_array().unwrap().iter().filter(is_sent).count();
        assert_eq!(sent, self.view.table().to_vip());
        sent
    }
}

#[test]
fn labels_removed_one_by_one_are_obeyed_at_once() {
    let mut mesh = Mesh::of(10);
    for number in 1..=10 {
        assert_eq!(mesh.apply(service("shop", number, Some(false))), None);
        assert_eq!(mesh.to_vip(), 10 - usize::from(number));
    }
}

#[test]
fn few_services_are_obeyed_at_once() {
    let mut mesh = Mesh::of(4);
    assert_eq!(mesh.delete(Kind::Gateway, &key("shop", "waypoint")), None);
    assert_eq!(mesh.to_vip(), 0);
}

#[test]
fn many_at_once_are_held_until_the_delay_is_over() {
    let mut mesh = Mesh::of(10);
    let held = mesh.delete(Kind::Gateway, &key("shop", "waypoint")).unwrap();
    assert_eq!(held.services.len(), 10);
    assert!(held.to_string().starts_with("Service shop/s1, Service shop/s10, Service shop/s2"));
    assert_eq!(mesh.to_vip(), 10);
    assert!(!mesh.wait(DELAY - Duration::from_secs(1), None));
    assert_eq!(mesh.to_vip(), 10);
    assert!(mesh.wait(Duration::from_secs(1), None));
    assert_eq!(mesh.to_vip(), 0);
    assert!(mesh.view.guard().is_empty());
}

#[test]
fn the_delay_begins_again_after_an_outage() {
    let mut mesh = Mesh::of(10);
    let held = mesh.delete(Kind::Gateway, &key("shop", "waypoint")).unwrap();
    mesh.view.state_mut().lose(Kind::Gateway, "it is away".to_owned());
    assert!(!mesh.wait(DELAY, None), "it may be undone meanwhile");
    assert!(!mesh.wait(DELAY, None));
    mesh.view.state_mut().restore(Kind::Gateway);
    assert!(!mesh.wait(DELAY - Duration::from_secs(1), None));
    assert_eq!(mesh.to_vip(), 10);
    mesh.view.state_mut().lose(Kind::Service, "it is away".to_owned());
    assert!(mesh.wait(Duration::from_secs(1), Some(&held.id())), "a person knows better");
    assert_eq!(mesh.to_vip(), 0);
}

#[test]
fn a_confirmation_is_of_one_set_of_services() {
    let mut mesh = Mesh::of(10);
    let held = mesh.delete(Kind::Gateway, &key("shop", "waypoint")).unwrap();
    assert!(!mesh.wait(Duration::ZERO, Some("0123456789ab")));
    mesh.delete(Kind::Service, &key("shop", "s1"));
    assert!(!mesh.wait(Duration::ZERO, Some(&held.id())), "it is another set now");
    let id = mesh.view.guard().held().unwrap().id();
    assert!(mesh.wait(Duration::ZERO, Some(&id)));
    assert_eq!(mesh.to_vip(), 0);
}

#[test]
fn what_comes_back_is_held_no_longer_and_other_changes_pass_meanwhile() {
    let mut mesh = Mesh::of(10);
    assert!(mesh.apply(namespace("shop", "none")).is_some());
    assert_eq!(mesh.to_vip(), 10);
    assert_eq!(mesh.apply(service("shop", 11, None)), None);
    assert_eq!(
        mesh.to_vip(),
        10,
        "a new service is not on its waypoint, and nothing holds that back"
    );
    mesh.delete(Kind::Service, &key("shop", "s3"));
    assert_eq!(mesh.to_vip(), 9, "a service that is gone is not held back");
    assert_eq!(mesh.apply(namespace("shop", "waypoint")), None);
    assert!(mesh.view.guard().is_empty());
    assert_eq!(mesh.to_vip(), 10);
    assert!(!mesh.wait(DELAY * 2, None));
    assert_eq!(mesh.to_vip(), 10);
}

#[test]
fn a_namespace_that_is_deleted_takes_nothing_off_its_waypoint() {
    let mut mesh = Mesh::of(10);
    assert_eq!(mesh.delete(Kind::Namespace, &key("", "shop")), None);
    assert_eq!(mesh.to_vip(), 10);
    assert!(!mesh.wait(DELAY * 2, None));
    assert_eq!(mesh.to_vip(), 10);
    for number in 1..=10 {
        mesh.delete(Kind::Service, &key("shop", &format!("s{number}")));
    }
    assert_eq!(mesh.to_vip(), 0);
    assert!(mesh.view.guard().is_empty());
}
