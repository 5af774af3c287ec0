//! Objects for the checks: the [`World`] holds what the rules read, [`Objects`] also what only the checks
//! read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use serde_json::Value;

use mesh::object::Kind;
use mesh::object::{GATEWAY_NAME, OWNING_NAME};
use mesh::object::{Object, Origin, RouteObject, Workload};
use mesh::route::Target;
use mesh::{Key, Labels, ObjectRef, Selector, World, newer, version};

const GATEWAY_CLASS: &str = "gateway.networking.k8s.io/gateway-class-name";
const OWNING_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";
pub(crate) const REDIRECTION: &str = "ambient.istio.io/redirection";

/// Everything that the checks look at.
#[derive(Debug, Default)]
pub struct Objects {
    /// What the mesh's rules read.
    pub world: World,
    /// Pods, and what makes them.
    pub(crate) pods: BTreeMap<ObjectRef, PodFacts>,
    pub(crate) traffic: BTreeMap<Key, Traffic>,
    pub(crate) destination_rules: BTreeMap<Key, DestinationRule>,
}

/// Settings of a Service about which endpoints are preferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub internal_traffic_policy: Option<String>,
    pub traffic_distribution: Option<String>,
}

/// What is kept of an Istio DestinationRule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DestinationRule {
    /// `metadata.resourceVersion`: first, so that the newer of two copies is the greater one.
    version: Option<u64>,
    /// What it is about.
    pub target: Target,
    /// The fields of its traffic policy.
    pub policies: Vec<String>,
    /// Whether it is only for some of the pods of its namespace.
    pub selects: bool,
}

/// What is kept of a pod, or of the pods that a workload makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PodFacts {
    /// `metadata.resourceVersion`: first, so that the newer of two copies is the greater one.
    version: Option<u64>,
    /// Where its own fields stand: empty for a pod, `spec.template.` for a workload.
    pub prefix: &'static str,
    /// The Gateway that it belongs to.
    pub gateway: Option<Key>,
    pub class: Option<String>,
    pub labels: Labels,
    /// The annotation of Istio's CNI.
    pub redirection: Option<String>,
    pub host_network: bool,
    pub phase: Option<String>,
}

impl From<World> for Objects {
    fn from(world: World) -> Self {
        Self { world, ..Self::default() }
    }
}

impl Objects {
    /// Adds an object; the order does not matter.
    pub fn add(&mut self, origin: Origin, object: Object) {
        let traffic = match &object {
            Object::Service(service) => Some((Key::of(&service.metadata), Traffic::new(service))),
            _ => None,
        };
        let rest = self.world.add(origin.clone(), object);
        if let Some((key, traffic)) = traffic {
            // Of two copies the world keeps one; the same is kept here.
            let kept = self.world.services.get(&key).is_some_and(|kept| kept.meta.origin == origin);
            match traffic {
                _ if !kept => {}
                Some(traffic) => drop(self.traffic.insert(key, traffic)),
                None => drop(self.traffic.remove(&key)),
            }
        }
        let facts = match rest {
            Some((_, Object::Pod(pod))) => PodFacts::of_pod(*pod),
            Some((_, Object::Workload(kind, workload))) => PodFacts::of_workload(kind, *workload),
            Some((_, Object::DestinationRule(rule))) => {
                let key = Key::of(&rule.metadata);
                let rule = DestinationRule::new(&key.namespace, &rule);
                return newer(&mut self.destination_rules, key, rule);
            }
            _ => return,
        };
        let (object, facts) = facts;
        newer(&mut self.pods, object, facts);
    }

    /// Whether a Gateway was read, or a pod of it.
    pub fn has_gateway(&self, key: &Key) -> bool {
        let mut pods = self.pods.values();
        self.world.gateways.contains_key(key) || pods.any(|pod| pod.gateway.as_ref() == Some(key))
    }

    /// Whether a pod with these labels was read.
    pub fn has_pod(&self, labels: &Selector) -> bool {
        self.pods.values().any(|pod| labels.matches(&pod.labels))
    }
}

impl Traffic {
    fn new(service: &Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        let internal_traffic_policy =
            spec.internal_traffic_policy.clone().filter(|policy| policy == "Local");
        let traffic_distribution = spec.traffic_distribution.clone();
        let any = internal_traffic_policy.is_some() || traffic_distribution.is_some();
        any.then_some(Self { internal_traffic_policy, traffic_distribution })
    }
}

impl DestinationRule {
    fn new(namespace: &str, rule: &RouteObject) -> Self {
        let get = |field| rule.spec.get(field).filter(|value| !value.is_null());
        let host = get("host").and_then(Value::as_str).unwrap_or_default();
        let policy = get("trafficPolicy").and_then(Value::as_object).into_iter().flatten();
        let policies = policy.filter(|(_, value)| !value.is_null()).map(|(field, _)| field.clone());
        Self {
            version: version(&rule.metadata),
            target: Target::of_host(host, namespace),
            policies: policies.collect(),
            selects: get("workloadSelector").is_some(),
        }
    }
}

impl PodFacts {
    fn of_pod(pod: Pod) -> (ObjectRef, Self) {
        let key = Key::of(&pod.metadata);
        let version = version(&pod.metadata);
        let host_network = pod.spec.and_then(|spec| spec.host_network);
        let facts = Self::new(&key.namespace, pod.metadata, host_network);
        let phase = pod.status.and_then(|status| status.phase);
        (ObjectRef::namespaced(Kind::Pod, &key), Self { version, phase, ..facts })
    }

    fn of_workload(kind: Kind, workload: Workload) -> (ObjectRef, Self) {
        let key = Key::of(&workload.metadata);
        let template = workload.spec.template;
        let meta = template.metadata.unwrap_or_default();
        let host_network = template.spec.and_then(|spec| spec.host_network);
        let facts = Self::new(&key.namespace, meta, host_network);
        // Such as the ReplicaSets that a Deployment keeps of its past.
        let phase = (workload.spec.replicas == Some(0)).then(|| "Succeeded".to_owned());
        let (prefix, version) = ("spec.template.", version(&workload.metadata));
        (ObjectRef::namespaced(kind, &key), Self { version, prefix, phase, ..facts })
    }

    fn new(namespace: &str, meta: ObjectMeta, host_network: Option<bool>) -> Self {
        let labels = meta.labels.unwrap_or_default();
        let key = |namespace: &str, name: &String| Key {
            namespace: namespace.to_owned(),
            name: name.clone(),
        };
        let gateway = match (labels.get(GATEWAY_NAME), labels.get(OWNING_NAME)) {
            (Some(name), _) => Some(key(namespace, name)),
            // Envoy Gateway runs them in a namespace of its own.
            (None, Some(name)) => {
                Some(key(labels.get(OWNING_NAMESPACE).map_or(namespace, String::as_str), name))
            }
            (None, None) => None,
        };
        Self {
            version: None,
            prefix: "",
            gateway,
            class: labels.get(GATEWAY_CLASS).cloned(),
            labels,
            redirection: meta.annotations.and_then(|mut all| all.remove(REDIRECTION)),
            host_network: host_network.unwrap_or(false),
            phase: None,
        }
    }

    /// Whether it no longer runs, or makes no pod.
    pub fn is_over(&self) -> bool {
        matches!(self.phase.as_deref(), Some("Succeeded" | "Failed"))
    }
}
