//! The filter's configuration, kept current while the mesh changes.

use std::collections::{BTreeMap, BTreeSet};

use ingress_waypoint::{Cluster, Direct, Kind, Label, Outcome, Policy, Question, Service};
use mesh::host_owners::Rejected;
use mesh::{
    Change, Diagnostic, Items, Key, ObjectRef, Resolved, RouteChanges, Rules, State, World,
};

use super::cluster_ip;
use super::compiled::Error;
use super::config::{Configuration, UnknownService, Via, joined, lines, listed};
use super::decisions::Decisions;
use super::needed::{Needed, all_are_needed};
use super::route_clusters::RouteClusters;
use super::routes::Routes;
use super::unattributed::{self, ByName};

/// What became of the mesh's objects.
pub trait Services {
    /// Of all Services and ServiceEntries.
    fn all(&self) -> impl Iterator<Item = Items>;
    /// Of one of them; `None` if it is gone.
    fn items(&self, key: &Key, kind: Kind) -> Option<Items>;
    /// Hosts whose requests are refused, by name.
    fn rejected(&self) -> impl Iterator<Item = &Rejected>;
    /// The namespaces of which all services are required.
    fn required_namespaces(&self) -> &BTreeSet<String>;
}

impl Services for State {
    fn all(&self) -> impl Iterator<Item = Items> {
        self.objects()
    }

    fn items(&self, key: &Key, kind: Kind) -> Option<Items> {
        match kind {
            Kind::Service => self.service(key),
            Kind::ServiceEntry => self.entry(key),
        }
    }

    fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.rejected()
    }

    fn required_namespaces(&self) -> &BTreeSet<String> {
        self.required_namespaces()
    }
}

/// A configuration that follows the changes of a mesh: the text that [`super::Compiled`] makes of its objects.
#[derive(Debug)]
pub struct ServiceTable {
    settings: Configuration,
    domain: String,
    all_services: bool,
    needed: Needed,
    /// The lines of the objects that the configuration has to hold.
    lines: BTreeMap<(Key, Kind), Box<str>>,
    /// What the filter decides for the objects that ask for their waypoint or require it.
    decisions: Decisions,
    /// The clusters that are named after routes, if they are followed.
    clusters: Option<RouteClusters>,
    revision: u64,
}

impl ServiceTable {
    /// Without services. [`ServiceTable::update`] takes in all that there are.
    pub fn new(settings: &Configuration, rules: &Rules, all_services: bool) -> Self {
        Self {
            clusters: None,
            settings: settings.with_rules(rules),
            domain: rules.cluster_domain.clone(),
            all_services: all_services || all_are_needed(settings),
            needed: Needed::default(),
            lines: BTreeMap::new(),
            decisions: Decisions::default(),
            revision: 0,
        }
    }

    /// With the clusters that Envoy Gateway names after routes, of which [`ServiceTable::update_routes`] takes in all that
    /// there are.
    #[must_use]
    pub fn with_route_clusters(mut self) -> Self {
        let via = self.settings.forward.as_ref().and_then(|forward| forward.via);
        // There requests are sent to the clusters of the configuration: it lists no others.
        self.clusters = (via != Some(Via::ClusterHeader)).then(RouteClusters::default);
        self
    }

    /// Takes changes of routes in, if they are followed.
    ///
    /// # Errors
    /// As [`ServiceTable::update`].
    pub fn update_routes(
        &mut self,
        changes: &RouteChanges,
        world: &World,
        services: &impl Services,
    ) -> Result<(), Error> {
        let refused = self.reject_clusters();
        let Some(clusters) = &mut self.clusters else { return Ok(()) };
        let affected = clusters
            .update(world, Routes::EnvoyGateway, changes, &|key, is_so| is(services, key, is_so));
        for key in affected {
            let items = services.items(&key, Kind::Service).unwrap_or_default();
            self.set_lines((key, Kind::Service), &items)?;
        }
        self.note_refused(refused);
        Ok(())
    }

