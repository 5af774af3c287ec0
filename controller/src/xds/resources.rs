//! The resources that are served now: one immutable map, which every stream watches.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;
use tokio::sync::watch;

/// The type of every resource that is served.
pub const TYPE_URL: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// One extension configuration, encoded once for all proxies.
#[derive(Debug)]
pub struct Resource {
    name: String,
    version: String,
    encoded: Bytes,
}

impl Resource {
    /// A resource of that name and version. Equal versions of one name must have equal configurations.
    pub fn new(name: impl Into<String>, version: impl Into<String>, typed_config: Any) -> Self {
        let name = name.into();
        let config = TypedExtensionConfig { name: name.clone(), typed_config: Some(typed_config) };
        let any = Any { type_url: TYPE_URL.to_owned(), value: config.encode_to_vec() };
        // A response with nothing but the resource is the bytes of its field.
        let response = DiscoveryResponse { resources: vec![any], ..Default::default() };
        Self { name, version: version.into(), encoded: response.encode_to_vec().into() }
    }

    /// The name that proxies subscribe to.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, which proxies name when they acknowledge it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The resource as protobuf field 2 with its key and length: as such it stands both in a `DiscoveryResponse` and,
    /// for delta, in a `discovery.v3.Resource`. Clones share the bytes.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
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
