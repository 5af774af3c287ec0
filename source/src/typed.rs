//! A tree → a typed object, or what is wrong with it and in which field.

use gateway_api::apis::experimental::grpcroutes::GrpcRoute;
use gateway_api::apis::experimental::httproutes::HttpRoute;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::{Path, Segment};

use super::kinds::{Kind, Resource, Wanted};
use super::tree::Node;
use mesh::facts::WAYPOINT_BOUND;
use mesh::mesh_config::text_of;
use mesh::object::{Broken, MeshConfigMap, Object, Origin, Read, RouteObject, Workload};

/// `apiVersion` and `kind` of the list that an object is an item of: a `ServiceList`'s items do
/// not say what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListKind {
    api_version: String,
    /// Without `List`; empty in a plain `List`.
    item: String,
}

impl ListKind {
    /// What a list says of its items.
    pub fn of(list: &Map<String, Value>) -> Option<Self> {
        let item = text(list, "kind")?.strip_suffix("List")?.to_owned();
        Some(Self { api_version: text(list, "apiVersion").unwrap_or_default().to_owned(), item })
    }

    /// What a list of this resource says.
    pub fn of_resource(resource: &Resource, version: &str) -> Self {
        Self { api_version: resource.api_version(version), item: resource.name.to_owned() }
    }
}

/// Whether the object says itself what it is.
pub fn has_kind(value: &Value) -> bool {
    value.get("kind").is_some()
}

/// Hands over the object, or each object of a list; nothing, if it is of no kind that is read.
pub fn read(
    node: Node,
    list: Option<&ListKind>,
    wanted: Wanted,
    origin: &Origin,
    sink: &mut dyn FnMut(Read),
) {
    let mut broken = |reason: String| sink(Read::Broken(Broken { origin: origin.clone(), reason }));
    let Value::Object(mut object) = node.value else {
        return broken("expected an object".to_owned());
    };
    let list = list.filter(|list| !list.item.is_empty());
    let kind = match (object.get("kind"), list) {
        (Some(Value::String(kind)), _) => kind.clone(),
        (Some(_), _) => return broken("kind: expected a string".to_owned()),
        (None, Some(list)) => list.item.clone(),
        (None, None) => {
            let named = name_of(&object, "object");
            return broken(format!("{named}: no kind: not a Kubernetes object"));
        }
    };
    if let (Some(inner), Some(Value::Array(_))) = (ListKind::of(&object), object.get("items")) {
        let Some(Value::Array(items)) = object.remove("items") else { return };
        for value in items {
            // The notation's problems name the whole list's fields, so all of it is in doubt.
            let problems = node.problems.clone();
            read(Node { value, problems }, Some(&inner), wanted, origin, sink);
        }
        return;
    }
    let named = name_of(&object, &kind);
    let api_version = match (object.get("apiVersion"), list) {
        (Some(Value::String(version)), _) => version.clone(),
        (None, Some(list)) => list.api_version.clone(),
        (version, _) => {
            if Resource::is_named(&kind) {
                let what = version.map_or("missing", |_| "expected a string");
                broken(format!("{named}: apiVersion: {what}"));
            }
            return;
        }
    };
    let Some(resource) = Resource::of(&api_version, &kind).filter(|r| wanted.takes(r)) else {
        return;
    };
    let value = Value::Object(object);
    // Of the many ConfigMaps only these matter; the others may be as they like.
    if resource.kind == Kind::MeshConfig && text_of(&value).is_none() {
        return;
    }
    let Value::Object(mut object) = value else { return };
    if !node.problems.is_empty() {
        return broken(format!("{named}: {}", node.problems.join("; ")));
    }
    if object.get("metadata").and_then(|m| m.get("name")).is_none() {
        return broken(format!("{named}: metadata.name: missing"));
    }
    keep_condition(resource.kind, &mut object);
    let value = Value::Object(object);
    let typed = match resource.kind {
        Kind::Service => convert(&value).map(|o| Object::Service(Box::new(o))),
        Kind::Namespace => convert(&value).map(|o| Object::Namespace(Box::new(o))),
        Kind::ServiceEntry => convert(&value).map(|o| Object::ServiceEntry(Box::new(o))),
        Kind::Gateway => convert(&value).map(|o| Object::Gateway(Box::new(o))),
        Kind::GatewayClass => convert(&value).map(|o| Object::GatewayClass(Box::new(o))),
        Kind::Pod => convert(&value).map(|o| Object::Pod(Box::new(o))),
        Kind::BackendTrafficPolicy => {
            convert(&value).map(|o| Object::BackendTrafficPolicy(Box::new(o)))
        }
        Kind::EnvoyProxy => convert(&value).map(|o| Object::EnvoyProxy(Box::new(o))),
        Kind::Workload => convert(&value)
            .map(|template: Workload| Object::Workload(resource.name, Box::new(template))),
        Kind::MeshConfig => mesh_config(&value).map(|o| Object::MeshConfig(Box::new(o))),
        Kind::HttpRoute => route::<HttpRoute>(value, &named, sink)
            .map(|route| Object::Route(resource.name, Box::new(route))),
        Kind::GrpcRoute => route::<GrpcRoute>(value, &named, sink)
            .map(|route| Object::Route(resource.name, Box::new(route))),
    };
    sink(match typed {
        Ok(object) => Read::Object(origin.clone(), object),
        Err(error) => {
            let reason = format!("{named}: {}", describe(&error));
            Read::Broken(Broken { origin: origin.clone(), reason })
        }
    });
}

