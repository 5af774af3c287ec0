//! What the rules noticed themselves, as findings.

use crate::code::Code;
use crate::finding::{Cause, Findings};
use crate::scope::Scope;
use gateway::table::route_clusters::ROUTE_CLUSTER;
use mesh::{Note, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Findings) {
    for (object, places) in scope.objects.world.conflicts() {
        let message =
            format!("is given more than once and not the same each time: {}", places.join("; "));
        let cause = Cause::new(Code::GivenTwice, object.clone(), message)
            .field("metadata.name", Some(object.name.clone()))
            .fix("give one copy of it; of several the one with the highest resourceVersion counts");
        out.add(Severity::Warning, cause);
    }
    for note in &scope.compiled.resolution.notes {
        // That one counts is nothing to look at.
        if note.rule == "mesh-config" && note.severity == Severity::Info {
            continue;
        }
        if let Some((code, fix)) = meaning(note) {
            let cause = Cause::new(code, note.object.clone(), note.message.clone())
                .field(note.field.clone(), note.value.clone())
                .fix(fix);
            out.add(note.severity, cause);
        }
    }
}

fn meaning(note: &Note) -> Option<(Code, &'static str)> {
    Some(match note.rule {
        // Found by the checks themselves, with more to say about them.
        "mesh-config" => (
            Code::MeshConfig,
            "nothing, where the other one is that of the mesh; else name this one (--mesh-config)",
        ),
        "waypoint-canary" if note.severity == Severity::Info => {
            (Code::WaypointCanary, "nothing, where a split by connection will do")
        }
        "waypoint-canary" => {
            (Code::WaypointCanary, "correct the field, or take the canary's labels off")
        }
        "waypoint-bound" => (
            Code::WaypointBound,
            "nothing: ingress-waypoint explain says what decides, and what the filter does",
        ),
        "required-external-name"
        | "required-not-labelled"
        | "host-of-required"
        | "host-taken"
        | "vip-of-required"
        | "given-twice"
        | "not-in-mesh"
        | "visible-in-namespace" => return None,
        "namespace-unknown" => (
            Code::NamespaceUnknown,
            "give the Namespace along with the other objects (kubectl get namespaces -o yaml)",
        ),
        ROUTE_CLUSTER => (
            Code::RouteCluster,
            "give each service and port a rule of its own; or refuse what is of no known service (unknownService: reject)",
        ),
        "cluster-domain" => (Code::ClusterDomain, "give that domain (--cluster-domain)"),
        "required-as-label" => (Code::RequiredAsLabel, "make it an annotation"),
        "required-value" => (Code::RequiredValue, "write \"true\" or \"false\""),
        _ => (Code::ObjectInvalid, "correct the field"),
    })
}
