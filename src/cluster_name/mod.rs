//! What the name of an upstream cluster says about its service, by the grammar of each control
//! plane. A name is only read here; whether such a service exists is the policy's question.

mod cilium;
mod contour;
mod envoy_gateway;
mod istio;
mod kgateway;
mod named;

pub use named::Named;

/// Every reading of a name, in the order in which they are tried.
pub fn readings(cluster: &str) -> impl Iterator<Item = Named<'_>> {
    let grammars = [istio::read, kgateway::read, envoy_gateway::read, contour::read, cilium::read];
    grammars.into_iter().filter_map(move |read| read(cluster))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn service<'a>(namespace: &'a str, name: &'a str, port: u16) -> Option<Named<'a>> {
        Some(Named::Service { namespace, name, port })
    }

    fn host(host: &str, port: u16) -> Option<Named<'_>> {
        Some(Named::Host { host, port })
    }

    #[test]
    fn one_reading_each() {
        let entry = Named::ServiceEntry {
            namespace: "infra",
            name: "se-a",
            host: "se-a.example.com",
            port: 5000,
        };
        let cases = [
            (
                "outbound|9080||reviews.default.svc.cluster.local",
                host("reviews.default.svc.cluster.local", 9080),
            ),
            (
                "outbound|9080|v1|reviews.default.svc.cluster.local",
                host("reviews.default.svc.cluster.local", 9080),
            ),
            (
                "outbound_.9080_._.reviews.default.svc.cluster.local",
                host("reviews.default.svc.cluster.local", 9080),
            ),
            (
                "outbound_.9080_.v1_.reviews.default.svc.cluster.local",
                host("reviews.default.svc.cluster.local", 9080),
            ),
            ("outbound|443||*.example.com", host("*.example.com", 443)),
            ("outbound|8080||my-service.static", host("my-service.static", 8080)),
            ("inbound|9080||", None),
            ("inbound|9080||reviews.default.svc.cluster.local", None),
            ("outbound|0||reviews.default.svc.cluster.local", None),
            ("outbound|65536||reviews.default.svc.cluster.local", None),
            ("outbound|http||reviews.default.svc.cluster.local", None),
            ("outbound|9080|v1|", None),
            ("outbound|9080||a|b", None),
            ("outbound|9080", None),
            ("kube_default_reviews_9080", service("default", "reviews", 9080)),
            ("kube_default_reviews", None),
            ("kube_default_re_views_9080", None),
            ("kube__reviews_9080", None),
            ("kube_default_reviews_", None),
            ("istio-se_infra_se-a_se-a.example.com_5000", Some(entry)),
            ("istio-se_infra_se-a_5000", None),
            ("istio-se_infra_se-a__5000", None),
            ("service/default/service-1/8080/http", service("default", "service-1", 8080)),
            ("service/default/service-1/8080", service("default", "service-1", 8080)),
            ("service/default/service-1/8080/http/more", None),
            ("service/default/service-1/http", None),
            ("httproute/default/reviews/rule/0", None),
            ("httproute/default/reviews/rule/0/backend/1", None),
            ("default/backend/80/da39a3ee5e", service("default", "backend", 80)),
            ("default/backend/80/da39a3ee5", None),
            ("default/backend/80/da39a3ee5g", None),
            ("default/backend/80", None),
            ("default/cilium-gateway-my-gw/default:echo:8080", service("default", "echo", 8080)),
            ("default:echo:8080", service("default", "echo", 8080)),
            ("my-gw/default:echo:8080", None),
            ("a/b/c/default:echo:8080", None),
            ("default:echo:http", None),
            ("default:echo", None),
            ("default-httpbin-8000_gloo-system", None),
            ("waypoint_vip", None),
            ("", None),
            ("|||", None),
            ("outbound|9080||reviews\0", host("reviews\0", 9080)),
        ];
        for (name, expected) in cases {
            let found: Vec<_> = readings(name).collect();
            assert_eq!(found, Vec::from_iter(expected), "{name:?}");
        }
    }
}
