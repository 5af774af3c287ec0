//! Which object a service is made of.

use crate::diagnostic::ObjectRef;
use crate::key::Key;

/// A Service or a ServiceEntry, in the order of the services: by namespace, name and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub key: Key,
    /// [`SERVICE`] or [`SERVICE_ENTRY`].
    pub kind: &'static str,
}

pub(crate) const SERVICE: &str = "Service";
pub(crate) const SERVICE_ENTRY: &str = "ServiceEntry";

impl Id {
    pub fn service(key: Key) -> Self {
        Self { key, kind: SERVICE }
    }

    pub fn entry(key: Key) -> Self {
        Self { key, kind: SERVICE_ENTRY }
    }

    pub fn is_service(&self) -> bool {
        self.kind == SERVICE
    }

    pub fn object(&self) -> ObjectRef {
        ObjectRef::namespaced(self.kind, &self.key)
    }
}
