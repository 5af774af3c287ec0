//! A mesh and what its gateways are served of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh::{Diagnostic, ObjectRef};

use crate::envoy_gateway::Hook;
use crate::first::{FirstTable, Shortfall};
use crate::guard::Withdrawal;
use crate::moment::Moment;
use crate::node::Node;
use crate::notice::Notice;
use crate::publish::{Publisher, version};
use crate::replica::Replica;
use crate::settling::Settling;
use crate::status::{OfView, Status};
use crate::view::{NotReady, View};

/// A mesh and its gateways.
pub struct Served {
    /// The mesh.
    pub view: View,
    /// The gateways.
    pub nodes: Vec<Node>,
    /// The version of the table, and since when it is served.
    pub version: Option<(String, Moment)>,
    /// What the first table has to pass, if there is a Lease and until it has.
    pub first: Option<FirstTable>,
    /// How many services are on their waypoints in the table that is served.
    pub on_waypoints: Option<usize>,
    /// The revision of the table that was published, also if its text was the same.
    revision: Option<u64>,
    /// What was logged last, so that it is logged once, and since when there is a problem.
    pub problem: Option<(String, Moment)>,
    /// When changes were taken in last.
    pub updated: Option<Moment>,
    /// What is wrong, if somebody asked since the last update.
    findings: Option<Arc<[Diagnostic]>>,
    /// The withdrawal that was told last, by its id.
    pub withdrawal: Option<String>,
    /// Services of which it is to be told if they ask in vain.
    pub settling: Settling,
    /// What Envoy Gateway's calls are answered by, if that is this mesh.
    pub hook: Option<Arc<Hook>>,
}

impl Served {
    /// Without gateways. A service has to ask in vain for as long as `settle` before it is told.
    pub fn new(view: View, settle: Duration) -> Self {
        Self {
            view,
            nodes: Vec::new(),
            version: None,
            first: None,
            on_waypoints: None,
            revision: None,
            problem: None,
            updated: None,
            findings: None,
            withdrawal: None,
            settling: Settling::new(settle),
            hook: None,
        }
    }

    /// Takes the changes in, and gives the services that changed and ask for their waypoint.
    ///
    /// # Errors
    /// As long as the mesh is not known; it is noted.
    pub fn update(&mut self, status: &Status) -> Result<Vec<ObjectRef>, NotReady> {
        let start = Instant::now();
        let update =
            self.view.update(start).inspect_err(|problem| self.note(&problem.to_string()))?;
        if update.held.is_some() {
            status.count_withdrawal();
        }
        status.durations.update.observe(start.elapsed().as_secs_f64());
        self.changed();
        Ok(update.asking)
    }

    /// Changes were taken in.
    fn changed(&mut self) {
        self.updated = Some(Moment::now());
        self.findings = None;
    }

    /// Lets go what was held back for long enough or is confirmed; gives these services.
    pub fn release(&mut self, confirmed: Option<&str>) -> Vec<ObjectRef> {
        // What is not known is noted by an update.
        let released = self.view.release(confirmed, Instant::now()).unwrap_or_default();
        if !released.is_empty() {
            let services = released.len();
            tracing::warn!(services, "services that were held back leave their waypoints now");
            self.changed();
        }
        released
    }

    /// Lets the first table pass if it was held back for long enough or is confirmed.
    pub fn release_first(&mut self, confirmed: Option<&str>) -> bool {
        let (Some(first), now) = (&mut self.first, Instant::now()) else { return false };
        // What is not followed may be undone unseen.
        if !self.view.is_followed() {
            first.restart(now);
        }
        let is_released = first.is_released(confirmed, now);
        if is_released {
            tracing::warn!("the first table was held back long enough, or is confirmed");
            self.first = None;
        }
        is_released
    }

    /// Whether the table may be published. Only the first one may not.
    fn passes(&mut self, status: &Status) -> bool {
        let Some(first) = &mut self.first else { return true };
        let was_short = first.shortfall().is_some();
        let Err(why) = first.check(self.view.table().to_vip(), Instant::now()) else {
            self.first = None;
            return true;
        };
        if !was_short && first.shortfall().is_some() {
            status.count_withdrawal();
        }
        self.note(&why);
        false
    }

    /// Publishes the table if it changed and passes. One into which nothing was taken yet is none.
    pub fn publish(&mut self, publisher: &mut Publisher, status: &Status) {
        if self.updated.is_none() || !self.passes(status) {
            return;
        }
        let revision = self.view.table().revision();
        if self.revision == Some(revision) {
            self.problem = None;
            return;
        }
        let start = Instant::now();
        match self.try_publish(publisher, status) {
            Ok(()) => {
                (self.revision, self.problem) = (Some(revision), None);
                self.on_waypoints = Some(self.view.table().to_vip());
            }
            Err(problem) => self.note(&format!("{problem:#}")),
        }
        status.durations.publish.observe(start.elapsed().as_secs_f64());
    }