    /// What is wrong with clusters that are named after routes, if they are followed.
    pub fn route_diagnostics(&self, world: &World, services: &impl Services) -> Vec<Diagnostic> {
        let Some(clusters) = &self.clusters else { return Vec::new() };
        let items =
            clusters.services().filter_map(|key| Some((key, services.items(key, Kind::Service)?)));
        let items: Vec<_> = items.collect();
        let named = items.iter().filter_map(|(key, items)| Some(((*key).clone(), items.first()?)));
        let by_name: ByName<'_> = named.collect();
        let refused = self.refuses_unknown();
        let mut routed = cluster_ip::routed(world, &by_name, Routes::EnvoyGateway);
        let found = unattributed::list(world, &by_name, Routes::EnvoyGateway, refused, &mut routed);
        found.into_iter().map(|it| it.diagnostic).collect()
    }

    fn refuses_unknown(&self) -> bool {
        self.settings.unknown_service == Some(UnknownService::Reject)
    }

    /// Takes changes in. `others` says whether hosts are rejected or namespaces required that were not, or no longer.
    ///
    /// # Errors
    /// Never in practice: JSON can express all services.
    pub fn update(
        &mut self,
        changes: &[Change],
        others: bool,
        services: &impl Services,
    ) -> Result<(), Error> {
        let refused = self.reject_clusters();
        let mut all = others;
        if others {
            let namespaces = services.required_namespaces();
            self.needed.around(services.rejected(), namespaces, &self.domain);
            self.settings.refuse(services.rejected(), namespaces);
            self.revision += 1;
        }
        for Change { old, new, .. } in changes {
            let of = |items: &Option<Items>| items.clone().unwrap_or_default();
            for service in of(new).iter().filter_map(|it| it.service.as_ref()) {
                all |= self.needed.add(service);
            }
            for service in of(old).iter().filter_map(|it| it.service.as_ref()) {
                all |= self.needed.remove(service);
            }
        }
        for (key, kind) in changes.iter().map(|change| name_of(&change.object)) {
            if kind == Kind::ServiceEntry {
                // A Service can be needed because of the ServiceEntry of its name.
                let service = services.items(&key, Kind::Service).unwrap_or_default();
                self.set_lines((key.clone(), Kind::Service), &service)?;
            }
            let items = services.items(&key, kind).unwrap_or_default();
            self.set_decision((key.clone(), kind), &items);
            if let (Some(clusters), Kind::Service) = (&mut self.clusters, kind) {
                clusters.judge_service(&key, &|key, is_so| is(services, key, is_so));
            }
            self.set_lines((key, kind), &items)?;
        }
        if others || (all && !self.all_services) {
            for items in services.all() {
                let Some(item) = items.iter().find(|it| it.service.is_some()) else { continue };
                let name = name_of(&item.object);
                // Another way is a matter of the settings, and not of what other services need.
                if others {
                    self.set_decision(name.clone(), &items);
                }
                self.set_lines(name, &items)?;
            }
        }
        self.note_refused(refused);
        Ok(())
    }

    /// The clusters of which requests are refused, as the configuration has them.
    fn reject_clusters(&self) -> Option<Vec<String>> {
        let refused = self.clusters.iter().flat_map(RouteClusters::refused);
        // What is unknown is refused anyway.
        listed(refused.filter(|_| !self.refuses_unknown()))
    }

    fn note_refused(&mut self, before: Option<Vec<String>>) {
        if self.reject_clusters() != before {
            self.revision += 1;
        }
    }

    fn set_decision(&mut self, name: (Key, Kind), items: &Items) {
        let asks = items.iter().any(Resolved::asks);
        self.decisions.set(name, asks.then(|| self.decide(items).label()));
    }

    fn set_lines(&mut self, name: (Key, Kind), items: &Items) -> Result<(), Error> {
        let services = items.iter().filter_map(|it| it.service.as_ref());
        let services = services.filter(|it| self.all_services || self.needed.is_needed(it));
        let clusters = self.clusters.as_ref().filter(|_| name.1 == Kind::Service);
        let text = match clusters.filter(|clusters| clusters.lead_to(&name.0)) {
            None => lines(services)?,
            Some(clusters) => {
                let listed = services.map(|it| with_clusters(it, clusters.of(&name.0, it)));
                lines(listed.collect::<Vec<_>>().iter())?
            }
        };
        let old = self.lines.get(&name).map_or("", |lines| lines);
        if old == text {
            return Ok(());
        }
        self.revision += 1;
        if text.is_empty() {
            self.lines.remove(&name);
        } else {
            self.lines.insert(name, text.into());
        }
        Ok(())
    }

