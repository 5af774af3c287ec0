//! The ingress: whether the mesh captures what its pods send, and what it serves beside HTTP.

use gateway_api::apis::standard::gateways::GatewayListenersTlsMode;

use super::objects::{PodFacts, REDIRECTION};
use super::scope::{Scope, reaches_waypoint};
use super::{Cause, Code, Findings};
use crate::mesh::{Key, ObjectRef, Severity};

const MODE: &str = "istio.io/dataplane-mode";

pub(super) fn check(scope: &Scope<'_>, out: &mut Findings) {
    // A gateway that sends nothing to a VIP may be where it likes.
    if !scope.services().any(reaches_waypoint) {
        return;
    }
    for (key, pod) in &scope.objects.pods {
        if is_ingress(scope, pod) {
            captured(scope, out, key, pod);
        }
    }
    for key in scope.objects.world.gateways.keys().filter(|key| scope.is_ingress(key)) {
        listeners(scope, out, key);
    }
}

fn is_ingress(scope: &Scope<'_>, pod: &PodFacts) -> bool {
    let is_over = matches!(pod.phase.as_deref(), Some("Succeeded" | "Failed"));
    let is_waypoint = pod.class.as_deref().is_some_and(|class| class.ends_with("waypoint"));
    let selected =
        scope.options.pods.as_ref().is_some_and(|selector| selector.matches(&pod.labels));
    let of_gateway = pod.gateway.as_ref().is_some_and(|gateway| scope.is_ingress(gateway));
    !is_over && !is_waypoint && (selected || of_gateway)
}

/// What is found of one pod is found of all its siblings, so it is said of the Gateway.
fn captured(scope: &Scope<'_>, out: &mut Findings, key: &Key, pod: &PodFacts) {
    let itself = ObjectRef::namespaced("Pod", key);
    let object = match &pod.gateway {
        Some(gateway) => ObjectRef::namespaced("Gateway", gateway),
        None => itself.clone(),
    };
    let Some(cause) = uncaptured(scope, &object, key, pod) else { return };
    if object == itself {
        out.add(Severity::Error, cause);
    } else {
        out.add_for(Severity::Error, cause, itself.to_string());
    }
}

fn uncaptured(scope: &Scope<'_>, object: &ObjectRef, key: &Key, pod: &PodFacts) -> Option<Cause> {
    let cause = |code, says: &str| Cause::new(code, object.clone(), says);
    if pod.host_network {
        let says = "puts its pods on the host's network";
        return Some(
            cause(Code::GatewayHostNetwork, says)
                .field("spec.hostNetwork", Some("true".to_owned()))
                .mend("run its pods without hostNetwork, behind a Service of type LoadBalancer or NodePort"),
        );
    }
    // The CNI says what it did; labels only say what it is to do.
    let redirection = pod.redirection.as_deref();
    if redirection == Some("enabled") {
        return None;
    }
    let namespace = scope.objects.world.namespace(&key.namespace);
    let of_namespace = namespace.and_then(|meta| meta.labels.get(MODE));
    let own = pod.labels.get(MODE);
    let enrol = format!(
        "label its pods {MODE}=ambient (spec.infrastructure.labels of the Gateway), or kubectl label namespace {} {MODE}=ambient",
        key.namespace
    );
    let is_ambient = own.or(of_namespace).is_some_and(|mode| mode == "ambient");
    if is_ambient {
        let is_running = pod.phase.as_deref() == Some("Running");
        if redirection.is_none() && !is_running {
            return None;
        }
        let says = "is not \"enabled\" on its pods, though they are labelled for ambient: the CNI did not redirect them";
        return Some(
            cause(Code::GatewayNotCaptured, says)
                .field(
                    format!("metadata.annotations[{REDIRECTION}]"),
                    redirection.map(str::to_owned),
                )
                .mend("see whether istio-cni runs on their nodes, and start them anew"),
        );
    }
    let says = match (own, of_namespace) {
        (Some(_), _) => "keeps its pods out of the ambient mesh",
        (None, Some(_)) => "of the namespace keeps its pods out of the ambient mesh",
        (None, None) => {
            "is on neither its pods nor their namespace: they are not in the ambient mesh"
        }
    };
    let value = own.or(of_namespace).cloned();
    let cause = cause(Code::GatewayNotCaptured, says).label(MODE, value).mend(enrol);
    Some(cause)
}

fn listeners(scope: &Scope<'_>, out: &mut Findings, key: &Key) {
    let Some(gateway) = scope.objects.world.gateways.get(key) else { return };
    for (i, listener) in gateway.listeners.iter().enumerate() {
        let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_ref());
        let is_passthrough = mode == Some(&GatewayListenersTlsMode::Passthrough);
        let protocol = listener.protocol.as_str();
        if !matches!(protocol, "TCP" | "UDP" | "TLS") && !is_passthrough {
            continue;
        }
        let says = format!("is no HTTP: listener {:?} is not covered by the filter", listener.name);
        let cause = Cause::new(
            Code::ListenerNotCovered,
            ObjectRef::namespaced("Gateway", key),
            says,
        )
        .field(format!("spec.listeners[{i}].protocol"), Some(protocol.to_owned()))
        .mend("let no TCPRoute or TLSRoute of it lead to a service that asks for its waypoint");
        out.add(Severity::Info, cause);
    }
}
