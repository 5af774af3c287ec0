//! What one stream has subscribed to and what it has of it: the part of the protocol that state of the world and
//! delta share. No I/O.
//!
//! One resource at a time is on its way to a proxy. The next one is sent after the answer, so that a slow proxy gets
//! the newest version then and never a queue, and an answer always belongs to one resource.
//!
//! A version that a proxy refused is not sent to it again on the same stream. On a new stream it is tried once more: the
//! proxy may be a newer one.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::resources::{Resource, Snapshot};

/// More subscriptions than any gateway has: what a stream can make the server remember is bounded.
const MAX_NAMES: usize = 64;
const MAX_NAME: usize = 1024;

/// What a request meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The proxy wants the resource, and says which version it has.
    Subscribed {
        /// The resource.
        name: String,
        /// The version that the proxy brought along.
        has: Option<String>,
    },
    /// The proxy does not want the resource any more.
    Unsubscribed {
        /// The resource.
        name: String,
    },
    /// The proxy uses the version that it was sent.
    Acknowledged {
        /// The resource.
        name: String,
        /// The version it was sent.
        version: String,
    },
    /// The proxy refused the version that it was sent and goes on with the one before.
    Refused {
        /// The resource.
        name: String,
        /// The version it was sent.
        version: String,
        /// Why, in the proxy's words.
        error: String,
    },
}

/// A limit that a stream's subscriptions exceed.
#[derive(Debug, PartialEq, Eq)]
pub struct OverLimit(pub &'static str);

/// A resource to send.
#[derive(Debug, Clone)]
pub struct Push {
    /// Which response this is.
    pub nonce: String,
    /// What is sent.
    pub resource: Arc<Resource>,
}

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    names: BTreeMap<String, Held>,
    in_flight: Option<InFlight>,
    sent: u64,
    last: String,
}

/// What the proxy has not answered yet.
#[derive(Debug)]
struct InFlight {
    nonce: String,
    name: String,
    version: String,
}

#[derive(Debug, Default)]
struct Held {
    acknowledged: Option<String>,
    refused: Option<String>,
}

impl Subscriptions {
    /// Whether the nonce is another one than the last response's. Nothing is stale before the first response.
    pub fn is_stale(&self, nonce: &str) -> bool {
        self.sent > 0 && nonce != self.sent.to_string()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Subscribes anew: only the version that the proxy has is not sent to it.
    pub fn subscribe(&mut self, name: &str, has: Option<&str>) -> Result<Change, OverLimit> {
        if name.len() > MAX_NAME {
            return Err(OverLimit("a resource name is longer than 1024 bytes"));
        }
        if self.names.len() >= MAX_NAMES && !self.contains(name) {
            return Err(OverLimit("a stream subscribes to more than 64 resources"));
        }
        let has = has.map(str::to_owned);
        self.names.insert(name.to_owned(), Held { acknowledged: has.clone(), refused: None });
        Ok(Change::Subscribed { name: name.to_owned(), has })
    }

    pub fn unsubscribe(&mut self, name: &str) -> Option<Change> {
        self.names.remove(name).map(|_| Change::Unsubscribed { name: name.to_owned() })
    }

    /// Unsubscribes from all but the names given.
    pub fn retain(&mut self, names: &[String]) -> Vec<Change> {
        let gone = self.names.extract_if(.., |name, _| !names.contains(name));
        gone.map(|(name, _)| Change::Unsubscribed { name }).collect()
    }

    /// Takes the answer to the response that is on its way. Any other nonce is stale and means nothing.
    pub fn answered(&mut self, nonce: &str, error: Option<&str>) -> Option<Change> {
        let InFlight { name, version, .. } = self.in_flight.take_if(|sent| sent.nonce == nonce)?;
        let held = self.names.get_mut(&name);
        let Some(error) = error else {
            if let Some(held) = held {
                *held = Held { acknowledged: Some(version.clone()), refused: None };
            }
            return Some(Change::Acknowledged { name, version });
        };
        if let Some(held) = held {
            held.refused = Some(version.clone());
        }
        Some(Change::Refused { name, version, error: error.to_owned() })
    }

    /// The next resource to send, if there is one and nothing is on its way: one whose version the proxy neither has
    /// nor refused. A name that is not served is not answered at all, because an empty answer would tell the proxy
    /// that it has to do without.
    pub fn next(&mut self, snapshot: &Snapshot) -> Option<Push> {
        if self.in_flight.is_some() {
            return None;
        }
        let wanted = |(name, held): (&String, &Held)| {
            let resource = snapshot.get(name)?;
            let version = Some(resource.version());
            (version != held.acknowledged.as_deref() && version != held.refused.as_deref())
                .then(|| Arc::clone(resource))
        };
        // Behind the one sent last, so that one that changes all the time does not keep others from being sent.
        let last = self.last.as_str();
        let behind = self.names.range::<str, _>((Bound::Excluded(last), Bound::Unbounded));
        let before = self.names.range::<str, _>((Bound::Unbounded, Bound::Included(last)));
        let resource = behind.chain(before).find_map(wanted)?;
        self.sent += 1;
        self.last = resource.name().to_owned();
        let nonce = self.sent.to_string();
        self.in_flight = Some(InFlight {
            nonce: nonce.clone(),
            name: self.last.clone(),
            version: resource.version().to_owned(),
        });
        Some(Push { nonce, resource })
    }
}
