//! The filter, and what leads to the VIPs, put into all that Envoy Gateway has made for a proxy. This depends on no
//! service: the filter receives the services over xDS. By the services faults are judged.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use gateway::envoy::Form;
use gateway::envoy::xds_server::NodeName;
use gateway::weave::{self, Connection, Problems, Resources};
use mesh::object::Kind;
use mesh::{Diagnostic, ObjectRef, Severity};
use tonic::Status as Refusal;

use super::hook::Table;
use super::messages::{TranslateRequest, TranslateResponse};
use crate::node::Node;
use crate::notice::Notice;
use crate::replica::Notices;

/// What is put in, and for which Gateways.
#[derive(Debug)]
pub struct Filter {
    /// The form, with the controller as proxies reach it.
    pub form: Form,
    /// The Gateways that have the filter. Others stay as they are.
    pub nodes: Vec<Node>,
    /// Writes Events, if there is an API server for them.
    pub notices: Option<Notices>,
    /// What was logged last for each Gateway, so that it is logged once.
    told: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Filter {
    /// Without Events.
    pub fn new(form: Form, nodes: Vec<Node>) -> Self {
        Self { form, nodes, notices: None, told: Mutex::default() }
    }

    /// Everything that Envoy Gateway has made for a proxy, with the filter.
    ///
    /// # Errors
    /// Something keeps a required service from its waypoint, or it is not known whose proxy this is.
    pub(super) fn translate(
        &self,
        request: TranslateRequest,
        table: &Table,
    ) -> Result<TranslateResponse, Refusal> {
        let TranslateRequest { clusters, secrets, listeners, routes } = request;
        let owned = |list: Vec<Bytes>| list.into_iter().map(Vec::from).collect();
        let mut resources = Resources {
            clusters: owned(clusters),
            listeners: owned(listeners),
            routes: owned(routes),
        };
        let gateways = resources.gateways().map_err(|problems| refusal(&problems))?;
        if let Some(node) = self.nodes.iter().find(|node| gateways.contains(&node.name)) {
            if gateways.len() > 1 {
                let all: Vec<_> = gateways.into_iter().collect();
                return Err(Refusal::failed_precondition(format!(
                    "one proxy serves several Gateways ({}), and the filter is for one (mergeGateways)",
                    all.join(", ")
                )));
            }
            resources = self.put_in(resources, node, table)?;
        }
        let shared = |list: Vec<Vec<u8>>| list.into_iter().map(Bytes::from).collect();
        Ok(TranslateResponse {
            clusters: shared(resources.clusters),
            secrets,
            listeners: shared(resources.listeners),
            routes: shared(resources.routes),
        })
    }

    fn put_in(
        &self,
        resources: Resources,
        node: &Node,
        table: &Table,
    ) -> Result<Resources, Refusal> {
        let form = self.form.clone().for_node(NodeName(node.name.clone()));
        let outcome = table.policy_for(&form).and_then(|policy| {
            weave::translate(resources, table.policy.text(), policy, &form, Connection::Address)
        });
        match outcome {
            Ok((resources, report)) => {
                let warnings = report.diagnostics.iter();
                let warnings = warnings.filter(|it| it.severity == Severity::Warning);
                self.tell(node, warnings.map(weave::line).collect());
                Ok(resources)
            }
            Err(problems) => {
                self.tell(node, problems.lines());
                self.write_event(node, &problems);
                Err(refusal(&problems))
            }
        }
    }

    /// Logs what there is to know about a Gateway, if that is not what was logged last.
    fn tell(&self, node: &Node, lines: Vec<String>) {
        // A thread that panicked leaves nothing half done here.
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.get(&node.name).is_some_and(|known| *known == lines) {
            return;
        }
        for line in &lines {
            tracing::warn!(gateway = node.name, "{line}");
        }
        told.insert(node.name.clone(), lines);
    }

    fn write_event(&self, node: &Node, problems: &Problems) {
        let (Some(notices), Some(namespace)) = (&self.notices, &node.namespace) else { return };
        let name = node.name.rsplit('/').next().unwrap_or_default();
        let gateway = ObjectRef {
            kind: Kind::Gateway,
            namespace: Some(namespace.clone()),
            name: name.to_owned(),
        };
        let first: Option<&Diagnostic> = problems.0.first();
        if let Some(first) = first {
            notices.tell(Notice::refused(gateway, first.code, &problems.lines().join("; ")));
        }
    }
}

fn refusal(problems: &Problems) -> Refusal {
    // gRPC sends it as a header.
    const LONGEST: usize = 4000;
    let text = problems.lines().join("; ");
    let end = text.floor_char_boundary(LONGEST);
    Refusal::failed_precondition(text.get(..end).unwrap_or_default())
}
