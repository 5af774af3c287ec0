//! The main loop: one task owns the meshes, takes events in, and publishes what became of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use gateway::table::config::Configuration;
use mesh::{Diagnostic, MeshConfigChoice, OF_SERVICES, Rules};
use source::watch::{Change, Event};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::guard::Limits;
use crate::moment::Moment;
use crate::node::Node;
use crate::pace::Pace;
pub use crate::publish::Write;
use crate::publish::{Names, Publisher, version};
use crate::report::{NoAnswer, Query, Reply, services};
use crate::status::{OfKind, OfView, Status};
use crate::view::{NotReady, View};
use crate::xds::{Resources, Security, Server, Timing};

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
}

/// Where configurations go.
#[derive(Default)]
pub struct Outputs {
    /// The xDS server's socket, if there is one.
    pub xds: Option<(TcpListener, Security)>,
    /// The wasm module, if that form is served.
    pub wasm: Option<Vec<u8>>,
    /// Takes each configuration too. One that it did not take is offered again.
    pub write: Option<Write>,
    /// Whether to end when each gateway's configuration is published, or cannot be.
    pub once: bool,
}

/// Serves until `shutdown` is ready, or nothing sends events any more. The events are those of [`source::watch::watch`],
/// for [`mesh::OF_SERVICES`].
///
/// # Errors
/// If the xDS server fails or, with [`Outputs::once`], a configuration cannot be published.
pub async fn run(
    options: Options,
    events: mpsc::Receiver<Event>,
    outputs: Outputs,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Outputs { xds, wasm, write, once } = outputs;
    let resources = Arc::new(Resources::default());
    let server = Server {
        resources: Arc::clone(&resources),
        directory: Arc::new(Names { nodes: options.nodes.clone(), wasm: wasm.is_some() }),
        proxies: Arc::clone(&status.proxies),
        timing: Timing::default(),
    };
    let publisher = Publisher { resources, wasm: wasm.map(Bytes::from), write };
    let mut meshes = Meshes::new(&options, publisher, status);
    let Some((listener, security)) = xds else {
        tokio::select! {
            followed = meshes.follow(events, once) => return followed,
            () = shutdown => return Ok(()),
        }
    };
    let (stop, stopped) = oneshot::channel::<()>();
    // In a task of its own: a recompute delays no proxy's answer.
    let mut serving = tokio::spawn(server.serve(listener, security, async {
        // An error means that the sender is gone, which ends the server too.
        let _ = stopped.await;
    }));
    tokio::select! {
        followed = meshes.follow(events, once) => followed?,
        () = shutdown => {}
        served = &mut serving => return served.context("the xDS server ended")?,
    }
    drop(stop);
    serving.await.context("the xDS server ended")?
}

/// The meshes, one for each namespace with gateways.
struct Meshes {
    views: BTreeMap<Option<String>, Served>,
    publisher: Publisher,
    pace: Pace,
    status: Arc<Status>,
}

/// A mesh and its gateways.
struct Served {
    view: View,
    nodes: Vec<Node>,
    /// The version of the table, and since when it is served.
    version: Option<(String, Moment)>,
    /// What was logged last, so that it is logged once, and since when there is a problem.
    problem: Option<(String, Moment)>,
    /// When changes were taken in last.
    updated: Option<Moment>,
    /// What is wrong, if somebody asked since the last update.
    findings: Option<Arc<[Diagnostic]>>,
}

