//! Following a cluster ends as a fresh reading of it, whatever happens meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod server;

use std::time::Duration;

use mesh::object::Kind;
use mesh::{Key, MeshConfigChoice, OF_SERVICES, Resolution, Rules, State, SyncStatus, World};
use serde_json::{Value, json};
use source::watch::{Change, Connection, Event, Options, watch};
use source::{Read, Source, Wanted};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

use server::{Server, path, path_of};

/// A state that follows a server.
struct Followed {
    state: State,
    events: Receiver<Event>,
    /// What was told beside the objects, as `Service: lost: why`.
    told: Vec<String>,
}

impl Followed {
    async fn of(server: &Server) -> Self {
        Self::with(server, |_| {}).await
    }

    async fn with(server: &Server, change: impl FnOnce(&mut Options)) -> Self {
        let (sink, events) = channel(16);
        let mut options = Options::new(OF_SERVICES);
        change(&mut options);
        let connection = Connection::open(Some(&server.context)).await.unwrap();
        tokio::spawn(async move { watch(&connection, &options, &sink).await });
        let state = State::new(Rules::default(), MeshConfigChoice::default());
        Self { state, events, told: Vec::new() }
    }

    /// Takes events until something is so.
    async fn until(&mut self, is_so: impl Fn(&State, &[String]) -> bool) {
        let all = async {
            while !is_so(&self.state, &self.told) {
                let event = self.events.recv().await.unwrap();
                let kind = event.kind.as_str();
                match &event.change {
                    Change::Lost(reason) => self.told.push(format!("{kind}: lost: {reason}")),
                    Change::Absent(reason) => self.told.push(format!("{kind}: absent: {reason}")),
                    Change::Broken(key, found) => {
                        self.told.push(format!("{kind}: broken {key}: {}", found[0].text()));
                    }
                    Change::Restored => self.told.push(format!("{kind}: restored")),
                    _ => {}
                }
                event.feed(&mut self.state);
                self.state.update();
            }
        };
        let is_done = timeout(Duration::from_secs(40), all).await.is_ok();
        assert!(is_done, "told: {:#?}", self.told);
    }

    async fn listed(&mut self) {
        self.until(|state, _| {
            OF_SERVICES.iter().all(|kind| *state.sync(*kind) == SyncStatus::Synced)
        })
        .await;
    }

    async fn told(&mut self, part: &str) {
        self.until(|_, told| told.iter().any(|it| it.contains(part))).await;
    }

    /// That the services are these, and all as a fresh reading gives it.
    async fn is_fresh(&mut self, server: &Server, services: &[&str]) {
        self.until(|state, _| names(state) == services).await;
        let context = server.context.clone();
        let fresh = tokio::task::spawn_blocking(move || fresh(context)).await.unwrap();
        assert_eq!(self.state.resolution(), fresh);
    }

    fn count(&self, part: &str) -> usize {
        self.told.iter().filter(|it| it.contains(part)).count()
    }
}

/// A cluster with these Services, which was listed and is followed.
async fn with_services(names: &[&str]) -> (Server, Followed) {
    let server = Server::start().await;
    for name in names {
        server.cluster().put(Kind::Service, service(name));
    }
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    (server, followed)
}

fn names(state: &State) -> Vec<String> {
    let keys = state.world().keys(Kind::Service);
    keys.into_iter().map(|key| key.name).collect()
}

fn fresh(context: String) -> Resolution {
    let cluster = Source::Cluster { context: Some(context), pods: None, mesh_config: None };
    let mut world = World::default();
    source::read_wanted(&[cluster], Wanted::Mesh, &|_| {}, &mut |read| {
        if let Read::Object(origin, object) = read {
            world.add(origin, object);
        }
    })
    .unwrap();
    world.resolve(&Rules::default())
}

fn service(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "n", "labels": {
            "istio.io/use-waypoint": "w", "istio.io/ingress-use-waypoint": "true"}},
        "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
                 "ports": [{"port": 80, "name": "http"}]},
    })
}

fn entry(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"hosts": ["e.example"]}})
}

#[tokio::test]
async fn changes_follow_a_list_as_a_stream() {
    let server = Server::start().await;
    server.cluster().put(Kind::Service, service("a"));
    server.cluster().put(Kind::Namespace, json!({"metadata": {"name": "n"}}));
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    followed.is_fresh(&server, &["a"]).await;
    server.cluster().put(Kind::Service, service("b"));
    followed.is_fresh(&server, &["a", "b"]).await;
    server.cluster().delete(Kind::Service, "a");
    followed.is_fresh(&server, &["b"]).await;
    let requests = server.cluster().requests.clone();
    let of_watch = requests.iter().filter(|it| it.starts_with(&path(Kind::Service)));
    let first = of_watch.clone().find(|it| it.contains("watch=true")).unwrap();
    assert!(first.contains("sendInitialEvents=true"), "{first}");
    assert_eq!(followed.told, [""; 0]);
}

