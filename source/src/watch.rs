//! The live cluster as it changes: the list of each kind, and then every change.
//!
//! [`watch`] sends [`Event`]s, which [`Event::feed`] hands to a [`State`](mesh::State). It ends when nobody takes them any
//! more, and never because of the cluster: what goes wrong is a [`Change::Lost`], and is tried again.
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

use futures::future::{join_all, select};
use tokio::sync::mpsc::Sender;

use super::kinds::RESOURCES;
use follower::Follower;

mod connection;
mod event;
mod follower;
mod response;
mod stop;

pub use connection::{Connection, may_be_account};
pub use event::{Change, Event, Options};

/// Follows the kinds until the receiver of the events is gone.
pub async fn watch(connection: &Connection, options: &Options, sink: &Sender<Event>) {
    let resources = RESOURCES.iter().filter(|resource| options.kinds.contains(&resource.kind));
    let followers =
        resources.map(|resource| Follower::new(connection, resource, options, sink).run());
    let (followed, closed) = (pin!(join_all(followers)), pin!(sink.closed()));
    select(followed, closed).await;
}
