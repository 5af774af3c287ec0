//! The ingress: whether the mesh captures what its pods send, and what it serves besides HTTP.

use gateway_api::apis::standard::gateways::GatewayListenersTlsMode;

use crate::objects::{PodFacts, REDIRECTION};
use crate::scope::{Scope, reaches_waypoint};
use gateway::table::routes::is_istios;
use mesh::object::Kind;
use mesh::waypoint::is_waypoint_class;
use mesh::{Code, Diagnostic, Diagnostics, Key, ObjectRef, Resolved, Severity};

const MODE: &str = "istio.io/dataplane-mode";

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    // A gateway that sends nothing to a VIP need not be in the mesh.
    if !scope.services().any(reaches_waypoint) {
        return;
    }
    let pods = || scope.objects.pods.iter().filter(|(_, pod)| is_ingress(scope, pod));
    for (object, pod) in pods() {
        captured(scope, out, object, pod);
    }
    for key in scope.objects.world.gateways.keys().filter(|key| scope.is_ingress(key)) {
        listeners(scope, out, key);
        by_itself(scope, out, key);
        let selected = scope.options.pods.is_some();
        if !pods().any(|(_, pod)| selected || pod.gateway.as_ref() == Some(key)) {
            unread(out, key);
        }
    }
}

fn is_ingress(scope: &Scope<'_>, pod: &PodFacts) -> bool {
    let is_waypoint = pod.class.as_deref().is_some_and(is_waypoint_class);
    let selected =
        scope.options.pods.as_ref().is_some_and(|selector| selector.matches(&pod.labels));
    let of_gateway = pod.gateway.as_ref().is_some_and(|gateway| scope.is_ingress(gateway));
    !pod.is_over() && !is_waypoint && (selected || of_gateway)
}

/// What is found of one pod is found of all its siblings, so it is reported for the Gateway.
fn captured(scope: &Scope<'_>, out: &mut Diagnostics, itself: &ObjectRef, pod: &PodFacts) {
    let object = match &pod.gateway {
        Some(gateway) => ObjectRef::namespaced(Kind::Gateway, gateway),
        None => itself.clone(),
    };
    let namespace = itself.namespace.as_deref().unwrap_or_default();
    let causes = [on_host_network(&object, pod), uncaptured(scope, &object, namespace, pod)];
    for cause in causes.into_iter().flatten() {
        out.add(if object == *itself { cause } else { cause.affects(itself.to_string()) });
    }
}

fn on_host_network(object: &ObjectRef, pod: &PodFacts) -> Option<Diagnostic> {
    let message = "puts its pods on the host's network";
    let cause = Diagnostic::new(Severity::Error, Code::GatewayHostNetwork, object.clone(), message)
        .field(format!("{}spec.hostNetwork", pod.prefix), Some("true".to_owned()))
        .fix("run its pods without hostNetwork, behind a Service of type LoadBalancer or NodePort");
    pod.host_network.then_some(cause)
}

