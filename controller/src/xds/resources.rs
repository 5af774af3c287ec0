//! The resources that are served now: one immutable map, which every stream watches.

use std::collections::HashMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::google::protobuf::Any;
use gateway::objects::pieces::Pieces;
use tokio::sync::watch;

/// The type of every resource that is served.
pub const TYPE_URL: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// One extension configuration, encoded once for all proxies.
#[derive(Debug)]
pub struct Resource {
    name: String,
    version: String,
    any: Pieces,
}

impl Resource {
    /// A resource of that name and version, with an `Any`. Equal versions of one name must have equal configurations.
    pub fn new(name: impl Into<String>, version: impl Into<String>, typed_config: Pieces) -> Self {
        let name = name.into();
        let config = TypedExtensionConfig { name: name.clone(), typed_config: None };
        let config = Pieces::of(&config).with(2, typed_config);
        let any = Any { type_url: TYPE_URL.to_owned(), ..Any::default() };
        Self { name, version: version.into(), any: Pieces::of(&any).with(2, config) }
    }

    /// The name that proxies subscribe to.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, which proxies name when they acknowledge it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The resource as an `Any`.
    pub fn any(&self) -> &Pieces {
        &self.any
    }
}

/// What is served at one moment, by name.
pub type Snapshot = Arc<HashMap<String, Arc<Resource>>>;

/// What is served now. Streams are woken by each change, and a stream that was busy sees only the newest.
#[derive(Debug, Default)]
pub struct Resources {
    current: watch::Sender<Snapshot>,
}

impl Resources {
    /// Serves the resource, in the place of an earlier one of its name.
    pub fn insert(&self, resource: Resource) {
        self.current.send_modify(|snapshot| {
            Arc::make_mut(snapshot).insert(resource.name.clone(), Arc::new(resource));
        });
    }

    /// Stops serving the name. A proxy that has the resource keeps it: a running gateway does not lose its table.
    pub fn remove(&self, name: &str) {
        self.current.send_if_modified(|snapshot| Arc::make_mut(snapshot).remove(name).is_some());
    }

    /// What is served now.
    pub fn snapshot(&self) -> Snapshot {
        self.current.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Snapshot> {
        self.current.subscribe()
    }
}
