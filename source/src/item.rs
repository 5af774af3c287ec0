//! An object as a cluster's API server sends it.

use std::borrow::Cow;

use kube::api::{ApiResource, DynamicObject, ObjectMeta};
use kube::core::DynamicResourceScope;
use serde::de::DeserializeSeed as _;
use serde::{Deserialize, Deserializer};
use yaml::Tree;

use super::kinds::Resource;
use super::tree::Node;

/// How the client asks for a resource in one of its versions.
pub fn resource(resource: &Resource, version: &str) -> ApiResource {
    ApiResource {
        group: resource.group.to_owned(),
        version: version.to_owned(),
        api_version: resource.api_version(version),
        kind: resource.kind.to_string(),
        plural: resource.plural.to_owned(),
    }
}

/// An object that is not typed yet, so that one that cannot be typed hides no other.
#[derive(Debug, Clone)]
pub struct Item {
    pub node: Node,
    /// Its name, uid and version alone.
    pub meta: ObjectMeta,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tree = Tree::default();
        let value = tree.deserialize(deserializer)?;
        let text = |key| Some(value.get("metadata")?.get(key)?.as_str()?.to_owned());
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { node: Node { value, problems: tree.problems }, meta })
    }
}

impl kube::Resource for Item {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::kind(resource)
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::group(resource)
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::version(resource)
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::plural(resource)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
