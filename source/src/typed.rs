//! A tree → a typed object, or what is wrong with it and in which field.

use gateway_api::apis::experimental::grpcroutes::GrpcRoute;
use gateway_api::apis::experimental::httproutes::HttpRoute;
use gateway_api::apis::experimental::tcproutes::TcpRoute;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::{Path, Segment};

use super::kinds::{Resource, Wanted};
use super::read::Read;
use super::tree::Node;
use mesh::WAYPOINT_BOUND;
use mesh::mesh_config::text_of;
use mesh::object::Kind;
use mesh::object::{MeshConfigMap, Object, Origin, RouteObject, Workload};
use mesh::{Code, Diagnostic, ObjectRef, Severity};

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
    #[cfg(feature = "cluster")]
    pub fn of_resource(resource: &Resource, version: &str) -> Self {
        Self { api_version: resource.api_version(version), item: resource.kind.as_str().to_owned() }
    }
}

/// Whether the object says itself what it is.
pub fn has_kind(value: &Value) -> bool {
    value.get("kind").is_some()
}

/// Hands over the object, or each object of a list; nothing, if it is not of a kind that is read.
pub fn read(
    node: Node,
    list: Option<&ListKind>,
    wanted: Wanted,
    origin: &Origin,
    sink: &mut dyn FnMut(Read),
) {
    let mut broken = |diagnostic| sink(Read::Diagnostic(Some(origin.clone()), diagnostic));
    let Value::Object(mut object) = node.value else {
        return broken(error(None, "expected an object"));
    };
    let list = list.filter(|list| !list.item.is_empty());
    let kind = match (object.get("kind"), list) {
        (Some(Value::String(kind)), _) => kind.clone(),
        (Some(_), _) => return broken(error(None, "is not a string").field("kind", None)),
        (None, Some(list)) => list.item.clone(),
        (None, None) => {
            let named = name_of(&object, Kind::Unknown);
            let missing = error(named, "is missing: this is not a Kubernetes object");
            return broken(missing.field("kind", None));
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
    let api_version = match (object.get("apiVersion"), list) {
        (Some(Value::String(version)), _) => version.clone(),
        (None, Some(list)) => list.api_version.clone(),
        (version, _) => {
            if let Some(resource) = Resource::named(&kind) {
                let message = version.map_or("is missing", |_| "is not a string");
                let named = name_of(&object, resource.kind);
                broken(error(named, message).field("apiVersion", None));
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
    let named = name_of(&object, resource.kind);
    match &*node.problems {
        [] => {}
        [problem] => {
            let problem = error(named, &*problem.message).field(&*problem.field, None);
            return broken(problem);
        }
        problems => return broken(error(named, yaml::joined(problems))),
    }
    if object.get("metadata").and_then(|m| m.get("name")).is_none() {
        let message = format!("is missing: a {} without a name", resource.kind);
        return broken(error(None, message).field("metadata.name", None));
    }
    keep_condition(resource.kind, &mut object);
    let value = Value::Object(object);
    let mut left_out = |found| {
        let found = Diagnostic { object: named.clone(), ..found };
        sink(Read::Diagnostic(Some(origin.clone()), found));
    };
    let typed = match resource.kind {
        Kind::Service => convert(value).map(|o| Object::Service(Box::new(o))),
        Kind::Namespace => convert(value).map(|o| Object::Namespace(Box::new(o))),
        Kind::ServiceEntry => convert(value).map(|o| Object::ServiceEntry(Box::new(o))),
        Kind::Gateway => convert(value).map(|o| Object::Gateway(Box::new(o))),
        Kind::GatewayClass => convert(value).map(|o| Object::GatewayClass(Box::new(o))),
        Kind::Pod => convert(value).map(|o| Object::Pod(Box::new(o))),
        Kind::BackendTrafficPolicy => {
            convert(value).map(|o| Object::BackendTrafficPolicy(Box::new(o)))
        }
        Kind::EnvoyProxy => convert(value).map(|o| Object::EnvoyProxy(Box::new(o))),
        Kind::Deployment | Kind::DaemonSet | Kind::StatefulSet | Kind::ReplicaSet => {
            convert(value).map(|o: Workload| Object::Workload(resource.kind, Box::new(o)))
        }
        Kind::MeshConfig => mesh_config(value).map(|o| Object::MeshConfig(Box::new(o))),
        // No resource is of these.
        Kind::ListenerSet | Kind::Unknown => return,
        Kind::VirtualService => convert(value).map(|o| Object::Route(resource.kind, Box::new(o))),
        Kind::DestinationRule => convert(value).map(|o| Object::DestinationRule(Box::new(o))),
        Kind::HttpRoute => route::<HttpRoute>(value, &mut left_out)
            .map(|o| Object::Route(resource.kind, Box::new(o))),
        Kind::GrpcRoute => route::<GrpcRoute>(value, &mut left_out)
            .map(|o| Object::Route(resource.kind, Box::new(o))),
        // A TLSRoute has hostnames too, which nothing reads: older versions may be without.
        Kind::TcpRoute | Kind::TlsRoute => route::<TcpRoute>(value, &mut left_out)
            .map(|o| Object::Route(resource.kind, Box::new(o))),
    };
    sink(match typed {
        Ok(object) => Read::Object(origin.clone(), object),
        Err(found) => {
            Read::Diagnostic(Some(origin.clone()), Diagnostic { object: named, ..*found })
        }
    });
}

/// What is wrong with an object, or with what is not one.
pub fn error(object: Option<ObjectRef>, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Severity::Error, Code::ObjectInvalid, object, message)
}

/// Of the conditions the rules read one, of Services and ServiceEntries. An incomplete one is not a reason to
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
fn mesh_config(value: Value) -> Result<MeshConfigMap, Box<Diagnostic>> {
    let mesh = text_of(&value).unwrap_or_default().to_owned();
    let metadata = convert(value.get("metadata").cloned().unwrap_or_default())?;
    Ok(MeshConfigMap { metadata, mesh })
}

type Error = serde_path_to_error::Error<serde_json::Error>;

fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value)
}

fn convert<T: DeserializeOwned>(value: Value) -> Result<T, Box<Diagnostic>> {
    typed(&value).map_err(|found| unreadable::<T>(value, &found))
}

/// Why a value is not a `T`.
fn unreadable<T: DeserializeOwned>(mut value: Value, found: &Error) -> Box<Diagnostic> {
    let (path, inner) = (found.path(), found.inner());
    if path.iter().next().is_none() {
        return Box::new(error(None, inner.to_string()));
    }
    let diagnostic = error(None, format!("cannot be read: {inner}")).field(path.to_string(), None);
    // An unquoted `true`, `yes` or `1` is what people write into labels and annotations.
    if let Some(at) = at(&mut value, path).filter(|at| at.is_boolean() || at.is_number()) {
        *at = Value::String(at.to_string());
        let still = typed::<T>(&value).err().map(|error| error.path().to_string());
        if still.as_ref() != diagnostic.field.as_ref() {
            return Box::new(diagnostic.fix("put the value in quotes"));
        }
    }
    Box::new(diagnostic)
}

/// Checks the route against the type of its kind. A newer Gateway API has filters that this type does not have: such a
/// filter is left out with a warning, instead of the route.
fn route<T: DeserializeOwned>(
    mut value: Value,
    left_out: &mut dyn FnMut(Diagnostic),
) -> Result<RouteObject, Box<Diagnostic>> {
    loop {
        let found = match typed::<T>(&value) {
            Ok(_) => return convert(value),
            Err(found) => found,
        };
        let Some(kind) = remove_filter(&mut value, found.path()) else {
            return Err(unreadable::<T>(value, &found));
        };
        let warning = error(None, "is not known: this filter is left out");
        let warning = warning.field(found.path().to_string(), Some(kind));
        left_out(Diagnostic { severity: Severity::Warning, ..warning });
    }
}

/// Removes the element of `filters` whose type the path names; returns that type.
fn remove_filter(value: &mut Value, path: &Path) -> Option<String> {
    let segments: Vec<_> = path.iter().collect();
    let is_named =
        |segment: &&Segment, name| matches!(segment, Segment::Map { key } if key == name);
    segments.last().filter(|last| is_named(last, "type"))?;
    let kind = at(value, segments.iter().copied())?.as_str()?.to_owned();
    let filters = segments.iter().position(|segment| is_named(segment, "filters"))?;
    let Some(Segment::Seq { index }) = segments.get(filters + 1) else { return None };
    let filters = at(value, segments.into_iter().take(filters + 1))?.as_array_mut()?;
    (*index < filters.len()).then(|| filters.remove(*index))?;
    Some(kind)
}

/// The value that a path leads to.
fn at<'a>(
    value: &'a mut Value,
    path: impl IntoIterator<Item = &'a Segment>,
) -> Option<&'a mut Value> {
    path.into_iter().try_fold(value, |value, segment| match segment {
        Segment::Seq { index } => value.get_mut(index),
        Segment::Map { key } => value.get_mut(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// `Service default/reviews`; `None` without a name.
fn name_of(object: &Map<String, Value>, kind: Kind) -> Option<ObjectRef> {
    let metadata = object.get("metadata")?.as_object()?;
    let name = text(metadata, "name").or_else(|| text(metadata, "generateName"))?;
    let namespace = text(metadata, "namespace").map(str::to_owned);
    Some(ObjectRef { kind, namespace, name: name.to_owned() })
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}
