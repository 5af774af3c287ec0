//! The main loop: one task owns the meshes, takes events in, and publishes what became of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use gateway::table::config::Configuration;
use mesh::object::Kind;
use mesh::{MeshConfigChoice, Rules};
use source::watch::{Change, Event};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::envoy_gateway::{ExtensionServer, Hook};
use crate::first::FirstTable;
use crate::guard::Limits;
use crate::lease::Recorded;
use crate::listen::Security;
use crate::node::Node;
use crate::notice::Notice;
use crate::pace::Pace;
pub use crate::publish::Write;
use crate::publish::{Module, Names, Publisher};
use crate::replica::{Heard, Replica};
use crate::report::{NoAnswer, Query, Reply, services};
use crate::served::Served;
use crate::status::{OfKind, Status};
use crate::view::{self, NotReady, View};
use crate::xds::{Resources, Server, Timing};

/// Events that are taken in at once before anything else is done.
const AT_ONCE: usize = 256;
/// How long something that failed waits for its next try.
const RETRY: Duration = Duration::from_secs(5);

/// What to serve, and from where.
pub struct Options {
    /// The gateways.
    pub nodes: Vec<Node>,
    /// The rules, without the namespace of the ingress.
    pub rules: Rules,
    /// The fields of the configurations besides the services.
    pub settings: Configuration,
    /// Whether configurations hold all services.
    pub all_services: bool,
    /// Where the mesh's own configuration is.
    pub mesh_config: MeshConfigChoice,
    /// When a change is held back.
    pub limits: Limits,
    /// Whether clusters may be named after routes, as Envoy Gateway does it. Routes are followed then, and nothing goes
    /// out before they are listed.
    pub route_clusters: bool,
}

impl Options {
    /// The kinds of object that have to be followed.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + use<> {
        view::kinds(self.route_clusters)
    }
}

/// Where configurations go.
#[derive(Default)]
pub struct Outputs {
    /// The xDS server's socket, if there is one.
    pub xds: Option<(TcpListener, Security)>,
    /// Envoy Gateway's extension server, if there is one.
    pub envoy_gateway: Option<ExtensionServer>,
    /// The wasm module, if that form is served.
    pub wasm: Option<Vec<u8>>,
    /// Takes each configuration too. One that it did not take is offered again.
    pub write: Option<Write>,
    /// Whether to end when each gateway's configuration is published, or cannot be.
    pub once: bool,
    /// What is shared with other replicas, if there is an API server for it.
    pub replica: Option<Replica>,
}

/// Serves until `shutdown` is ready, or nothing sends events any more. The events are those of [`source::watch::watch`],
/// for [`Options::kinds`].
///
/// # Errors
/// If the filter refuses the settings, the xDS server fails or, with [`Outputs::once`], a configuration cannot be published.
pub async fn run(
    options: Options,
    events: mpsc::Receiver<Event>,
    outputs: Outputs,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Outputs { xds, envoy_gateway, wasm, write, once, replica } = outputs;
    let resources = Arc::new(Resources::default());
    let server = Server {
        resources: Arc::clone(&resources),
        directory: Arc::new(Names { nodes: options.nodes.clone(), wasm: wasm.is_some() }),
        proxies: Arc::clone(&status.proxies),
        timing: Timing::default(),
    };
    let publisher = Publisher { resources, wasm: wasm.map(Module::new), write, written: None };
    let term = replica.as_ref().map(Replica::term);
    let notices = replica.as_ref().map(Replica::notices);
    let mut meshes = Meshes::new(&options, publisher, Arc::clone(&status), replica)?;
    let (stop, stopped) = watch::channel(false);
    // Each in a task of its own: a recompute delays no answer.
    let mut servers = JoinSet::new();
    if let Some((listener, security)) = xds {
        let served = server.serve(listener, security, until(stopped.clone()));
        servers.spawn(async { served.await.context("the xDS server ended") });
    }
    if let Some(mut extension) = envoy_gateway {
        if let Some(filter) = &mut extension.filter {
            filter.notices = notices;
        }
        let hook = meshes.hook(&options, extension.namespace.clone())?;
        let counts = Arc::clone(&status.envoy_gateway);
        let missing = Arc::new(move || status.problems());
        let served = extension.serve(hook, counts, missing, term, until(stopped));
        servers.spawn(async { served.await.context("Envoy Gateway's extension server ended") });
    }
    tokio::select! {
        followed = meshes.follow(events, once) => followed?,
        () = shutdown => {}
        Some(ended) = servers.join_next() => return ended.context("a server ended")?,
    }
    stop.send_replace(true);
    while let Some(ended) = servers.join_next().await {
        ended.context("a server ended")??;
    }
    Ok(())
}

/// Ready when the servers are to end.
async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which ends the servers too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The meshes, one for each namespace with gateways.
struct Meshes {
    views: BTreeMap<Option<String>, Served>,
    publisher: Publisher,
    pace: Pace,
    status: Arc<Status>,
    replica: Option<Replica>,
    /// The withdrawal that somebody confirmed, until it happens.
    confirmed: Option<String>,
}

