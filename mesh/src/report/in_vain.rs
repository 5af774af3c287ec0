//! Why a service that asks for its waypoint does not get it: one code and the step of the chain that does not hold.

use super::reasons::{Rule, Step};
use crate::diagnostics::code::Code;
use crate::objects::object::Kind;
use crate::rules::label::Place;
use crate::rules::resolved::Resolved;
use crate::rules::waypoint::{Binding, Unusable};
use crate::world::World;

/// Why a service does not get the waypoint that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InVain {
    /// What kind of reason it is.
    pub code: Code,
    /// The first rule that does not hold.
    pub step: Step,
    /// Whether requests are refused; otherwise they go to the endpoints.
    pub is_refused: bool,
}

impl Resolved {
    /// Why it asks for its waypoint in vain; `None` if it does not ask, or if no rule keeps it from the waypoint.
    ///
    /// A namespace's label is meant for the services that can have a waypoint: a headless service below it, or one that
    /// is unbound on purpose, misses nothing.
    pub fn in_vain(&self, world: &World) -> Option<InVain> {
        if !self.asks() || self.is_left_to_others() {
            return None;
        }
        let has_port = !self.ports.kept.is_empty();
        let holds = |step: &Step| step.holds || step.rule == Rule::Port && has_port;
        let step = self.steps(world).into_iter().find(|step| !holds(step))?;
        let code = self.code(&step)?;
        (self.asks_itself() || self.concerns_namespace(code)).then_some(InVain {
            code,
            step,
            is_refused: self.required.is_some(),
        })
    }

    /// Whether it was asked for by its own label, or by what requires it, rather than together with all others of its
    /// namespace.
    pub fn asks_itself(&self) -> bool {
        self.label.on && self.label.from == Some(Place::Object) || self.required.is_some()
    }

    /// Whether a namespace that asks for the waypoint of its services does not get that of this one.
    fn concerns_namespace(&self, code: Code) -> bool {
        match code {
            Code::LabelWithoutWaypoint => self.binding != Binding::None(Place::Object),
            Code::WaypointNotFound
            | Code::WaypointNotReady
            | Code::WaypointNotAllowed
            | Code::WaypointNotForServices
            | Code::NotInMesh => true,
            _ => false,
        }
    }

    /// The code of a rule that does not hold.
    fn code(&self, step: &Step) -> Option<Code> {
        let is_required = self.required.is_some();
        Some(match step.rule {
            Rule::InTheMesh if self.external_name.is_some() => Code::ExternalNameLabelled,
            Rule::InTheMesh if self.is_ambiguous => Code::HostClaimedTwice,
            Rule::InTheMesh => Code::NotInMesh,
            Rule::IngressUseWaypoint => Code::RequiredNotLabelled,
            Rule::UseWaypoint if matches!(self.binding, Binding::Managed(_)) => {
                Code::WaypointItself
            }
            Rule::UseWaypoint => Code::LabelWithoutWaypoint,
            Rule::WaypointReady => match &self.binding {
                Binding::Unusable(_, Unusable::NotReady) => Code::WaypointNotReady,
                _ => Code::WaypointNotFound,
            },
            Rule::AllowedRoutes | Rule::Visibility => Code::WaypointNotAllowed,
            Rule::WaypointFor => Code::WaypointNotForServices,
            Rule::Vip if is_required => Code::RequiredWithoutVip,
            Rule::Vip if self.object.kind == Kind::ServiceEntry => Code::EntryWithoutAddress,
            Rule::Vip if self.vips.is_headless() => Code::HeadlessLabelled,
            Rule::Vip => Code::NoVip,
            Rule::Port => Code::PortLeftOut,
            Rule::WaypointCanary | Rule::Required | Rule::WaypointBound => return None,
        })
    }
}
