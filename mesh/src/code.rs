//! The closed list of diagnostic codes, each with the reason why it matters.

use std::fmt;

macro_rules! codes {
    ($($code:ident $name:literal $why:literal)*) => {
        /// What kind of diagnostic it is. The names stay the same, so that programs can rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Code { $($code,)* }

        impl Code {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// `label-not-boolean`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// Why it matters.
            pub fn why(self) -> &'static str {
                match self { $(Self::$code => $why,)* }
            }
        }
    };
}

codes! {
    LabelNotBoolean "label-not-boolean"
        "A value that is no boolean counts as false: requests go past the waypoint and its policies, and nothing says so."
    LabelAsAnnotation "label-as-annotation"
        "The mesh reads labels: an annotation of the same name has no effect."
    LabelOnGateway "label-on-gateway"
        "Only Services, ServiceEntries and their Namespaces are asked for this label: elsewhere it has no effect."
    LabelOverridesNamespace "label-overrides-namespace"
        "Control planes differ here: Istio follows the service's own label, kgateway goes to the waypoint where either label says true."
    LabelWithoutWaypoint "label-without-waypoint"
        "The label sends requests to the service's waypoint, and there is none: they go to the endpoints (to no one, where the service is required)."
    WaypointItself "waypoint-itself"
        "A waypoint or an east-west gateway is never bound to a waypoint: the label has no effect on it."
    WaypointNotFound "waypoint-not-found"
        "A waypoint that does not exist has no policies: requests go to the endpoints (to no one, where the service is required), and not to the namespace's waypoint either."
    WaypointNotReady "waypoint-not-ready"
        "Until the waypoint has an address requests go to the endpoints (to no one, where the service is required)."
    WaypointNotForServices "waypoint-not-for-services"
        "A waypoint for workloads is passed by requests to a service's VIP, so they are not sent there."
    WaypointNotAllowed "waypoint-not-allowed"
        "A namespace that the waypoint allows no routes from has no waypoint: requests go to the endpoints (to no one, where the service is required)."
    RequiredNotLabelled "required-not-labelled"
        "Without the label nothing sends requests to the waypoint that the service requires: all of them are refused."
    RequiredValue "required-value"
        "What must be protected is not left open by a typo, so what is no boolean counts as true."
    RequiredAsLabel "required-as-label"
        "Only the annotation makes a service fail closed: without it requests go to the endpoints where they cannot go by way of the waypoint."
    RequiredWithoutVip "required-without-vip"
        "Without a VIP the waypoint that the service requires cannot be reached: all requests are refused."
    NoVip "no-vip"
        "The way to the waypoint is the service's VIP: without one requests go to the endpoints."
    HeadlessLabelled "headless-labelled"
        "A headless service has no VIP, and so no way to its waypoint: requests go to the endpoints."
    ExternalNameLabelled "external-name-labelled"
        "An ExternalName service is a DNS alias and not part of the mesh: it has neither a VIP nor a waypoint."
    EntryWithoutAddress "service-entry-without-address"
        "The way to the waypoint is an address of the ServiceEntry: without one requests go to the endpoints."
    EntryRange "service-entry-range"
        "A range cannot be dialled: it is not used as a VIP."
    AddressInvalid "address-invalid"
        "Istio leaves out a service with an address that it cannot read, and so does the filter."
    VipWrongFamily "vip-wrong-family"
        "Only addresses of the family that ipFamily asks for are dialled: without one requests go to the endpoints (to no one, where the service is required)."
    VipNotCaptured "vip-not-captured"
        "ztunnel captures no connection to such an address: on the node itself something else answers, and no waypoint sees it. The filter refuses it as a VIP."
    VipShared "vip-shared"
        "The mesh knows a service by its address: of two with the same one it takes either, with that one's waypoint and policies."
    EntryNamedAsService "service-entry-named-as-service"
        "Where a route's metadata names namespace and name alone, the Service is meant and the ServiceEntry never reached."
    HostClaimedTwice "host-claimed-twice"
        "Requests for a host are those of one object: the label, waypoint and VIP of the other have no effect on them."
    PortLeftOut "port-left-out"
        "The filter forwards HTTP: a port that speaks something else is not in its configuration, and requests to it go to the endpoints (to no one, where the service is required)."
    GatewayHostNetwork "gateway-host-network"
        "ztunnel captures connections in a pod's own network: what a pod on the host's network sends to a VIP goes to a pod of the service, past the waypoint."
    GatewayNotCaptured "gateway-not-captured"
        "Only connections that ztunnel captures get from the VIP to the waypoint: those of this gateway go to a pod of the service, past the waypoint."
    GatewayPodsNotRead "gateway-pods-not-read"
        "Only connections that ztunnel captures get from a VIP to the waypoint. Whether those of this gateway are captured can be seen at its pods alone."
    ListenerNotCovered "listener-not-covered"
        "The filter sees HTTP requests: what TCPRoutes and TLSRoutes lead on from this listener goes to the endpoints."
    ListenerLeftOut "listener-left-out"
        "Requests that come in at a listener without VIP routes cannot go to a waypoint."
    RoutesNotRead "routes-not-read"
        "Envoy Gateway names clusters after routes: without the routes these clusters belong to no service that the filter knows."
    SessionAffinity "session-affinity"
        "A VIP is one address, and the waypoint behind it chooses the pod: clients don't stick to one any more."
    TrafficPolicy "traffic-policy"
        "A VIP is one address: the gateway's preference for near endpoints has no meaning on the way to it."
    RouteSessionPersistence "route-session-persistence"
        "A VIP is one address, and the waypoint behind it chooses the pod: the gateway cannot keep a session at one."
    RouteRetry "route-retry"
        "A VIP is one address: a retry goes to the same one, so the gateway cannot avoid the pod that failed."
    RouteSettingLost "route-setting-lost"
        "The general twin routes that compile writes for Istio and Envoy Gateway have no settings of their own: on the way to a VIP a request is not changed, limited or retried as its route says."
    RouteCluster "route-cluster"
        "The filter tells the service by the upstream cluster. One that Envoy Gateway names after a route, and that cannot be attributed to one service, belongs to no service that it knows."
    RoutingTypeService "routing-type-service"
        "Envoy Gateway sends requests of such a rule to the Service's ClusterIP itself, where the mesh captures them and the waypoint applies, with the label or without. It goes to the endpoints of a headless Service."
    RouteMirror "route-mirror"
        "A mirrored request goes to the endpoints: the filter decides for the request itself, not for its copies."
    PolicyTwice "policy-twice"
        "Where the gateway's route keeps its settings (twins that patch makes, cluster-header), the waypoint then applies the service's: what stands in both is done twice to each request."
    AllowLoopback "allow-loopback"
        "No mesh captures a loopback address: what answers there is on the gateway itself. That is for tests where everything is on one machine."
    GivenTwice "given-twice"
        "Only one of the copies counts."
    NamespaceUnknown "namespace-unknown"
        "Labels of a Namespace hold for all its services: without the Namespace the answer may be another than the cluster's."
    ClusterDomain "cluster-domain"
        "The filter knows a Service by its host in the cluster's domain: by another domain all requests by Istio's cluster names go past their waypoints."
    NotInMesh "not-in-mesh"
        "The mesh captures nothing at the addresses of a service that it does not know: requests go to the endpoints (to no one, where the service is required)."
    MeshConfig "mesh-config"
        "discoverySelectors, serviceEntryVisibility and the default exportTo are those of one mesh configuration: by another one other services are in the mesh."
    WaypointCanary "waypoint-canary"
        "On the way to a VIP the mesh chooses between primary and canary waypoint, once for each connection; a canary that cannot be used leaves all of them to the primary one."
    WaypointBound "waypoint-bound"
        "Istio's condition says what it bound; not whether the service has a VIP, nor whether the ingress gets there."
    ObjectInvalid "object-invalid"
        "What the configuration cannot name is left out of it: its requests are those of an unknown service."
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
