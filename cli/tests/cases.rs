//! Inputs that were misread or misreported once, each with what is right, through the commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use command::{run, text, value};
use serde_json::Value;

fn file(name: &str) -> String {
    format!("testdata/cli/cases/{name}.yaml")
}

/// The findings of `check`.
fn check(name: &str, more: &[&str]) -> Vec<Value> {
    let file = file(name);
    let done = run(&[&["check", "-f", &file, "--format", "json"][..], more].concat());
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

/// The one finding about an object: these fields of it.
fn one<const N: usize>(findings: &[Value], name: &str, fields: [&str; N]) -> [String; N] {
    let about: Vec<_> = findings.iter().filter(|f| f["object"]["name"] == name).collect();
    let [finding] = about[..] else { panic!("{name}: {about:#?}") };
    fields.map(|field| finding[field].as_str().unwrap_or("-").to_owned())
}

#[test]
fn allowed_routes_messages() {
    let findings = check("allowed-routes-messages", &[]);
    let of = |name: &str| one(&findings, name, ["field", "value", "message", "fix"]);
    let from = "spec.listeners[0].allowedRoutes.namespaces.from";
    let [field, value, message, fix] = of("selects-none");
    assert_eq!((field.as_str(), value.as_str()), (from, "Selector"));
    assert_eq!(
        message,
        "allows routes from no namespace, because the selector is absent or invalid: web is not allowed"
    );
    assert_eq!(
        fix,
        "give spec.listeners[0].allowedRoutes.namespaces a selector that matches the labels of namespace web"
    );
    for name in ["not-hbone", "no-listener"] {
        let [field, _, message, fix] = of(name);
        assert_eq!(field, "spec.listeners");
        assert_eq!(
            message,
            "allows routes from its own namespace infra, because no listener has the protocol HBONE and the port 15008: web is not allowed"
        );
        let free = if name == "not-hbone" { "hbone" } else { "mesh" };
        assert_eq!(
            fix,
            format!(
                "add a listener: {{name: {free}, port: 15008, protocol: HBONE, allowedRoutes: {{namespaces: {{from: All}}}}}}"
            )
        );
    }
    let [field, value, message, fix] = of("absent");
    assert_eq!((field.as_str(), value.as_str()), (from, "-"));
    assert_eq!(
        message,
        "allows routes from its own namespace infra, because the field is absent: web is not allowed"
    );
    assert!(fix.starts_with("set spec.listeners[0].allowedRoutes.namespaces.from to All"), "{fix}");

    // compile and explain have the same words.
    let done = run(&["compile", "-f", &file("allowed-routes-messages"), "-o", "table"]);
    let said = command::stderr(&done);
    let of_both = |line: &&str| line.contains("not-hbone") || line.contains("no-listener");
    for line in said.lines().filter(of_both) {
        assert!(line.contains("no listener has the protocol HBONE and the port 15008"), "{line}");
        assert!(!line.contains("field is absent"), "{line}");
    }
    let explained = command::value(&["explain", "-f", &file("allowed-routes-messages"), "b"]);
    let steps = explained[0]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["rule"] == "allowed-routes").unwrap();
    assert!(step["change"].as_str().unwrap().starts_with("add a listener: {name: hbone"), "{step}");
}