    fn try_publish(&mut self, publisher: &mut Publisher, status: &Status) -> anyhow::Result<()> {
        let policy = self.view.policy()?;
        let headline = policy.headline();
        let (text, hook) = match &self.hook {
            // Its answers are the policy's.
            Some(hook) => (policy.text().to_owned(), Some((hook, policy))),
            None => (policy.into_text(), None),
        };
        let version = version(&text);
        let written = publisher.write(&text, &version);
        // Also if it could not be written.
        if self.version.as_ref().is_none_or(|(served, _)| *served != version) {
            if let Some((hook, policy)) = hook {
                hook.publish(&version, policy);
            }
            publisher.publish(&text.into(), &version, &self.nodes);
            status.count_publication();
            tracing::info!(version, "published: {headline}");
            self.version = Some((version, Moment::now()));
        }
        written
    }

    /// These services changed. Only one that leads tells of them.
    pub fn settle(&mut self, replica: Option<&Replica>, services: Vec<ObjectRef>) {
        if replica.is_some_and(Replica::leads) {
            self.settling.add(services, Instant::now());
        }
    }

    /// Tells what is held back, if that is not what was told last.
    pub fn tell_held(&mut self, replica: Option<&Replica>) {
        if let (Some(short), Some(replica)) = (self.shortfall(), replica) {
            let id = Some(short.id());
            if self.withdrawal != id {
                // It is in the log as the problem.
                replica.tell(Notice::short(short, &replica.lease));
                self.withdrawal = id;
            }
            return;
        }
        let held = self.view.guard().held();
        let id = held.as_ref().map(Withdrawal::id);
        if self.withdrawal == id {
            return;
        }
        self.withdrawal.clone_from(&id);
        let (Some(held), Some(id)) = (held, id) else { return };
        let confirm = replica.map(|it| format!("; to confirm it: {}", it.lease.confirm(&id)));
        tracing::warn!(
            services = held.services.len(),
            withdrawal = id,
            "held back: these services would leave their waypoints at once: {held}{}",
            confirm.unwrap_or_default()
        );
        if let Some(replica) = replica {
            replica.tell(Notice::held(&held, &replica.lease));
        }
    }

    fn shortfall(&self) -> Option<&Shortfall> {
        self.first.as_ref()?.shortfall()
    }

    /// Logs a problem, once.
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
    pub fn findings(&mut self) -> Arc<[Diagnostic]> {
        let view = &self.view;
        Arc::clone(self.findings.get_or_insert_with(|| view.diagnostics().into()))
    }

    /// For the status.
    pub fn summary(&self) -> OfView {
        let (state, table) = (self.view.state(), self.view.table());
        let mut decisions = table.decisions().clone();
        let others = state.names().len().saturating_sub(decisions.values().sum());
        *decisions.entry(table.unasked()).or_default() += others;
        OfView {
            nodes: self.nodes.clone(),
            version: self.version.clone(),
            problem: self.problem.clone(),
            updated: self.updated,
            decisions,
            objects: self.view.kinds().map(|it| (it, state.world().count(it))).collect(),
            listed: table.len(),
            held: self.view.guard().len(),
            missing: self.shortfall().map_or(0, |it| it.before.saturating_sub(it.now)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use gateway::table::config::Configuration;
    use mesh::{MeshConfigChoice, OF_SERVICES, Rules};

    use super::*;
    use crate::guard::Limits;
    use crate::xds::Resources;

    /// The mesh is known as soon as all kinds are listed, which is before the next update.
    #[test]
    fn nothing_is_published_before_the_objects_are_taken_in() {
        let (rules, settings) = (Rules::default(), Configuration::default());
        let limits = Limits::default();
        let view = View::new(&rules, &settings, MeshConfigChoice::Found, limits, false);
        let mut served = Served::new(view, Duration::ZERO);
        let (written, status) = (Arc::new(Mutex::new(0)), Status::default());
        let counted = Arc::clone(&written);
        let mut publisher = Publisher {
            resources: Arc::new(Resources::default()),
            wasm: None,
            write: Some(Box::new(move |_: &str| {
                *counted.lock().unwrap() += 1;
                Ok(())
            })),
            written: None,
        };
        assert!(served.update(&status).is_err(), "nothing is listed yet");
        for kind in OF_SERVICES {
            served.view.state_mut().begin(kind);
            served.view.state_mut().end(kind);
        }
        assert!(served.view.is_known());
        served.publish(&mut publisher, &status);
        assert_eq!(*written.lock().unwrap(), 0);
        served.update(&status).unwrap();
        served.publish(&mut publisher, &status);
        assert_eq!(*written.lock().unwrap(), 1);
    }
}
