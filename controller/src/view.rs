//! What a gateway is told: the mesh as one namespace's ingress sees it, with the guard, as a table.

use std::time::Instant;

use gateway::table::config::Configuration;
use gateway::table::{Error, ServiceTable};
use ingress_waypoint::Policy;
use mesh::object::Kind;
use mesh::{
    Change, Diagnostic, Diagnostics, InVain, MeshConfigChoice, OF_ROUTES, OF_SERVICES, ObjectRef,
    Resolved, Rules, State, SyncStatus,
};

use crate::guard::{Guard, Guarded, Limits, Withdrawal};

/// The mesh of the gateways in one namespace.
#[derive(Debug)]
pub struct View {
    state: State,
    guard: Guard,
    table: ServiceTable,
    /// Whether clusters are named after routes.
    follows_routes: bool,
}

/// Why there is nothing to send.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Kinds were not listed yet.
    #[error("not listed yet: {0}")]
    Unlisted(String),
    /// The mesh's configuration cannot be used, or the filter refuses the settings.
    #[error(transparent)]
    Table(#[from] Error),
}

/// What an update brought.
#[derive(Debug, Default)]
pub struct Update {
    /// What is held back from now on.
    pub held: Option<Withdrawal>,
    /// The services that changed and ask for their waypoint.
    pub asking: Vec<ObjectRef>,
}

impl View {
    /// Without objects.
    pub fn new(
        rules: &Rules,
        settings: &Configuration,
        mesh_config: MeshConfigChoice,
        limits: Limits,
        all_services: bool,
    ) -> Self {
        let rules = settings.rules(rules);
        Self {
            table: ServiceTable::new(settings, &rules, all_services),
            guard: Guard::new(limits),
            state: State::new(rules, mesh_config),
            follows_routes: false,
        }
    }

    /// Whose clusters may be named after routes, which are followed too.
    #[must_use]
    pub fn with_route_clusters(self) -> Self {
        Self { table: self.table.with_route_clusters(), follows_routes: true, ..self }
    }

    /// The kinds of object that have to be followed.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + use<> {
        kinds(self.follows_routes)
    }

    /// The objects, to which events are fed.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The objects.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is held back.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The table.
    pub fn table(&self) -> &ServiceTable {
        &self.table
    }

    /// Takes in what changed since the last time.
    ///
    /// # Errors
    /// As long as the mesh is not known. What changed is then taken in later.
    pub fn update(&mut self, now: Instant) -> Result<Update, NotReady> {
        self.check()?;
        let changes = self.state.update();
        let asking = changes.services.iter().filter(|change| asks(change));
        let asking = asking.map(|change| change.object.clone()).collect();
        let others = changes.rejected || changes.required_namespaces;
        let (passed, held) = self.guard.pass(changes.services, &self.state, &self.table, now);
        self.take(&passed, others)?;
        let services = Guarded { state: &self.state, guard: &self.guard };
        self.table.update_routes(&changes.routes, self.state.world(), &services)?;
        Ok(Update { held, asking })
    }

    /// Lets pass what was held back for long enough, or what is confirmed, and gives it.
    ///
    /// # Errors
    /// As for [`View::update`].
    pub fn release(
        &mut self,
        confirmed: Option<&str>,
        now: Instant,
    ) -> Result<Vec<ObjectRef>, NotReady> {
        self.check()?;
        // What is not followed may be undone unseen, and nobody may be able to undo it.
        if !self.is_followed() {
            self.guard.restart(now);
        }
        let released = self.guard.release(confirmed, &self.state, now);
        self.take(&released, false)?;
        Ok(released.into_iter().map(|change| change.object).collect())
    }

    /// Whether the changes of all kinds are followed.
    pub fn is_followed(&self) -> bool {
        OF_SERVICES.iter().all(|kind| *self.state.sync(*kind) == SyncStatus::Synced)
    }

    /// When [`View::release`] has something to do, if nothing changes before.
    pub fn next(&self) -> Option<Instant> {
        self.check().ok()?;
        self.guard.next()
    }

    /// Why a service asks for its waypoint in vain, if it does. One that is held on its waypoint does not.
    pub fn in_vain(&self, object: &ObjectRef) -> Option<InVain> {
        if self.table.sends_to_vip(object) {
            return None;
        }
        let items = self.state.object(object)?;
        items.iter().find_map(|item| item.in_vain(self.state.world()))
    }

    /// The services that ask for their waypoint, each once.
    pub fn asking(&self) -> impl Iterator<Item = &ObjectRef> {
        let mut last = None;
        self.state.asking().map(|service| &service.object).filter(move |object| {
            let is_new = last != Some(*object);
            last = Some(*object);
            is_new
        })
    }

    /// What is wrong as of the last update, the worst first, each once.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let services = Guarded { state: &self.state, guard: &self.guard };
        let of_routes = self.table.route_diagnostics(self.state.world(), &services);
        if of_routes.is_empty() {
            return self.state.diagnostics();
        }
        let mut all: Diagnostics = of_routes.into_iter().collect();
        all.extend(self.state.diagnostics());
        all.into_list()
    }

    /// The policy that the filter makes of the configuration, which is its text.
    ///
    /// # Errors
    /// The filter refuses the settings.
    pub fn policy(&self) -> Result<Policy, NotReady> {
        Ok(self.table.policy()?)
    }

    /// Whether the mesh is known.
    pub fn is_known(&self) -> bool {
        self.check().is_ok()
    }

    fn take(&mut self, changes: &[Change], others: bool) -> Result<(), NotReady> {
        let services = Guarded { state: &self.state, guard: &self.guard };
        Ok(self.table.update(changes, others, &services)?)
    }

    fn check(&self) -> Result<(), NotReady> {
        let unlisted = self.state.unlisted(self.kinds());
        if !unlisted.is_empty() {
            let names: Vec<_> = unlisted.iter().map(ToString::to_string).collect();
            return Err(NotReady::Unlisted(names.join(", ")));
        }
        self.state.world().check_mesh_config().map_err(|it| NotReady::Table(Error::MeshConfig(it)))
    }
}

/// The kinds that decide on services and, if these are followed, those of routes.
pub(crate) fn kinds(with_routes: bool) -> impl Iterator<Item = Kind> + use<> {
    OF_SERVICES.into_iter().chain(OF_ROUTES.into_iter().filter(move |_| with_routes))
}

fn asks(change: &Change) -> bool {
    change.new.iter().flat_map(|items| items.iter()).any(Resolved::asks)
}