#[tokio::test]
async fn a_server_without_streams_is_listed_page_by_page() {
    let server = Server::start().await;
    server.cluster().streams = false;
    for number in 0..1200 {
        server.cluster().put(Kind::Service, service(&format!("s{number:04}")));
    }
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    assert_eq!(names(&followed.state).len(), 1200);
    server.cluster().put(Kind::Service, service("z"));
    followed.until(|state, _| names(state).len() == 1201).await;
    // It is remembered: the list that follows is not asked for as a stream.
    server.cluster().forget();
    followed.told("Service: lost").await;
    followed.listed().await;
    let requests = server.cluster().requests.clone();
    let streams = requests
        .iter()
        .filter(|it| it.starts_with(&path(Kind::Service)) && it.contains("sendInitialEvents"));
    assert_eq!(streams.count(), 1);
}

#[tokio::test]
async fn what_was_missed_is_listed_again() {
    let (server, mut followed) = with_services(&["a", "b"]).await;
    {
        let mut cluster = server.cluster();
        cluster.delete(Kind::Service, "a");
        cluster.put(Kind::Service, service("c"));
        cluster.forget();
    }
    followed.told("changes were missed (410: because)").await;
    followed.listed().await;
    followed.is_fresh(&server, &["b", "c"]).await;
    assert_eq!(followed.count("Service: lost"), 1);
}

#[tokio::test]
async fn an_interrupted_watch_goes_on_where_it_was() {
    let (server, mut followed) = with_services(&["a", "b"]).await;
    {
        let mut cluster = server.cluster();
        cluster.cut();
        cluster.delete(Kind::Service, "a");
        cluster.requests.clear();
    }
    followed.is_fresh(&server, &["b"]).await;
    assert_eq!(followed.told, [""; 0], "no outage");
    let requests = server.cluster().requests.clone();
    assert!(!requests.iter().any(|it| it.contains("sendInitialEvents")), "{requests:?}");
}

#[tokio::test]
async fn a_server_that_goes_is_told_once() {
    let mut server = Server::start().await;
    for name in ["a", "b"] {
        server.cluster().put(Kind::Service, service(name));
    }
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    server.go();
    followed.told("Service: lost").await;
    assert!(matches!(followed.state.sync(Kind::Service), SyncStatus::Lost(_)));
    assert_eq!(names(&followed.state), ["a", "b"], "the last ones are kept");
    // Some more tries.
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.cluster().delete(Kind::Service, "a");
    server.come().await;
    followed.told("Service: restored").await;
    followed.listed().await;
    followed.is_fresh(&server, &["b"]).await;
    assert_eq!(followed.count("Service: lost"), 1, "{:?}", followed.told);
}

#[tokio::test]
async fn a_server_may_come_later() {
    let mut server = Server::away().await;
    server.cluster().put(Kind::Service, service("a"));
    let mut followed = Followed::of(&server).await;
    followed.told("Service: lost").await;
    assert_eq!(*followed.state.sync(Kind::Service), SyncStatus::Unsynced);
    server.come().await;
    followed.listed().await;
    followed.is_fresh(&server, &["a"]).await;
}

#[tokio::test]
async fn lost_rights_keep_the_objects() {
    let server = Server::start().await;
    server.cluster().put(Kind::Service, service("a"));
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    {
        let mut cluster = server.cluster();
        cluster.refused.insert(path(Kind::Service), 403);
        cluster.cut();
        cluster.delete(Kind::Service, "a");
    }
    followed.told("may not list or watch services (403: because)").await;
    assert_eq!(names(&followed.state), ["a"]);
    server.cluster().refused.clear();
    followed.listed().await;
    followed.is_fresh(&server, &[]).await;
    assert_eq!(followed.count("lost"), 1, "{:?}", followed.told);
}

#[tokio::test]
async fn missing_rights_leave_a_kind_unlisted_unless_it_is_optional() {
    let server = Server::start().await;
    for kind in [Kind::Service, Kind::EnvoyProxy] {
        server.cluster().refused.insert(path(kind), 403);
    }
    let mut followed =
        Followed::with(&server, |options| options.kinds.push(Kind::EnvoyProxy)).await;
    followed.told("Service: lost").await;
    followed.told("EnvoyProxy: absent").await;
    assert_eq!(*followed.state.sync(Kind::EnvoyProxy), SyncStatus::Synced);
    assert_eq!(followed.state.unlisted([Kind::Service]), [Kind::Service]);
    server.cluster().refused.clear();
    followed.listed().await;
}

#[tokio::test]
async fn a_crd_may_come_later_and_go() {
    for streams in [true, false] {
        comes_later_and_goes(streams).await;
    }
}

async fn comes_later_and_goes(streams: bool) {
    let server = Server::start().await;
    server.cluster().streams = streams;
    let versions = [0, 1, 2].map(|version| path_of(Kind::ServiceEntry, version));
    server.cluster().missing.extend(versions.clone());
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    followed.told("no CRD serviceentries.networking.istio.io").await;
    server.cluster().put(Kind::ServiceEntry, entry("e"));
    server.cluster().missing.clear();
    let has = |state: &State| !state.world().keys(Kind::ServiceEntry).is_empty();
    followed.until(|state, _| has(state)).await;
    followed.is_fresh(&server, &[]).await;
    {
        let mut cluster = server.cluster();
        cluster.missing.extend(versions);
        cluster.cut();
    }
    followed.told("no longer serves serviceentries.networking.istio.io").await;
    assert!(has(&followed.state), "the last ones are kept");
    server.cluster().missing.clear();
    followed.listed().await;
    assert_eq!(followed.count("ServiceEntry"), 2, "{:?}", followed.told);
}