    /// How many objects the configuration holds.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many objects have requests that are sent to the VIP.
    pub fn to_vip(&self) -> usize {
        let counts = self.decisions.counts().iter();
        counts.filter(|(label, _)| is_to_vip(**label)).map(|(_, count)| count).sum()
    }

    /// Whether requests for an object are sent to the VIP.
    pub fn sends_to_vip(&self, object: &ObjectRef) -> bool {
        is_to_vip(self.decision(object))
    }

    /// What the filter decides for requests for an object. Those that neither ask for their waypoint nor require it have
    /// one decision, [`ServiceTable::unasked`].
    pub fn decision(&self, object: &ObjectRef) -> Label {
        self.decisions.get(&name_of(object)).unwrap_or_else(|| self.unasked())
    }

    /// How many of the objects that ask for their waypoint or require it have which decision.
    pub fn decisions(&self) -> &BTreeMap<Label, usize> {
        self.decisions.counts()
    }

    /// The decision for all other objects.
    pub fn unasked(&self) -> Label {
        let is_off = self.settings.ingress_use_waypoints == Some(false);
        let reason = if is_off { Direct::GloballyDisabled } else { Direct::NotLabelled };
        Outcome::Direct(reason).label()
    }

    /// Whether requests for an object would be sent to the VIP if this became of it: the filter's own answer.
    pub fn would_send_to_vip(&self, items: &Items) -> bool {
        let opted_in = |it: &Service<'_>| it.ingress_use_waypoint && !it.vips.is_empty();
        items.iter().filter_map(|it| it.service.as_ref()).any(opted_in)
            && is_to_vip(self.decide(items).label())
    }

    /// What the filter decides for an object of which this became: if requests to any of its ports go to the VIP, this;
    /// else what becomes of those to the first.
    fn decide(&self, items: &Items) -> Outcome {
        let services = || items.iter().filter_map(|it| it.service.as_ref());
        let alone = lines(services())
            .and_then(|lines| joined(std::iter::once(&*lines), &self.settings))
            .map(|text| Policy::from_json(text, Some("true")));
        let unknown = Outcome::Direct(Direct::UnknownService);
        // With settings that the filter refuses, nothing is given out.
        let (Ok(Ok(policy)), Some(item)) = (alone, items.first()) else { return unknown };
        let name = format!(
            "{}/{}",
            item.object.namespace.as_deref().unwrap_or_default(),
            item.object.name
        );
        let ask = |port| policy.decide(Question::Route { service: name.as_bytes(), port }).outcome;
        let ports = || services().flat_map(|service| &service.ports).map(|port| port.number);
        let mut sent = ports().map(|port| ask(Some(port))).filter(|it| is_to_vip(it.label()));
        sent.next().unwrap_or_else(|| ask(ports().next()))
    }

    /// Another number for each other configuration. The same configuration may have several.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The policy that the filter makes of the configuration, which is its text. What the filter would refuse is not
    /// given out.
    ///
    /// # Errors
    /// The filter refuses the settings.
    pub fn policy(&self) -> Result<Policy, Error> {
        let settings =
            Configuration { reject_clusters: self.reject_clusters(), ..self.settings.clone() };
        let text = joined(self.lines.values().map(|lines| &**lines), &settings)?;
        Ok(Policy::from_json(text, Some("true"))?)
    }
}

fn with_clusters<'a>(service: &Service<'a>, clusters: Vec<Cluster<'static>>) -> Service<'a> {
    Service { clusters, ..service.clone() }
}

/// Whether what became of a Service is so.
fn is(services: &impl Services, key: &Key, is_so: &dyn Fn(&Resolved) -> bool) -> bool {
    services.items(key, Kind::Service).is_some_and(|items| items.iter().any(is_so))
}

fn is_to_vip((decision, _): Label) -> bool {
    decision == "waypoint"
}

/// Namespace, name and kind of a Service or a ServiceEntry.
fn name_of(object: &ObjectRef) -> (Key, Kind) {
    let namespace = object.namespace.clone().unwrap_or_default();
    let kind = match object.kind {
        mesh::object::Kind::ServiceEntry => Kind::ServiceEntry,
        _ => Kind::Service,
    };
    (Key { namespace, name: object.name.clone() }, kind)
}
