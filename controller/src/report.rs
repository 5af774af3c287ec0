//! What the main loop knows, as data for the page and the JSON beside it.
//!
//! A [`Query`] is answered between two updates. One that lists services looks at the name of each, and at the whole of
//! those on its page alone.

use std::net::IpAddr;
use std::sync::Arc;

use ingress_waypoint::Label;
use mesh::object::Kind;
use mesh::{Diagnostic, Key, ObjectRef, Resolved, Step};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::view::View;

/// The most services of a page.
pub const MAX_LIMIT: usize = 200;

/// A question to the main loop.
#[derive(Debug)]
pub enum Query {
    /// Services of a gateway.
    Services(Option<String>, ServiceFilter, Range, Reply<List<Service>>),
    /// What is wrong with the objects that a gateway sees, the worst first.
    Findings(Option<String>, Reply<Arc<[Diagnostic]>>),
}

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, NoAnswer>>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No such gateway is served.
    #[error("gateway: {0:?} is not served here")]
    UnknownGateway(String),
    /// The mesh is not known yet: what is missing.
    #[error("the services are not known yet: {0}")]
    NotReady(String),
    /// The main loop does something else.
    #[error("the controller is busy with changes of the mesh; try again")]
    Busy,
}

/// Which services are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFilter {
    /// A part of `NAMESPACE/NAME`, in lower case.
    pub text: String,
    /// The decision.
    pub decision: Option<String>,
    /// Its reason.
    pub reason: Option<String>,
    /// Whether the guard holds it.
    pub held: Option<bool>,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The number of the page, from 1.
    pub page: usize,
    /// How many items a page has.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// How many items there are without the filter.
    pub total: usize,
    /// How many pass the filter.
    pub matched: usize,
    /// The number of the page, from 1.
    pub page: usize,
    /// How many pages there are: at least one.
    pub pages: usize,
    /// The items of the page.
    pub items: Vec<T>,
}

/// A Service or ServiceEntry, and where requests for it go.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// What the gateway does with requests: `waypoint`, `direct` or `reject`.
    pub decision: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The first rule that does not hold, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the guard keeps it on its waypoint, although its objects say something else now.
    pub held: bool,
    /// Whether requests are refused rather than sent to the endpoints.
    pub required: bool,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// The addresses that the mesh captures.
    pub vips: Vec<IpAddr>,
    /// The ports to which HTTP can be sent.
    pub ports: Vec<u16>,
    /// The Gateway that it names as its waypoint, as `NAMESPACE/NAME`, ready or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waypoint: Option<String>,
    /// The chain of rules, as `explain` prints it.
    pub steps: Vec<Step>,
}

impl ServiceFilter {
    fn passes(&self, view: &View, name: &(&Key, Kind), text: &mut String) -> bool {
        let (key, kind) = *name;
        if !self.text.is_empty() {
            text.clear();
            text.extend([key.namespace.as_str(), "/", key.name.as_str()]);
            if !text.contains(&self.text) {
                return false;
            }
        }
        let object = || ObjectRef::namespaced(kind, key);
        let is = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|it| it == is);
        let decides = self.decision.is_some() || self.reason.is_some();
        if decides {
            let (decision, reason) = view.table().decision(&object());
            if !is(&self.decision, decision) || !is(&self.reason, reason) {
                return false;
            }
        }
        self.held.is_none_or(|held| view.guard().holds(&object()) == held)
    }
}

impl Range {
    /// That part of what passes a filter, out of so many.
    pub fn of<T>(self, total: usize, matching: impl Iterator<Item = T>) -> List<T> {
        let skipped = self.limit.saturating_mul(self.page.saturating_sub(1));
        let (mut matched, mut items) = (0, Vec::new());
        for item in matching {
            if matched >= skipped && items.len() < self.limit {
                items.push(item);
            }
            matched += 1;
        }
        let pages = matched.div_ceil(self.limit.max(1)).max(1);
        List { total, matched, page: self.page, pages, items }
    }
}

impl<T> List<T> {
    /// The number of the page before this one, if there is one.
    pub fn previous(&self) -> usize {
        self.page.saturating_sub(1).min(self.pages)
    }

    /// With other items.
    pub fn map<U>(self, of: impl FnMut(T) -> Option<U>) -> List<U> {
        let Self { total, matched, page, pages, items } = self;
        List { total, matched, page, pages, items: items.into_iter().filter_map(of).collect() }
    }
}

/// The services that pass a filter, as of the last update, by namespace, name and kind.
pub fn services(view: &View, filter: &ServiceFilter, range: Range) -> List<Service> {
    let names = view.state().names();
    let (total, mut text) = (names.len(), String::new());
    let matching = names.filter(|name| filter.passes(view, name, &mut text));
    range.of(total, matching).map(|(key, kind)| service(view, ObjectRef::namespaced(kind, key)))
}

/// `None` if the object is about to go.
fn service(view: &View, object: ObjectRef) -> Option<Service> {
    let items = view.state().object(&object)?;
    let (decision, reason): Label = view.table().decision(&object);
    let held = view.guard().holds(&object);
    let is_usable = |item: &&Resolved| item.outside.is_none() && !item.is_ambiguous;
    let first = items.iter().find(is_usable).or(items.first())?;
    let steps = first.steps(view.state().world());
    let failed = steps.iter().find(|step| !step.holds).map(|step| step.message.clone());
    Some(Service {
        object,
        decision,
        reason,
        why: failed.filter(|_| held || decision != "waypoint"),
        held,
        required: items.iter().any(|item| item.required.is_some()),
        hosts: distinct(items.iter().flat_map(|item| item.hosts.iter().cloned())),
        vips: distinct(items.iter().flat_map(|item| item.vips.addresses.iter().copied())),
        ports: distinct(items.iter().flat_map(|it| it.ports.kept.iter().map(|it| it.port.number))),
        waypoint: first.binding.reference().map(|it| it.gateway.to_string()),
        steps,
    })
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    all.for_each(|it| {
        if !seen.contains(&it) {
            seen.push(it)
        }
    });
    seen
}