#[test]
fn fixes_that_mislead() {
    let findings = check("fixes-that-mislead", &[]);
    let command = |name: &str, labels: &str| {
        format!("kubectl label -n two service {name} {labels} --overwrite")
    };
    let use_waypoint = |name: &str| format!("istio.io/use-waypoint={name}");
    let both = |name: &str| format!("{} istio.io/use-waypoint-namespace=two", use_waypoint(name));
    let asks = "istio.io/ingress-use-waypoint=true".to_owned();
    for (name, code, labels) in [
        ("annotated", "label-as-annotation", use_waypoint("second")),
        ("annotated-slash", "label-as-annotation", both("second")),
        ("asks-by-annotation", "", asks.clone()),
        ("slash", "waypoint-not-found", both("first")),
        ("capital", "", format!("{} istio.io/ingress-use-waypoint-", use_waypoint("none"))),
        ("elsewhere", "", format!("{} istio.io/use-waypoint-namespace-", use_waypoint("first"))),
        ("by-name", "", asks),
    ] {
        let [found, fix] = one(&findings, name, ["code", "fix"]);
        assert!(code.is_empty() || found == code, "{name}: {found}");
        assert_eq!(fix, command(name, &labels));
    }
    for name in ["blank", "unnamed", "injects"] {
        let labels = command(name, &use_waypoint("NAME"));
        let expected = format!("{labels}, with one of first, second as NAME");
        assert_eq!(one(&findings, name, ["fix"]), [expected]);
    }
    // What no cluster takes gets into no command.
    let [fix] = one(&findings, "x; reboot", ["fix"]);
    assert!(!fix.contains("kubectl") && fix.contains("metadata.name"), "{fix}");
    for finding in &findings {
        let fix = finding["fix"].as_str().unwrap();
        assert!(!fix.contains("reboot") && !fix.contains("$("), "{fix}");
        assert!(!fix.contains("use-waypoint=two/") && !fix.contains("--name ;"), "{fix}");
    }
}

#[test]
fn shared_address_names_the_wrong_field() {
    let findings = check("shared-address-names-the-wrong-field", &[]);
    let shared = findings.iter().filter(|finding| finding["code"] == "vip-shared");
    let shared: Vec<_> = shared
        .map(|f| ["field", "value"].map(|field| f[field].as_str().unwrap().to_owned()))
        .collect();
    let expected = [
        ["spec.clusterIP", "10.96.0.1"],
        ["status.addresses", "240.240.0.1"],
        ["spec.addresses", "10.1.0.3"],
    ];
    assert_eq!(shared, expected.map(|pair| pair.map(str::to_owned)));
    let why = |name: &str| {
        let name = format!("ServiceEntry ext/{name}");
        let found = findings.iter().find(|f| {
            f["affects"].as_array().is_some_and(|all| all.iter().any(|one| *one == name))
                && f["code"] != "vip-shared"
        });
        let found = found.unwrap_or_else(|| panic!("{name}"));
        (found["message"].as_str().unwrap().to_owned(), found["fix"].as_str().unwrap().to_owned())
    };
    let (message, fix) = why("opted-out");
    assert!(
        message.contains("metadata.labels[networking.istio.io/enable-autoallocate-ip] forbids"),
        "{message}"
    );
    assert!(fix.contains("enable-autoallocate-ip") && !fix.contains("resolution"), "{fix}");
    let (message, fix) = why("wildcard");
    assert!(message.contains("spec.resolution allows"), "{message}");
    assert!(fix.contains("spec.addresses") && !fix.contains("NONE"), "{fix}");
    let (_, fix) = why("waits");
    assert!(fix.contains("wait") && !fix.contains("NONE"), "{fix}");
}

#[test]
fn gateway_pods_as_a_deployment() {
    let parts = |f: &Value| [f["code"].clone(), f["field"].clone(), f["affects"][0].clone()];
    for more in [&[][..], &["--gateway", "app/public"]] {
        let findings = check("gateway-pods-as-a-deployment", more);
        let found: Vec<_> = findings.iter().map(parts).collect();
        let field = "spec.template.metadata.labels[istio.io/dataplane-mode]";
        let deployment = "Deployment envoy-gateway-system/envoy-public";
        assert_eq!(found, [["gateway-not-captured", field, deployment]]);
        let findings = check("gateway-pods-as-a-daemonset", more);
        let found: Vec<_> = findings.iter().map(parts).collect();
        let daemon_set = "DaemonSet envoy-gateway-system/envoy-public";
        let field = "spec.template.spec.hostNetwork";
        // Both have to be changed.
        assert_eq!(found[0], ["gateway-host-network", field, daemon_set]);
        assert_eq!((found.len(), &found[1][0]), (2, &"gateway-not-captured".into()));
    }
}