#[tokio::test]
async fn a_crd_that_takes_its_objects_with_it_leaves_none_to_wait_for() {
    let server = Server::start().await;
    let versions = [0, 1, 2].map(|version| path_of(Kind::ServiceEntry, version));
    server.cluster().put(Kind::ServiceEntry, entry("e"));
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    server.cluster().delete(Kind::ServiceEntry, "e");
    followed.until(|state, _| state.world().keys(Kind::ServiceEntry).is_empty()).await;
    {
        let mut cluster = server.cluster();
        cluster.missing.extend(versions);
        cluster.cut();
    }
    followed.told("absent: ").await;
    assert_eq!(*followed.state.sync(Kind::ServiceEntry), SyncStatus::Synced);
    assert_eq!(followed.count("lost: "), 0, "{:?}", followed.told);
    server.cluster().missing.clear();
    server.cluster().put(Kind::ServiceEntry, entry("f"));
    followed.until(|state, _| !state.world().keys(Kind::ServiceEntry).is_empty()).await;
    followed.is_fresh(&server, &[]).await;
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let server = Server::start().await;
    server.cluster().put(Kind::Service, service("a"));
    let silence = Duration::from_millis(300);
    let mut followed = Followed::with(&server, |options| options.silence = silence).await;
    followed.listed().await;
    server.cluster().silent = true;
    server.cluster().put(Kind::Service, service("b"));
    let watches = |server: &Server| {
        let path = path(Kind::Service);
        server.cluster().requests.iter().filter(|it| it.starts_with(&path)).count()
    };
    let before = watches(&server);
    while watches(&server) == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.cluster().silent = false;
    followed.is_fresh(&server, &["a", "b"]).await;
}

#[tokio::test]
async fn an_object_that_cannot_be_read_hides_no_other_and_keeps_its_last_version() {
    let server = Server::start().await;
    let mut broken = service("a");
    broken["spec"]["ports"] = json!("none");
    for name in ["a", "b"] {
        server.cluster().put(Kind::Service, service(name));
    }
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    followed.is_fresh(&server, &["a", "b"]).await;
    let before = followed.state.resolution();
    server.cluster().put(Kind::Service, broken);
    followed.told("Service: broken n/a").await;
    assert_eq!(followed.state.resolution(), before);
    // The next list does not remove it either, and has the others.
    server.cluster().put(Kind::Service, service("c"));
    server.cluster().forget();
    followed.told("Service: lost").await;
    followed.listed().await;
    assert_eq!(names(&followed.state), ["a", "b", "c"]);
    server.cluster().put(Kind::Service, service("a"));
    server.cluster().delete(Kind::Service, "c");
    followed.is_fresh(&server, &["a", "b"]).await;
    server.cluster().delete(Kind::Service, "a");
    followed.is_fresh(&server, &["b"]).await;
}

#[tokio::test]
async fn a_new_token_is_read_before_anything_is_lost() {
    let server = Server::start().await;
    server.cluster().put(Kind::Service, service("a"));
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    server.change_token("b");
    server.cluster().cut();
    server.cluster().put(Kind::Service, service("b"));
    followed.is_fresh(&server, &["a", "b"]).await;
    assert_eq!(followed.told, [""; 0]);
}

#[tokio::test]
async fn a_refused_token_is_told() {
    let server = Server::start().await;
    "another".clone_into(&mut server.cluster().token);
    let mut followed = Followed::of(&server).await;
    followed.told("Service: lost").await;
    followed.told("the credentials are not accepted (401: because)").await;
}

#[tokio::test]
async fn a_mesh_configuration_that_is_emptied_is_gone() {
    let server = Server::start().await;
    let config = |data: Value| json!({"metadata": {"name": "istio", "namespace": "istio-system"}, "data": data});
    server.cluster().put(Kind::MeshConfig, config(json!({"mesh": "trustDomain: x"})));
    let mut followed = Followed::of(&server).await;
    followed.listed().await;
    let key = Key { namespace: "istio-system".to_owned(), name: "istio".to_owned() };
    assert_eq!(followed.state.world().keys(Kind::MeshConfig), [key]);
    server.cluster().put(Kind::MeshConfig, config(json!({"other": "x"})));
    followed.until(|state, _| state.world().keys(Kind::MeshConfig).is_empty()).await;
}

#[tokio::test]
async fn it_ends_with_its_receiver() {
    let server = Server::start().await;
    let (sink, events) = channel(16);
    drop(events);
    let connection = Connection::open(Some(&server.context)).await.unwrap();
    let options = Options::new(OF_SERVICES);
    timeout(Duration::from_secs(10), watch(&connection, &options, &sink)).await.unwrap();
}
