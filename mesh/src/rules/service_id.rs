//! Which object a service is made of.

use crate::diagnostics::diagnostic::ObjectRef;
use crate::objects::key::Key;
use crate::objects::object::Kind;

/// A Service or a ServiceEntry, in the order of the services: by namespace, name and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub key: Key,
    /// [`Kind::Service`] or [`Kind::ServiceEntry`].
    pub kind: Kind,
}

impl Id {
    pub fn service(key: Key) -> Self {
        Self { key, kind: Kind::Service }
    }

    pub fn entry(key: Key) -> Self {
        Self { key, kind: Kind::ServiceEntry }
    }

    pub fn is_service(&self) -> bool {
        self.kind == Kind::Service
    }

    pub fn object(&self) -> ObjectRef {
        ObjectRef::namespaced(self.kind, &self.key)
    }
}