fn uncaptured(
    scope: &Scope<'_>,
    object: &ObjectRef,
    namespace: &str,
    pod: &PodFacts,
) -> Option<Diagnostic> {
    let cause =
        |code, message: &str| Diagnostic::new(Severity::Error, code, object.clone(), message);
    // The annotation shows what the CNI did; labels only show what it should do.
    let redirection = pod.redirection.as_deref();
    if redirection == Some("enabled") {
        return None;
    }
    let of_namespace =
        scope.objects.world.namespace(namespace).and_then(|meta| meta.labels.get(MODE));
    let own = pod.labels.get(MODE);
    let fix = match object.kind {
        Kind::Gateway => format!(
            "set {MODE}: ambient in spec.infrastructure.labels of the Gateway, which labels its pods"
        ),
        Kind::Pod => {
            format!("set {MODE}: ambient in the labels of the pod template that it is made from")
        }
        kind => format!("set {MODE}: ambient in spec.template.metadata.labels of the {kind}"),
    };
    let is_ambient = own.or(of_namespace).is_some_and(|mode| mode == "ambient");
    if is_ambient {
        let is_running = pod.phase.as_deref() == Some("Running");
        // The CNI does not redirect pods on the host's network.
        if pod.host_network || redirection.is_none() && !is_running {
            return None;
        }
        let message = "is not \"enabled\" on its pods, though they are labelled for ambient: the CNI did not redirect them";
        return Some(
            cause(Code::GatewayNotCaptured, message)
                .field(
                    format!("metadata.annotations[{REDIRECTION}]"),
                    redirection.map(str::to_owned),
                )
                .fix("see whether istio-cni runs on their nodes, and restart them"),
        );
    }
    let message = match (own, of_namespace) {
        (Some(_), _) => "keeps its pods out of the ambient mesh",
        (None, Some(_)) => "of the namespace keeps its pods out of the ambient mesh",
        (None, None) => {
            "is on neither its pods nor their namespace: they are not in the ambient mesh"
        }
    };
    let value = own.or(of_namespace).cloned();
    let field = format!("{}metadata.labels[{MODE}]", if own.is_some() { pod.prefix } else { "" });
    Some(cause(Code::GatewayNotCaptured, message).field(field, value).fix(fix))
}

/// Without this finding, silence would read as success.
fn unread(out: &mut Diagnostics, key: &Key) {
    let message = "names no pod, Deployment or DaemonSet that was read: whether the mesh captures its connections was not checked";
    let cause = Diagnostic::new(Severity::Info, Code::GatewayPodsNotRead, ObjectRef::namespaced(Kind::Gateway, key), message)
        .field("metadata.name", Some(key.name.clone()))
        .fix("give its pods along with the other objects (kubectl get pods -A -o yaml), or select them with --gateway-pods");
    out.add(cause);
}

/// Istio's own gateway needs no filter, but for what it does not do.
fn by_itself(scope: &Scope<'_>, out: &mut Diagnostics, key: &Key) {
    let world = &scope.objects.world;
    let Some(gateway) = world.gateways.get(key).filter(|it| is_istios(world, it)) else { return };
    let needs_filter = |it: &Resolved| {
        let entry = it.object.namespace.clone().and_then(|namespace| {
            world.entries.get(&Key { namespace, name: it.object.name.clone() })
        });
        let resolution = entry.and_then(|entry| entry.resolution.as_deref()).unwrap_or_default();
        it.required.is_some() || it.object.kind == Kind::ServiceEntry && resolution.contains("DNS")
    };
    if scope.asking().any(needs_filter) {
        return;
    }
    let message = "is a class of Istio's: from Istio 1.24 on, such a gateway sends requests for services with the label through their waypoints by itself";
    let cause = Diagnostic::new(
        Severity::Info,
        Code::FilterNotNeeded,
        ObjectRef::namespaced(Kind::Gateway, key),
        message,
    )
    .field("spec.gatewayClassName", Some(gateway.class.clone()))
    .fix("leave the filter out, unless you want a reason for each decision in log and metrics; see that ENABLE_INGRESS_WAYPOINT_ROUTING of istiod is not \"false\"");
    out.add(cause);
}

fn listeners(scope: &Scope<'_>, out: &mut Diagnostics, key: &Key) {
    let Some(gateway) = scope.objects.world.gateways.get(key) else { return };
    for (i, listener) in gateway.listeners.iter().enumerate() {
        let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_ref());
        let is_passthrough = mode == Some(&GatewayListenersTlsMode::Passthrough);
        let protocol = listener.protocol.as_str();
        if !matches!(protocol, "TCP" | "UDP" | "TLS") && !is_passthrough {
            continue;
        }
        let message =
            format!("is not HTTP: the filter does not cover listener {:?}", listener.name);
        let cause = Diagnostic::new(
            Severity::Info,
            Code::ListenerNotCovered,
            ObjectRef::namespaced(Kind::Gateway, key),
            message,
        )
        .field(format!("spec.listeners[{i}].protocol"), Some(protocol.to_owned()))
        .fix("do not attach TCPRoutes or TLSRoutes to it that lead to a service that asks for its waypoint");
        out.add(cause);
    }
}
