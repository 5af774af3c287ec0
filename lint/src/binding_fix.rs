//! Which waypoint was probably meant, and the one change that binds to it.

use crate::scope::Scope;
use mesh::fix::{self, Change};
use mesh::mesh_config::Visibility;
use mesh::object::Kind;
use mesh::waypoint::{Binding, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, Unusable};
use mesh::{Key, Labels, ObjectRef, is_label, is_name};

/// What is to be bound, and what its labels or annotations say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// Whose label is to change: a Service, a ServiceEntry or a Namespace.
    pub object: &'a ObjectRef,
    /// The value of `istio.io/use-waypoint`, or what was meant as its value.
    pub name: Option<&'a str>,
    /// The same of `istio.io/use-waypoint-namespace`.
    pub namespace: Option<&'a str>,
    /// The label that asks, if the object has it itself.
    pub asks: Option<&'static str>,
    /// A label to set in the same command.
    pub also: Option<Change<'static>>,
}

impl Wish<'_> {
    /// The change to make.
    pub fn fix(&self, scope: &Scope<'_>) -> String {
        if let Some(name) = self.name
            && name.eq_ignore_ascii_case("none")
        {
            let unlabel = self.asks.map(|asks| (asks, None));
            return self.label(&[Some((USE_WAYPOINT, Some("none"))), unlabel]);
        }
        if let Some((key, explicit)) = self.meant(scope) {
            return self.bind(&key, explicit);
        }
        let home = self.home();
        let near = self.waypoints(scope, |key| key.namespace == home);
        match near.as_slice() {
            [only] => self.bind(only, false),
            [] => self.deploy(),
            several => {
                let names: Vec<_> = several.iter().map(|key| key.name.as_str()).collect();
                let any = Key { namespace: home.to_owned(), name: fix::NAME.to_owned() };
                format!("{}, with one of {} as NAME", self.bind(&any, false), names.join(", "))
            }
        }
    }

    /// The waypoint that the text names in a way that no label can, or that is somewhere else.
    pub fn meant(&self, scope: &Scope<'_>) -> Option<(Key, bool)> {
        let text = self.name?;
        let key = |namespace: &str, name: &str| Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let split = text.split_once('/');
        let own = (key(self.home(), text), false);
        let given = split.map(|(namespace, name)| (key(namespace, name), true));
        // As Services are called: NAME.NAMESPACE.
        let dotted = text.split('.').collect::<Vec<_>>();
        let dotted = match dotted.as_slice() {
            [name, namespace, ..] => Some((key(namespace, name), true)),
            _ => None,
        };
        let mut meant = [Some(own), given, dotted].into_iter().flatten();
        if let Some(found) = meant.find(|(key, _)| self.is_usable(scope, key)) {
            return Some(found);
        }
        let bare = split.map_or(text, |(_, name)| name);
        let elsewhere = self.waypoints(scope, |key| key.name == bare);
        match elsewhere.as_slice() {
            [only] => Some((only.clone(), true)),
            _ => None,
        }
    }

    /// The namespace of the object itself.
    fn own(&self) -> &str {
        self.object.namespace.as_deref().unwrap_or(&self.object.name)
    }

    /// The namespace that the waypoint is looked for in.
    fn home(&self) -> &str {
        self.namespace.filter(|namespace| is_label(namespace)).unwrap_or_else(|| self.own())
    }

    fn waypoints(&self, scope: &Scope<'_>, wanted: impl Fn(&Key) -> bool) -> Vec<Key> {
        let keys = scope.objects.world.gateways.keys();
        let usable = keys.filter(|key| wanted(key) && self.is_usable(scope, key));
        usable.cloned().collect()
    }

    /// Whether the object can be bound to it, now or once it is ready.
    fn is_usable(&self, scope: &Scope<'_>, key: &Key) -> bool {
        let labels = [(USE_WAYPOINT, &key.name), (USE_WAYPOINT_NAMESPACE, &key.namespace)];
        let labels: Labels =
            labels.into_iter().map(|(label, value)| (label.to_owned(), value.clone())).collect();
        let (world, own) = (&scope.objects.world, self.own());
        let visibility = match self.object.kind {
            Kind::ServiceEntry => {
                world.mesh().visibility(own, world.namespace(own).map(|meta| &meta.labels))
            }
            _ => Visibility::Public,
        };
        let binding = world.binding(own, &labels, visibility);
        let usable =
            matches!(binding, Binding::Ready(_) | Binding::Unusable(_, Unusable::NotReady));
        usable && scope.is_waypoint(key)
    }

    fn bind(&self, key: &Key, explicit: bool) -> String {
        let namespace = if explicit || key.namespace != self.own() {
            Some((USE_WAYPOINT_NAMESPACE, Some(key.namespace.as_str())))
        } else {
            self.namespace.map(|_| (USE_WAYPOINT_NAMESPACE, None))
        };
        self.label(&[Some((USE_WAYPOINT, Some(key.name.as_str()))), namespace])
    }

    fn label(&self, changes: &[Option<Change<'_>>]) -> String {
        let changes: Vec<_> = self.also.iter().chain(changes.iter().flatten()).copied().collect();
        fix::labels(self.object, &changes)
    }

    /// There is no waypoint to bind to: deploys one.
    fn deploy(&self) -> String {
        let name = self.name.filter(|name| is_name(name)).unwrap_or("waypoint");
        let key = Key { namespace: self.home().to_owned(), name: name.to_owned() };
        let named = self.name == Some(name) && self.namespace.is_none_or(is_label);
        let deploy = fix::deploy(&key);
        match (named, self.also) {
            (true, None) => {
                format!("{deploy}; if it exists, give it along with the other objects")
            }
            _ => format!("{deploy}, then {}", self.bind(&key, false)),
        }
    }
}
