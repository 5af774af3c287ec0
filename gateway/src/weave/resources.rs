//! The resources that a control plane serves to one proxy, as protobuf.

use std::collections::BTreeSet;

use ingress_waypoint::Policy;
use mesh::{Code, Diagnostic};

use super::apply;
use super::named_path::Names;
use super::report::{Problems, Report};
use super::route_resources::RouteResources;
use super::shape::{Connection, Shape};
use crate::envoy::Form;
use crate::envoy::protobuf::{Kind, decode, encode};
use crate::envoy::tree::{Map, Node};

/// All resources of one proxy, each an encoded message. Fields that are not known here are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// `envoy.config.cluster.v3.Cluster`
    pub clusters: Vec<Vec<u8>>,
    /// `envoy.config.listener.v3.Listener`
    pub listeners: Vec<Vec<u8>>,
    /// `envoy.config.route.v3.RouteConfiguration`
    pub routes: Vec<Vec<u8>>,
}

impl Resources {
    /// The Gateways whose routes these are, as `NAMESPACE/NAME`: Envoy Gateway writes them into the metadata of virtual
    /// hosts.
    ///
    /// # Errors
    /// What cannot be read, and virtual hosts that name no Gateway.
    pub fn gateways(&self) -> Result<BTreeSet<String>, Problems> {
        let mut problems = Problems::default();
        let routes = read(Kind::RouteConfiguration, &self.routes, &mut problems);
        let mut all = BTreeSet::new();
        for config in &routes {
            let hosts = config.get("virtual_hosts").and_then(Node::list).unwrap_or_default();
            let names: BTreeSet<_> = hosts.iter().flat_map(gateways_of).collect();
            if names.is_empty() && !hosts.is_empty() {
                let path = format!("routes[{:?}].virtual_hosts", config.name().unwrap_or_default());
                let reason = "name no Gateway in their metadata (envoy-gateway): it is not known \
                              whether the filter belongs there";
                problems.add(Code::ResourceUnreadable, &path, None, reason);
            }
            all.extend(names);
        }
        problems.or(all)
    }
}

fn gateways_of(host: &Node) -> impl Iterator<Item = String> {
    let metadata = host.get("metadata").and_then(|it| it.get("filter_metadata"));
    let metadata = metadata.and_then(|it| it.map()?.get_exactly("envoy-gateway"));
    let resources = metadata.and_then(|it| it.get("resources")?.list()).unwrap_or_default();
    resources.iter().filter_map(gateway_name)
}

fn gateway_name(resource: &Node) -> Option<String> {
    let text = |field| resource.get(field).and_then(Node::text);
    let is_gateway = text("kind") == Some("Gateway");
    Some(format!("{}/{}", text("namespace")?, text("name")?)).filter(|_| is_gateway)
}

/// Adds to the resources what [`apply`](super::apply) adds to a file, by the same rules. Nothing of an earlier call may
/// be in them. What needs no change comes back byte for byte.
///
/// `config` is the filter's configuration, from which `policy` was made: it may hold the services by which faults are judged.
///
/// # Errors
/// All problems; nothing is changed then.
pub fn translate(
    mut resources: Resources,
    config: &str,
    policy: &Policy,
    form: &Form,
    connection: Connection,
) -> Result<(Resources, Report), Problems> {
    let mut unreadable = Problems::default();
    let clusters = read(Kind::Cluster, &resources.clusters, &mut unreadable);
    let listeners = read(Kind::Listener, &resources.listeners, &mut unreadable);
    let routes = read(Kind::RouteConfiguration, &resources.routes, &mut unreadable);
    unreadable.or(())?;
    let mut root = tree(clusters, listeners.clone());
    let mut routes = RouteResources::new(routes);
    routes.put_in(&mut root);
    let outcome = apply::apply(&mut root, policy, config, form, Shape::Resources(connection));
    let names =
        Names { listeners: &listeners, clusters: items(&root, "clusters"), routes: &routes };
    let mut report = match outcome {
        Ok(report) => report,
        Err(problems) => return Err(Problems(renamed(problems.0, &names))),
    };
    report.diagnostics = renamed(report.diagnostics, &names);
    for touched in &mut report.connection_managers {
        touched.path = names.path(&touched.path);
    }
    let edited = routes.take_out(&mut root);
    let mut written = Problems::default();
    write(Kind::RouteConfiguration, edited, &mut resources.routes, &mut written);
    let known = resources.clusters.len();
    let added = items(&root, "clusters").iter().enumerate().skip(known);
    write(Kind::Cluster, added, &mut resources.clusters, &mut written);
    let changed = items(&root, "listeners").iter().enumerate();
    let changed = changed.filter(|(i, listener)| listeners.get(*i) != Some(*listener));
    write(Kind::Listener, changed, &mut resources.listeners, &mut written);
    written.or((resources, report))
}

/// The shape of a bootstrap, by which the rules find everything.
fn tree(clusters: Vec<Node>, listeners: Vec<Node>) -> Node {
    let lists = [("clusters", clusters), ("listeners", listeners)];
    let lists = lists.into_iter().filter(|(_, items)| !items.is_empty());
    let lists: Map = lists.map(|(field, items)| (field.to_owned(), Node::List(items))).collect();
    Node::Map([("static_resources".to_owned(), Node::Map(lists))].into_iter().collect())
}

fn items<'n>(root: &'n Node, field: &str) -> &'n [Node] {
    let items = root.get("static_resources").and_then(|resources| resources.get(field)?.list());
    items.unwrap_or_default()
}

fn read(kind: Kind, messages: &[Vec<u8>], problems: &mut Problems) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(messages.len());
    for (i, bytes) in messages.iter().enumerate() {
        match decode(kind, bytes) {
            Ok(node) => nodes.push(node),
            Err(error) => {
                let path = format!("{}[{i}]", field_of(kind));
                problems.add(Code::ResourceUnreadable, &path, None, error.to_string());
            }
        }
    }
    nodes
}

fn write<'n>(
    kind: Kind,
    nodes: impl IntoIterator<Item = (usize, &'n Node)>,
    messages: &mut Vec<Vec<u8>>,
    problems: &mut Problems,
) {
    for (i, node) in nodes {
        match encode(kind, node) {
            Ok(bytes) => match messages.get_mut(i) {
                Some(message) => *message = bytes,
                None => messages.push(bytes),
            },
            Err(error) => {
                let path = format!("{}[{:?}]", field_of(kind), node.name().unwrap_or_default());
                let reason = format!("cannot be written: {error}");
                problems.add(Code::ResourceUnreadable, &path, None, reason);
            }
        }
    }
}

fn field_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Cluster => "clusters",
        Kind::Listener => "listeners",
        Kind::RouteConfiguration => "routes",
    }
}

/// The diagnostics with names in their paths, each once.
fn renamed(diagnostics: Vec<Diagnostic>, names: &Names<'_>) -> Vec<Diagnostic> {
    let mut renamed: Vec<Diagnostic> = Vec::new();
    for mut diagnostic in diagnostics {
        diagnostic.field = diagnostic.field.map(|path| names.path(&path));
        if !renamed.contains(&diagnostic) {
            renamed.push(diagnostic);
        }
    }
    renamed
}
