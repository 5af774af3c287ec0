//! The table for people: a row for each service and port, with where each value came from and the filter's decision.

use std::collections::{HashMap, HashSet};

use ingress_waypoint::{Outcome, Protocol, Question};
use serde::{Serialize, Serializer};

use crate::report::{self, Format, Table, Tone, decision_and_reason};
use gateway::table::Compiled;
use mesh::label::Place;
use mesh::object::Kind;
use mesh::waypoint::{Binding, Unusable};
use mesh::{Outside, Resolved};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// A Service or a ServiceEntry.
    pub kind: Kind,
    /// `namespace/name`.
    pub service: String,
    /// Its host names.
    pub hosts: Vec<String>,
    /// The addresses.
    pub vips: Vec<String>,
    /// The service port.
    pub port: Option<i64>,
    /// Absent where the port is left out.
    #[serde(serialize_with = "protocol")]
    pub protocol: Option<Protocol>,
    /// The value of the label `istio.io/ingress-use-waypoint`.
    pub label: Option<String>,
    /// The object that has it: `object` or `namespace`.
    pub label_from: Option<Place>,
    /// Whether the value is a boolean.
    pub label_valid: bool,
    /// `namespace/name` of the waypoint that a label names.
    pub waypoint: Option<String>,
    /// `ready`, or why the waypoint cannot be used.
    pub waypoint_state: WaypointState,
    /// Istio's condition `istio.io/WaypointBound`, if the object has it. It decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waypoint_bound: Option<String>,
    /// Whether the service requires its waypoint.
    pub required: bool,
    /// The filter's decision and its reason: for several addresses, that of the first.
    #[serde(flatten, serialize_with = "decision_and_reason")]
    pub outcome: Outcome,
    /// What the other columns do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn protocol<S: Serializer>(protocol: &Option<Protocol>, serializer: S) -> Result<S::Ok, S::Error> {
    protocol.map(Protocol::as_str).serialize(serializer)
}

/// Whether a waypoint can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum WaypointState {
    /// No label names one.
    Unbound,
    /// A label says `none`.
    None,
    /// The service is a waypoint.
    IsWaypoint,
    /// It can be used.
    Ready,
    /// It does not exist.
    Missing,
    /// Its namespace is not part of the mesh.
    NotSelected,
    /// It is in another namespace, which its class does not allow.
    OtherNamespace,
    /// It is not ready.
    NotReady,
    /// It does not allow routes of the service's namespace.
    NotAllowed,
    /// It is for workloads alone, or for nothing.
    NotForServices,
}

impl WaypointState {
    /// The state in one to four words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unbound => "unbound",
            Self::None => "none",
            Self::IsWaypoint => "is one itself",
            Self::Ready => "ready",
            Self::Missing => "missing",
            Self::NotSelected => "not in the mesh",
            Self::OtherNamespace => "in another namespace",
            Self::NotReady => "not ready",
            Self::NotAllowed => "namespace not allowed",
            Self::NotForServices => "not for services",
        }
    }
}

impl From<WaypointState> for &'static str {
    fn from(state: WaypointState) -> Self {
        state.as_str()
    }
}

impl From<&Binding> for WaypointState {
    fn from(binding: &Binding) -> Self {
        match binding {
            Binding::Unlabelled => Self::Unbound,
            Binding::None(_) => Self::None,
            Binding::Managed(_) => Self::IsWaypoint,
            Binding::Ready(_) => Self::Ready,
            Binding::Unusable(_, Unusable::Missing) => Self::Missing,
            Binding::Unusable(_, Unusable::NotSelected) => Self::NotSelected,
            Binding::Unusable(_, Unusable::OtherNamespace) => Self::OtherNamespace,
            Binding::Unusable(_, Unusable::NotReady) => Self::NotReady,
            Binding::Unusable(_, Unusable::NotAllowed(_)) => Self::NotAllowed,
            Binding::Unusable(_, Unusable::NotForServices(_)) => Self::NotForServices,
        }
    }
}

/// The rows, in the order of the resolution. A ServiceEntry is resolved once for each set of addresses, and has one row
/// for all hosts of a port that are decided alike.
pub fn rows(compiled: &Compiled) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for object in compiled.resolution.services.chunk_by(|a, b| a.object == b.object) {
        let mut places = HashMap::new();
        for row in object.iter().flat_map(|resolved| of(compiled, resolved)) {
            let key = (row.port, row.protocol, row.outcome.index(), row.note.clone());
            let place = *places.entry(key).or_insert(rows.len());
            match rows.get_mut(place) {
                Some(same) => {
                    same.hosts.extend(row.hosts);
                    same.vips.extend(row.vips);
                }
                None => rows.push(row),
            }
        }
    }
    for row in &mut rows {
        let mut seen = HashSet::new();
        row.vips.retain(|vip| seen.insert(vip.clone()));
    }
    rows
}