impl Meshes {
    fn new(options: &Options, publisher: Publisher, status: Arc<Status>) -> Self {
        let mut views: BTreeMap<_, Served> = BTreeMap::new();
        for node in &options.nodes {
            let served = views.entry(node.namespace.clone()).or_insert_with(|| {
                let rules = Rules { ingress: node.namespace.clone(), ..options.rules.clone() };
                let (settings, mesh_config) = (&options.settings, options.mesh_config.clone());
                let (limits, all_services) = (options.limits, options.all_services);
                let view = View::new(&rules, settings, mesh_config, limits, all_services);
                Served::new(view)
            });
            served.nodes.push(node.clone());
        }
        for (namespace, served) in &views {
            status.set(namespace.as_deref(), served.summary());
        }
        Self { views, publisher, pace: Pace::new(Instant::now()), status }
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
            let due = self.pace.due();
            let next =
                due.into_iter().chain(self.views.values().filter_map(|it| it.view.guard().next()));
            let next = next.min().map_or(retry_at, |next| next.min(retry_at));
            tokio::select! {
                taken = events.recv_many(&mut batch, AT_ONCE) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    batch.drain(..).for_each(|event| self.feed(event));
                    self.pace.changed(Instant::now());
                }
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
            self.release();
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
            let start = Instant::now();
            let updated = served.view.update(start);
            match updated {
                Ok(None) => {}
                Ok(Some(held)) => {
                    self.status.count_withdrawal();
                    tracing::warn!(
                        services = held.services.len(),
                        withdrawal = held.id(),
                        "held back: these services would leave their waypoints at once: {held}"
                    );
                }
                Err(problem) => {
                    served.note(&problem.to_string());
                    // The status of the kinds says which are not listed.
                    if !matches!(problem, NotReady::Unlisted(_)) {
                        self.status.set(namespace.as_deref(), served.summary());
                    }
                    continue;
                }
            }
            self.status.durations.update.observe(start.elapsed().as_secs_f64());
            served.updated = Some(Moment::now());
            served.findings = None;
            served.publish(&mut self.publisher, &self.status);
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

    /// Publishes what was held back for long enough.
    fn release(&mut self) {
        for (namespace, served) in &mut self.views {
            if served.view.guard().is_empty() {
                continue;
            }
            let Ok(true) = served.view.release(None, Instant::now()) else { continue };
            tracing::warn!("services that were held back leave their waypoints now");
            served.publish(&mut self.publisher, &self.status);
            self.status.set(namespace.as_deref(), served.summary());
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

impl Served {
    fn new(view: View) -> Self {
        Self {
            view,
            nodes: Vec::new(),
            version: None,
            problem: None,
            updated: None,
            findings: None,
        }
    }

    fn publish(&mut self, publisher: &mut Publisher, status: &Status) {
        let start = Instant::now();
        match self.try_publish(publisher) {
            Ok(()) => self.problem = None,
            Err(problem) => self.note(&format!("{problem:#}")),
        }
        status.durations.publish.observe(start.elapsed().as_secs_f64());
    }

    fn try_publish(&mut self, publisher: &mut Publisher) -> anyhow::Result<()> {
        let (text, policy) = self.view.text()?;
        let version = version(&text);
        // Each gateway's resource holds the whole text: the same one is not encoded again.
        if self.version.as_ref().is_none_or(|(served, _)| *served != version) {
            publisher.publish(&text, &version, &self.nodes)?;
            tracing::info!(version, "published: {}", policy.headline());
            self.version = Some((version, Moment::now()));
        }
        Ok(())
    }

    fn note(&mut self, problem: &str) {
        let since = match &self.problem {
            Some((noted, _)) if noted == problem => return,
            Some((_, since)) => *since,
            None => Moment::now(),
        };
        tracing::warn!("not published: {problem}");
        self.problem = Some((problem.to_owned(), since));
    }

    /// Made once for each update at most.
    fn findings(&mut self) -> Arc<[Diagnostic]> {
        let view = &self.view;
        Arc::clone(self.findings.get_or_insert_with(|| view.state().diagnostics().into()))
    }

    fn summary(&self) -> OfView {
        let (state, table) = (self.view.state(), self.view.table());
        let mut decisions = BTreeMap::new();
        for label in table.decisions() {
            *decisions.entry(label).or_default() += 1;
        }
        let others = state.names().len().saturating_sub(table.decisions().len());
        *decisions.entry(table.unasked()).or_default() += others;
        OfView {
            nodes: self.nodes.clone(),
            version: self.version.clone(),
            problem: self.problem.clone(),
            updated: self.updated,
            decisions,
            objects: OF_SERVICES.iter().map(|it| (*it, state.world().count(*it))).collect(),
            listed: table.len(),
            held: self.view.guard().len(),
        }
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
