//! What is followed, and what happens to it.

use std::time::Duration;

use mesh::object::{Kind, Object};
use mesh::{Diagnostic, Key, State};

/// What to follow.
#[derive(Debug, Clone)]
pub struct Options {
    /// The kinds: all but pods, which are many, and what makes them.
    pub kinds: Vec<Kind>,
    /// The namespace of the mesh configuration, if it is not Istio's own.
    pub mesh_config: Option<String>,
    /// How long a connection may be silent. A server sends a bookmark every minute; a watch of one that does not is
    /// merely begun again.
    pub silence: Duration,
}

impl Options {
    /// These kinds, in Istio's namespace.
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let kinds = kinds.into_iter().collect();
        Self { kinds, mesh_config: None, silence: Duration::from_secs(70) }
    }
}

/// Something that happened to the objects of a kind.
#[derive(Debug, Clone)]
pub struct Event {
    /// The kind.
    pub kind: Kind,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Change {
    /// A list begins. One that began before and was not complete is void.
    Begin,
    /// An object is new or has changed, and what of it was left out.
    Object(Object, Vec<Diagnostic>),
    /// An object is new or has changed, and cannot be read: why. Its last version that could be read stays.
    Broken(Key, Vec<Diagnostic>),
    /// There is no such object, or no longer one that matters.
    Deleted(Key),
    /// The list is complete: what was not in it is gone.
    Listed,
    /// The kind is read as if there were no objects: why. Follows an empty list.
    Absent(String),
    /// The kind cannot be read, or not yet: why. Its objects stay. Comes once for each outage, and again if its cause
    /// changes.
    Lost(String),
    /// The kind is followed again, and no change was missed. After a list, [`Change::Listed`] says so.
    Restored,
}

impl Event {
    /// Takes the event into the state.
    pub fn feed(self, state: &mut State) {
        let kind = self.kind;
        match self.change {
            Change::Begin => state.begin(kind),
            Change::Object(object, _) => {
                state.apply(object);
            }
            Change::Broken(key, _) => state.keep(kind, &key),
            Change::Deleted(key) => state.delete(kind, &key),
            Change::Listed => state.end(kind),
            Change::Absent(_) => {}
            Change::Lost(reason) => state.lose(kind, reason),
            Change::Restored => state.restore(kind),
        }
    }
}