/// Of the conditions the rules read one, of Services and ServiceEntries. An incomplete one is no reason to
/// do without the object.
fn keep_condition(kind: Kind, object: &mut Map<String, Value>) {
    let Some(Value::Object(status)) = object.get_mut("status") else { return };
    let Some(conditions) = status.shift_remove("conditions") else { return };
    if !matches!(kind, Kind::Service | Kind::ServiceEntry) {
        return;
    }
    let text = |condition: &Value, key: &str| {
        condition.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    let bound = conditions.as_array().into_iter().flatten().find_map(|condition| {
        let (kind, state) = (text(condition, "type")?, text(condition, "status")?);
        (kind == WAYPOINT_BOUND).then(|| {
            json!({
                "type": kind, "status": state, "message": text(condition, "message").unwrap_or_default(),
                "reason": "", "lastTransitionTime": "1970-01-01T00:00:00Z",
            })
        })
    });
    status.extend(bound.map(|condition| ("conditions".to_owned(), json!([condition]))));
}

/// A ConfigMap that is known to hold a mesh configuration.
fn mesh_config(value: &Value) -> Result<MeshConfigMap, Error> {
    let metadata = convert(value.get("metadata").unwrap_or(&Value::Null))?;
    Ok(MeshConfigMap { metadata, mesh: text_of(value).unwrap_or_default().to_owned() })
}

type Error = serde_path_to_error::Error<serde_json::Error>;

fn convert<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value)
}

/// Checks the route against the type of its kind. A newer Gateway API has filters that this type does not have: such a
/// filter is left out with a warning, instead of the route.
fn route<T: DeserializeOwned>(
    mut value: Value,
    named: &str,
    sink: &mut dyn FnMut(Read),
) -> Result<RouteObject, Error> {
    loop {
        let error = match convert::<T>(&value) {
            Ok(_) => return convert(&value),
            Err(error) => error,
        };
        let is_unknown = error.inner().to_string().starts_with("unknown variant");
        if !is_unknown || !remove_filter(&mut value, error.path()) {
            return Err(error);
        }
        let reason = describe(&error);
        // All the filters that are known would be no help.
        let reason = reason.split(", expected ").next().unwrap_or(&reason);
        sink(Read::Warning(format!("{named}: {reason}: this filter is left out")));
    }
}

/// Removes the element of `filters` that the path leads into.
fn remove_filter(mut value: &mut Value, path: &Path) -> bool {
    let mut in_filters = false;
    for segment in path {
        let next = match segment {
            Segment::Seq { index } => match value {
                Value::Array(array) if in_filters && *index < array.len() => {
                    array.remove(*index);
                    return true;
                }
                _ => value.get_mut(index),
            },
            Segment::Map { key } => {
                in_filters = key == "filters";
                value.get_mut(key)
            }
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(next) = next else { return false };
        value = next;
    }
    false
}

fn describe(error: &Error) -> String {
    let path = error.path().to_string();
    let inner = error.inner().to_string();
    // An unquoted `true`, `yes` or `1` is what people write into labels and annotations.
    let is_text = inner.starts_with("invalid type: ") && inner.ends_with("expected a string");
    let hint = if is_text { " (put it in quotes)" } else { "" };
    if path == "." { inner } else { format!("{path}: {inner}{hint}") }
}

/// `Service default/reviews`.
fn name_of(object: &Map<String, Value>, kind: &str) -> String {
    let metadata = object.get("metadata").and_then(Value::as_object);
    let part = |key| metadata.and_then(|metadata| text(metadata, key));
    let name = part("name").or_else(|| part("generateName")).unwrap_or("without a name");
    match part("namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}
