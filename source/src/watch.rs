//! The live cluster as it changes: the list of each kind, and then every change.
//!
//! [`watch`] sends [`Event`]s, which [`Event::feed`] hands to a [`State`]. It ends when nobody takes them any more, and
//! never because of the cluster: what goes wrong is a [`Change::Lost`], and is tried again.
//!
//! - The list comes as a stream, object by object, if the server can do that (`sendInitialEvents`), and otherwise page
//!   by page. No more than a page is held.
//! - A watch that ends goes on from the last version that was seen. If the server no longer knows that version (410),
//!   all objects are listed again.
//! - A connection without a sign of life is given up: the server sends a bookmark every minute.
//! - An object that cannot be read is a [`Change::Broken`]. The last version that could be read stays, so that a typing
//!   error in a Service does not make its traffic bypass the waypoint.
//! - A kind that the cluster does not serve is empty, and is asked for again every few seconds.
//! - Credentials and certificates are read again when the server refuses them or cannot be reached.
//!
//! `kube_runtime::watcher` is not used here: it does not say when a list that comes as a stream begins, nor that it
//! begins again after an interruption, and a deletion in between would be missed. It has one timeout for silence and
//! for the whole watch.

use std::pin::pin;
use std::time::Duration;

use futures::future::{join_all, select};
use mesh::object::{Kind, Object};
use mesh::{Diagnostic, Key, State};
use tokio::sync::mpsc::Sender;

use super::kinds::RESOURCES;
use follower::Follower;

mod connection;
mod follower;
mod response;
mod stop;

pub use connection::Connection;

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

/// Follows the kinds until the receiver of the events is gone.
pub async fn watch(connection: &Connection, options: &Options, sink: &Sender<Event>) {
    let resources = RESOURCES.iter().filter(|resource| options.kinds.contains(&resource.kind));
    let followers =
        resources.map(|resource| Follower::new(connection, resource, options, sink).run());
    let (followed, closed) = (pin!(join_all(followers)), pin!(sink.closed()));
    select(followed, closed).await;
}