#[test]
fn routing_type_service() {
    let name = "routing-type-service";
    let findings = check(name, &[]);
    let found: Vec<_> = findings.iter().filter(|f| f["code"] == name).collect();
    assert_eq!(found.len(), 1, "{findings:#?}");
    assert_eq!([&found[0]["severity"], &found[0]["object"]["name"]], ["info", "route"]);
    let pay = "HTTPRoute shop/shop rule/1 (pay) leads to the ClusterIP of Service shop/pay, whatever its label says, \
               and so through its waypoint shop/waypoint: routingType: Service of BackendTrafficPolicy shop/route";
    let headless = "HTTPRoute shop/shop rule/2 leads to the endpoints of Service shop/headless, which is headless: \
                    there is no ClusterIP: routingType: Service of BackendTrafficPolicy shop/route";
    assert_eq!(found[0]["affects"], serde_json::json!([pay, headless]));
    let table = text(&["compile", "-f", &file(name), "-o", "table"]);
    let row =
        |service: &str| table.lines().find(|line| line.starts_with(service)).unwrap().to_owned();
    let by = "routingType: Service of BackendTrafficPolicy shop/route";
    let short = format!("HTTPRoute shop/shop rule/1 (pay) leads to the ClusterIP: {by}");
    assert!(row("shop/pay").ends_with(&format!("direct  not-labelled: {short}")), "{table}");
    assert!(row("shop/headless").contains("leads to the endpoints, as it is headless"), "{table}");
    assert!(!row("shop/cart").contains("ClusterIP"), "{table}");
    assert!(text(&["explain", "-f", &file(name), "pay"]).contains(pay));
    let routed = value(&["explain", "-f", &file(name), "pay"])[0]["routed"].clone();
    assert_eq!(routed, serde_json::json!([pay]));
    assert_eq!(value(&["explain", "-f", &file(name), "cart"])[0]["routed"], Value::Null);
}

#[test]
fn mirrors_to_cluster_ips() {
    let findings = check("mirrors-to-cluster-ips", &[]);
    let mirrors = findings.iter().filter(|f| f["code"] == "route-mirror");
    assert_eq!(Vec::from_iter(mirrors.map(|f| &f["object"]["name"])), ["by-rule"]);
}

/// What the reported messages have in common with others: the field is the object's own, and the fix
/// one for its kind.
#[test]
fn fields_and_fixes() {
    let findings = check("fields-and-fixes", &[]);
    let found: Vec<_> = findings
        .iter()
        .filter(|f| f["code"] != "label-without-waypoint")
        .map(|f| ["code", "field", "fix"].map(|part| f[part].as_str().unwrap_or("-")))
        .collect();
    let nothing_or = "nothing, if no HTTP is sent to this port; else";
    let entry = format!(
        "{nothing_or} declare that the port speaks HTTP: protocol: HTTP, or protocol: GRPC"
    );
    let twice = format!("{nothing_or} declare each number once");
    let udp = format!("{nothing_or} send HTTP to a port of protocol TCP");
    let expected = [
        [
            "waypoint-not-ready",
            "status.addresses[0].type",
            "see what wrote the status: Istio itself writes addresses of both types for its waypoints",
        ],
        [
            "waypoint-not-for-services",
            "metadata.labels[istio.io/waypoint-for]",
            "kubectl label -n shop gateways.gateway.networking.k8s.io workloads istio.io/waypoint-for=all --overwrite",
        ],
        ["port-left-out", "spec.ports[0].protocol", &entry],
        ["port-left-out", "spec.ports[1].port", &twice],
        ["port-left-out", "spec.ports[2].protocol", &udp],
    ];
    assert_eq!(found, expected);
}