impl Meshes {
    fn new(
        options: &Options,
        publisher: Publisher,
        status: Arc<Status>,
        replica: Option<Replica>,
    ) -> anyhow::Result<Self> {
        let mut meshes = Self {
            views: BTreeMap::new(),
            publisher,
            pace: Pace::new(Instant::now()),
            status,
            replica,
            confirmed: None,
        };
        if options.route_clusters {
            meshes.status.follow_routes();
        }
        for node in &options.nodes {
            meshes.of(options, node.namespace.as_ref())?.nodes.push(node.clone());
        }
        meshes.views.iter().for_each(|(namespace, served)| {
            meshes.status.set(namespace.as_deref(), served.summary());
        });
        Ok(meshes)
    }

    /// The mesh as gateways in that namespace see it.
    ///
    /// # Errors
    /// The filter refuses the settings: at once, not at the first table.
    fn of(&mut self, options: &Options, namespace: Option<&String>) -> anyhow::Result<&mut Served> {
        match self.views.entry(namespace.cloned()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let settle = self.replica.as_ref().map(|it| it.settle).unwrap_or_default();
                let rules = Rules { ingress: namespace.cloned(), ..options.rules.clone() };
                let (settings, mesh_config) = (&options.settings, options.mesh_config.clone());
                let (limits, all_services) = (options.limits, options.all_services);
                let view = View::new(&rules, settings, mesh_config, limits, all_services);
                let view = if options.route_clusters { view.with_route_clusters() } else { view };
                view.policy()?;
                let mut served = Served::new(view, settle);
                let lease = self.replica.as_ref().map(|it| it.lease.clone());
                let namespace = namespace.map(String::as_str);
                served.first = lease.map(|lease| FirstTable::new(namespace, limits, lease));
                Ok(new.insert(served))
            }
        }
    }

    /// What Envoy Gateway's calls are answered by, for Gateways in that namespace.
    ///
    /// # Errors
    /// As for [`Meshes::of`].
    fn hook(&mut self, options: &Options, namespace: Option<String>) -> anyhow::Result<Arc<Hook>> {
        let status = Arc::clone(&self.status);
        let served = self.of(options, namespace.as_ref())?;
        let hook = Arc::clone(served.hook.get_or_insert_default());
        status.set(namespace.as_deref(), served.summary());
        Ok(hook)
    }

    /// Until nothing sends events any more or, with `once`, each gateway's configuration is published.
    async fn follow(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        once: bool,
    ) -> anyhow::Result<()> {
        let status = Arc::clone(&self.status);
        let mut queries = status.queries.lock().await;
        let mut batch = Vec::with_capacity(AT_ONCE);
        let mut retry_at = Instant::now() + RETRY;
        loop {
            let next = self.pace.due().or_else(|| self.next());
            let next = next.map_or(retry_at, |next| next.min(retry_at));
            let heard = async {
                match &mut self.replica {
                    Some(replica) => replica.heard().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                taken = events.recv_many(&mut batch, AT_ONCE) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    batch.drain(..).for_each(|event| self.feed(event));
                    self.pace.changed(Instant::now());
                }
                heard = heard => match heard {
                    Heard::Leads => self.lead(),
                    Heard::Confirmed(id) => self.confirmed = id,
                    Heard::Recorded(recorded) => self.compare(&recorded),
                },
                Some(query) = queries.recv() => self.answer(query),
                () = sleep_until(next.into()) => {}
            }
            if self.pace.due().is_some_and(|due| due <= Instant::now()) {
                self.update();
                self.pace.taken(Instant::now());
                retry_at = Instant::now() + RETRY;
            } else if retry_at <= Instant::now() {
                self.retry();
                retry_at = Instant::now() + RETRY;
            }
            // What is known is as of the last update.
            if self.pace.due().is_none() {
                self.release();
                self.tell();
            }
            self.record();
            if once && self.is_done()? {
                return Ok(());
            }
        }
    }

    /// Whether each gateway's configuration is published.
    ///
    /// # Errors
    /// If one cannot be.
    fn is_done(&self) -> anyhow::Result<bool> {
        let known = self.views.values().all(|served| served.view.is_known());
        let problem = self.views.values().find_map(|served| served.problem.as_ref());
        match problem {
            Some((problem, _)) if known => bail!("{problem}"),
            problem => {
                Ok(problem.is_none() && self.views.values().all(|served| served.version.is_some()))
            }
        }
    }

    /// When there is something to do, if nothing changes before.
    fn next(&self) -> Option<Instant> {
        let next = self.views.values().flat_map(|it| {
            [it.view.next(), it.settling.next(), it.first.as_ref().and_then(FirstTable::next)]
        });
        next.flatten().min()
    }

    fn feed(&mut self, event: Event) {
        log(&event);
        self.status.feed(&event);
        for served in self.views.values_mut() {
            event.clone().feed(served.view.state_mut());
        }
    }

    /// Takes the changes in and publishes what is different.
    fn update(&mut self) {
        for (namespace, served) in &mut self.views {
            match served.update(&self.status) {
                Ok(asking) => {
                    served.settle(self.replica.as_ref(), asking);
                    served.publish(&mut self.publisher, &self.status);
                }
                // The status of the kinds says which are not listed.
                Err(NotReady::Unlisted(_)) => continue,
                Err(NotReady::Table(_)) => {}
            }
            self.status.set(namespace.as_deref(), served.summary());
        }
    }

    /// Publishes again what could not be published.
    fn retry(&mut self) {
        for (namespace, served) in &mut self.views {
            if served.problem.is_some() && served.view.is_known() {
                served.publish(&mut self.publisher, &self.status);
                self.status.set(namespace.as_deref(), served.summary());
            }
        }
    }

    /// Publishes the first tables that pass, now that this is known of the Lease.
    fn compare(&mut self, recorded: &Recorded) {
        for (namespace, served) in &mut self.views {
            let Some(first) = &mut served.first else { continue };
            first.hear(recorded);
            if served.updated.is_some() && served.view.is_known() {
                served.publish(&mut self.publisher, &self.status);
                self.status.set(namespace.as_deref(), served.summary());
            }
        }
    }

    /// Has the leader note at the Lease what is served.
    fn record(&self) {
        let Some(replica) = &self.replica else { return };
        let numbers = self.views.iter().filter_map(|(namespace, served)| {
            Some((namespace.clone().unwrap_or_default(), served.on_waypoints?))
        });
        replica.serves(numbers.collect());
    }

    /// Publishes what was held back for long enough or is confirmed, and tells what is still held back.
    fn release(&mut self) {
        let mut is_used = false;
        for (namespace, served) in &mut self.views {
            let confirmed = self.confirmed.as_deref();
            let (first, released) = (served.release_first(confirmed), served.release(confirmed));
            if first || !released.is_empty() {
                is_used = true;
                served.settle(self.replica.as_ref(), released);
                served.publish(&mut self.publisher, &self.status);
                self.status.set(namespace.as_deref(), served.summary());
            }
            served.tell_held(self.replica.as_ref());
        }
        // Several namespaces' gateways may hold the same withdrawal back. After that, a confirmation is used up.
        if is_used {
            self.confirmed = None;
        }
    }

    /// Begins to tell, as one that leads from now on.
    fn lead(&mut self) {
        let replica = self.replica.as_ref();
        for served in self.views.values_mut() {
            // It is told again.
            served.withdrawal = None;
            let asking = served.view.asking().cloned().collect();
            served.settle(replica, asking);
        }
    }

    /// Tells of the services that had time to settle and ask for their waypoint in vain. Those that are too many are
    /// looked at again after the same time.
    fn tell(&mut self) {
        let Some(replica) = &self.replica else { return };
        for served in self.views.values_mut() {
            let now = Instant::now();
            let mut later = served.settling.due(now);
            later.retain(|object| {
                let why = served.view.in_vain(object);
                why.is_some_and(|why| !replica.tell(Notice::in_vain(object.clone(), &why)))
            });
            served.settling.add(later, now);
        }
    }

    /// Nobody waits for an answer that comes too late.
    fn answer(&mut self, query: Query) {
        match query {
            Query::Services(gateway, filter, range, reply) => {
                self.reply(gateway, reply, |served| services(&served.view, &filter, range));
            }
            Query::Findings(gateway, reply) => self.reply(gateway, reply, Served::findings),
        }
    }

    fn reply<T>(
        &mut self,
        gateway: Option<String>,
        reply: Reply<T>,
        answer: impl FnOnce(&mut Served) -> T,
    ) {
        if reply.is_closed() {
            return;
        }
        let is_meant = |served: &&mut Served| {
            gateway.as_ref().is_none_or(|name| served.nodes.iter().any(|node| node.name == *name))
        };
        let answer = match self.views.values_mut().find(is_meant) {
            None => Err(NoAnswer::UnknownGateway(gateway.unwrap_or_default())),
            Some(served) if served.updated.is_none() => {
                let problem = served.problem.clone().map(|(problem, _)| problem);
                let starting = || "the controller has just started".to_owned();
                Err(NoAnswer::NotReady(problem.unwrap_or_else(starting)))
            }
            Some(served) => Ok(answer(served)),
        };
        // An error means that nobody waits any more.
        let _ = reply.send(answer);
    }
}

fn log(event: &Event) {
    let kind = event.kind;
    match &event.change {
        Change::Listed => tracing::info!(%kind, "listed"),
        Change::Absent(reason) => tracing::info!(%kind, "{reason}"),
        Change::Lost(reason) => tracing::warn!(%kind, "{reason}"),
        Change::Restored => tracing::info!(%kind, "followed again"),
        Change::Broken(_, diagnostics) | Change::Object(_, diagnostics) => {
            for diagnostic in diagnostics {
                tracing::warn!(%kind, "{diagnostic}");
            }
        }
        Change::Begin | Change::Deleted(_) => {}
    }
}

impl Status {
    fn feed(&self, event: &Event) {
        let kind = event.kind;
        match &event.change {
            Change::Listed => self.set_listed(kind),
            Change::Restored => self.set_kind(kind, OfKind::Followed),
            Change::Lost(reason) => self.set_kind(kind, OfKind::Lost(reason.clone())),
            _ => {}
        }
    }
}