fn of<'a>(compiled: &'a Compiled, resolved: &'a Resolved) -> impl Iterator<Item = Row> + 'a {
    let kept = resolved
        .ports
        .kept
        .iter()
        .map(|kept| (Some(i64::from(kept.port.number)), Some(kept.port.protocol), None));
    let left_out = resolved.ports.left_out.iter().map(|port| {
        let value = port.from.value.as_deref().unwrap_or_default();
        (Some(port.number), None, Some(format!("{value:?} {}", port.why)))
    });
    let mut ports: Vec<_> = kept.chain(left_out).collect();
    if ports.is_empty() {
        ports.push((None, None, Some("no port".to_owned())));
    }
    ports.into_iter().map(move |(port, protocol, port_note)| {
        let asked = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(1);
        let cluster = resolved.cluster(asked);
        let outcome = compiled.policy.decide(Question::Cluster(cluster.as_bytes())).outcome;
        let routed = routed(compiled, resolved, port);
        let alias = resolved.external_name.as_ref().map(|name| format!("ExternalName {name:?}"));
        Row {
            kind: resolved.object.kind,
            service: name(resolved),
            hosts: resolved.hosts.clone(),
            vips: resolved.vips.addresses.iter().map(ToString::to_string).collect(),
            port,
            protocol,
            label: resolved.label.value().map(|value| value.text.clone()),
            label_from: resolved.label.from,
            label_valid: resolved.label.value().is_none_or(|value| value.parsed.is_some()),
            waypoint: resolved.binding.reference().map(|reference| reference.gateway.to_string()),
            waypoint_state: (&resolved.binding).into(),
            required: resolved.required.is_some(),
            outcome,
            waypoint_bound: resolved.waypoint_bound.as_ref().map(|it| it.status.clone()),
            note: alias.or_else(|| standing(resolved)).or(port_note).or(routed),
        }
    })
}

/// The first rule that Envoy Gateway sends to the ClusterIP itself, and the number of the others.
fn routed(compiled: &Compiled, resolved: &Resolved, port: Option<i64>) -> Option<String> {
    let mut routed = compiled
        .routed
        .iter()
        .filter(|routed| routed.service == resolved.object && routed.port == port);
    let first = routed.next()?;
    Some(match routed.count() {
        0 => first.short(),
        more => format!("{} (and {more} more like this)", first.short()),
    })
}

/// Why the mesh does not send requests for its hosts to it.
fn standing(resolved: &Resolved) -> Option<String> {
    let others = resolved.shadowed.first();
    let is = if resolved.is_ambiguous { "conflicts with" } else { "is a host of" };
    let others = others.map(|(host, other)| match resolved.shadowed.len() {
        1 => format!("{host} {is} {other}"),
        several => format!("{host} {is} {other}, +{}", several - 1),
    });
    match resolved.outside {
        Some(Outside::HostTaken) | None => others,
        Some(Outside::NotSelected) => Some("its namespace is not selected".to_owned()),
        Some(Outside::LeftOut) => Some("left out by --namespace-selector".to_owned()),
        Some(Outside::NotVisible) => Some("its visibility is NONE".to_owned()),
        Some(Outside::OtherNamespace) => Some("visible only in its namespace".to_owned()),
    }
}

fn name(resolved: &Resolved) -> String {
    let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
    format!("{namespace}/{}", resolved.object.name)
}

/// Prints the table.
///
/// # Errors
/// If standard output cannot be written.
pub fn print(compiled: &Compiled, format: Format) -> anyhow::Result<()> {
    let rows = rows(compiled);
    if format == Format::Json {
        return report::json(&rows);
    }
    let titles = ["SERVICE", "VIP", "PORT", "LABEL", "WAYPOINT", "RESULT", "REASON"];
    let mut table = Table::new(titles);
    for row in &rows {
        table.row(cells(row));
    }
    report::text(&table.page())
}

fn cells(row: &Row) -> [(String, Option<Tone>); 7] {
    let service = match (row.kind, row.hosts.first()) {
        (Kind::ServiceEntry, Some(host)) if row.hosts.len() > 1 => {
            format!("{} ({host} +{})", row.service, row.hosts.len() - 1)
        }
        (Kind::ServiceEntry, Some(host)) => format!("{} ({host})", row.service),
        _ => row.service.clone(),
    };
    let port = match (row.port, row.protocol) {
        (Some(port), Some(Protocol::Http2)) => format!("{port} http2"),
        (Some(port), _) => port.to_string(),
        (None, _) => "-".to_owned(),
    };
    let waypoint = match &row.waypoint {
        Some(waypoint) => {
            let bound = row.waypoint_bound.as_ref();
            let hint = bound.map(|status| format!(", WaypointBound {status}"));
            format!("{waypoint} ({}{})", row.waypoint_state.as_str(), hint.unwrap_or_default())
        }
        None if row.waypoint_state == WaypointState::Unbound => "-".to_owned(),
        None => row.waypoint_state.as_str().to_owned(),
    };
    let required = if row.required { ", required" } else { "" };
    let (decision, reason) = row.outcome.label();
    let reason = match &row.note {
        Some(note) => format!("{reason}: {note}{required}"),
        None => format!("{reason}{required}"),
    };
    let vips = match row.vips.as_slice() {
        [] => "-".to_owned(),
        // Those of a dual-stack service.
        [_] | [_, _] => row.vips.join(","),
        [first, more @ ..] => format!("{first} +{}", more.len()),
    };
    let decision = (decision.to_owned(), Some(Tone::of_decision(row.outcome)));
    let label = label(row);
    let [service, vips, port, label, waypoint, reason] =
        [service, vips, port, label, waypoint, reason].map(|text| (text, None));
    [service, vips, port, label, waypoint, decision, reason]
}

fn label(row: &Row) -> String {
    let Some(text) = &row.label else { return "-".to_owned() };
    let whose = match row.label_from {
        Some(Place::Namespace) => "namespace",
        _ => "own",
    };
    match row.label_valid {
        true => format!("{text} ({whose})"),
        false => format!("{text:?} is not a boolean ({whose})"),
    }
}
