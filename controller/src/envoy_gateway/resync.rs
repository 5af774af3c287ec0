//! Makes Envoy Gateway ask again when answers change.
//!
//! It asks when something changes that it follows itself, and the labels of Services are not among that. A changed
//! annotation of its own on a Gateway is. Two rules see to it that no answer stays that is not right any more:
//!
//! - A replica that was asked writes the annotation when its own answers change. So it does not matter in which order
//!   replicas learn of a change: if Envoy Gateway asks one that is late, that one makes it ask again.
//! - The replica that leads writes it at each change, and when it begins to lead: others that had answered may be gone.
//!
//! What remains is a replica that does not lead, answers by a table that is behind the leader's, and ends before it has
//! caught up. Its answers stay until the next change.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use mesh::Selector;
use serde_json::json;
use source::watch::{Connection, may_be_account};
use tokio::time::{sleep, timeout};

use super::{Counts, Hook};
use crate::lease::{Term, code, message};

/// The annotation: which table answers are made by, and when that was written. Envoy Gateway takes only annotations with
/// this prefix into what it compares.
pub const ANNOTATION: &str = "gateway.envoyproxy.io/ingress-waypoint-table";

/// How often what happens.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The least time between two writes.
    pub spacing: Duration,
    /// Before a write that failed is tried again.
    pub retry: Duration,
    /// For all that one write takes.
    pub timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            spacing: Duration::from_secs(1),
            retry: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

/// The Gateways that are annotated.
pub struct Gateways {
    /// The API server.
    pub connection: Arc<Connection>,
    /// What Envoy Gateway calls itself in `controllerName` of its GatewayClasses.
    pub controller_name: String,
    /// Which of its Gateways; all without it.
    pub selector: Option<Selector>,
    /// How often they are.
    pub timing: Timing,
}

impl Gateways {
    /// Follows the hook, without end. Without a term, there are no other replicas. Without `each_change`, only a replica
    /// that was asked writes.
    pub(super) async fn follow(
        self,
        hook: &Hook,
        mut term: Option<Term>,
        each_change: bool,
        counts: &Counts,
    ) {
        let mut published = hook.published();
        // The status, or 0, of the outage that was told.
        let mut lost = None;
        loop {
            let begins = async {
                match &mut term {
                    Some(term) => term.begins().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // It cannot fail: the hook is there.
                _ = published.changed() => {}
                () = begins => {}
            }
            let leads = term.as_ref().is_none_or(Term::leads);
            // Without a table nobody can be answered: that somebody asked is kept until there is one.
            if hook.version().is_none() || !(hook.was_asked() || leads && each_change) {
                continue;
            }
            // The newest, also if this one waits.
            while let Some(version) = hook.version() {
                published.mark_unchanged();
                if self.write(&version, counts, &mut lost).await {
                    sleep(self.timing.spacing).await;
                    break;
                }
                sleep(self.timing.retry).await;
            }
        }
    }

    /// Annotates the Gateways; whether that was done.
    async fn write(&self, version: &str, counts: &Counts, lost: &mut Option<u16>) -> bool {
        let patience = self.timing.timeout;
        let (client, number) = self.connection.client().await;
        let (code, problem) = match timeout(patience, self.annotate(client, version)).await {
            Ok(Ok(gateways)) => {
                counts.written.inc_by(gateways);
                *lost = None;
                tracing::info!(gateways, version, "made Envoy Gateway ask again");
                return true;
            }
            Ok(Err(error)) => (code(&error), message(error)),
            Err(_) => (0, format!("no answer within {} s", patience.as_secs_f64())),
        };
        counts.failed.inc();
        if may_be_account(code) {
            let _ = timeout(patience, self.connection.renew(number)).await;
        }
        if lost.replace(code) != Some(code) {
            let advice = if code == 403 {
                ": grant this account what `rbac --for controller --envoy-gateway` prints"
            } else {
                ""
            };
            let url = self.connection.url();
            tracing::warn!(
                "{url}: cannot annotate Gateways, so that Envoy Gateway does not ask again: {problem}{advice}"
            );
        }
        false
    }

    async fn annotate(&self, client: Client, version: &str) -> Result<u64, kube::Error> {
        let classes: HashSet<_> = list(&client, "GatewayClass")
            .await?
            .into_iter()
            .filter(|class| of_spec(class, "controllerName") == Some(&self.controller_name))
            .map(|class| class.name_any())
            .collect();
        // A value of its own each time: the same one would be no change.
        let value = format!("{version} {}", Timestamp::now());
        let patch = json!({"metadata": {"annotations": {ANNOTATION: value}}});
        let mut annotated = 0;
        for gateway in list(&client, "Gateway").await? {
            let class = of_spec(&gateway, "gatewayClassName");
            let is_selected = |it: &Selector| it.matches(gateway.labels());
            if !class.is_some_and(|class| classes.contains(class))
                || !self.selector.as_ref().is_none_or(is_selected)
            {
                continue;
            }
            let namespace = gateway.namespace().unwrap_or_default();
            let gateways: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), &namespace, &resource("Gateway"));
            let patched = gateways
                .patch_metadata(&gateway.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
                .await;
            match patched {
                Ok(_) => annotated += 1,
                // It was deleted meanwhile.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(annotated)
    }
}

/// A text of an object's `spec`.
fn of_spec<'a>(object: &'a DynamicObject, field: &str) -> Option<&'a str> {
    object.data.get("spec")?.get(field)?.as_str()
}

/// All objects of a kind of the Gateway API; none without its CRD. From the server's cache.
async fn list(client: &Client, kind: &str) -> Result<Vec<DynamicObject>, kube::Error> {
    let objects: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind));
    match objects.list(&ListParams::default().match_any()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn resource(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", kind))
}
