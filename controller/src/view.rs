//! What a gateway is told: the mesh as one namespace's ingress sees it, with the guard, as a table.

use std::time::Instant;

use gateway::table::config::Configuration;
use gateway::table::{Error, ServiceTable};
use ingress_waypoint::Policy;
use mesh::{Change, MeshConfigChoice, OF_SERVICES, Rules, State};

use crate::guard::{Guard, Guarded, Limits, Withdrawal};

/// The mesh of the gateways in one namespace.
#[derive(Debug)]
pub struct View {
    state: State,
    guard: Guard,
    table: ServiceTable,
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
        }
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

    /// Takes in what changed since the last time; gives what is held back from now on.
    ///
    /// # Errors
    /// As long as the mesh is not known. What changed is then taken in later.
    pub fn update(&mut self, now: Instant) -> Result<Option<Withdrawal>, NotReady> {
        self.check()?;
        let changes = self.state.update();
        let others = changes.rejected || changes.required_namespaces;
        let (passed, held) = self.guard.pass(changes.services, &self.state, &self.table, now);
        self.take(&passed, others)?;
        Ok(held)
    }

    /// Lets pass what was held back for long enough, or what is confirmed; whether there was any.
    ///
    /// # Errors
    /// As for [`View::update`].
    pub fn release(&mut self, confirmed: Option<&str>, now: Instant) -> Result<bool, NotReady> {
        self.check()?;
        let released = self.guard.release(confirmed, &self.state, now);
        self.take(&released, false)?;
        Ok(!released.is_empty())
    }

    /// The configuration, and the policy that the filter makes of it.
    ///
    /// # Errors
    /// The filter refuses the settings.
    pub fn text(&self) -> Result<(String, Policy), NotReady> {
        Ok(self.table.text()?)
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
        let unlisted = self.state.unlisted(OF_SERVICES);
        if !unlisted.is_empty() {
            let names: Vec<_> = unlisted.iter().map(ToString::to_string).collect();
            return Err(NotReady::Unlisted(names.join(", ")));
        }
        self.state.world().check_mesh_config().map_err(|it| NotReady::Table(Error::MeshConfig(it)))
    }
}
