//! The objects for Istio and Envoy Gateway, and the resource for ECDS: golden files in
//! `testdata/cli/outputs`, and the hand-written examples of `envoy/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod golden;

use std::path::Path;

use gateway::envoy::Form;
use gateway::envoy::fragments::{MAX_CONNECTIONS_PER_VIP, Switch, Wasm};
use gateway::envoy::native::Module;
use gateway::envoy::xds_server::{Live, Tls};
use gateway::objects::listeners::Listeners;
use gateway::objects::target::{Gateway, Labels, Options, Sha256, Target};
use gateway::objects::{ecds, envoy_gateway, istio};
use golden::{golden, text};
use serde_json::{Value, json};

const IMAGE: &str = "registry.example.com/ingress-waypoint:0.1.0";

fn config() -> Value {
    serde_json::from_str(&text("testdata/cli/outputs/config.json")).unwrap()
}

fn gateway(text: &str) -> Gateway {
    text.parse().unwrap()
}

fn options(switch: Switch) -> Options {
    Options {
        image: IMAGE.to_owned(),
        sha256: None,
        switch,
        max_connections_per_vip: MAX_CONNECTIONS_PER_VIP,
    }
}

fn selector() -> Target {
    let labels: Labels = "istio=ingressgateway,app.kubernetes.io/name=gw".parse().unwrap();
    Target::Selector { namespace: "istio-system".to_owned(), labels, name: None }
}

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn from_file() -> Module {
    Module {
        config_path: Some("/etc/ingress-waypoint/services.json".to_owned()),
        ..Module::default()
    }
}

fn controller() -> Live {
    let tls = Tls { ca: "/etc/ingress-waypoint/ca.crt".to_owned(), own: None, server_name: None };
    Live {
        address: "waypoint-controller.istio-system:18000".parse().unwrap(),
        node: "istio-ingress/ingress".parse().unwrap(),
        tls: Some(tls),
    }
}

fn listeners(names: &[&str]) -> Listeners {
    let gateway = gateway("envoy-gateway/ingress");
    Listeners::each(&gateway, &names.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Every object there is, under the name of its golden file.
fn outputs() -> Vec<(&'static str, String)> {
    let config = config();
    let on = options(Switch::On);
    let istio = Target::Gateway(gateway("istio-ingress/ingress"));
    let pinned = Options {
        image: "https://example.com/plugin.wasm".to_owned(),
        sha256: Some(format!("sha256:{}", "0A".repeat(32)).parse().unwrap()),
        switch: Switch::Environment,
        max_connections_per_vip: 64,
    };
    let eg = gateway("envoy-gateway/ingress");
    let (one, two) = (listeners(&["http"]), listeners(&["http", "https"]));
    let wasm = |listeners: &Listeners, options: &Options| {
        envoy_gateway::policies(&config, &eg, listeners, options)
    };
    let filter = |target: &Target, limit| istio::envoy_filter(&config, target, limit);
    let controller = controller();
    let served = Some(controller.clone());
    let forms = [
        Form::Wasm(Wasm { live: served.clone(), ..Wasm::default() }),
        Form::Module(Module { live: served, ..Module::default() }),
    ];
    let live = |target: &Target, form: &Form| istio::live(&json!({}), target, &controller, form);
    [
        ("wasmplugin.yaml", istio::wasm_plugin(&config, &istio, &on)),
        ("wasmplugin-selector.yaml", istio::wasm_plugin(&config, &selector(), &pinned)),
        ("trafficextension.yaml", istio::traffic_extension(&config, &istio, &on)),
        ("trafficextension-selector.yaml", istio::traffic_extension(&config, &selector(), &pinned)),
        ("envoyfilter.yaml", filter(&istio, MAX_CONNECTIONS_PER_VIP)),
        ("envoyfilter-selector.yaml", filter(&selector(), 64)),
        ("envoy-gateway.yaml", wasm(&two, &on)),
        ("envoy-gateway-pinned.yaml", wasm(&one, &pinned)),
        ("envoyfilter-module.yaml", istio::module(&config, &istio, &Module::default())),
        ("envoyfilter-module-file.yaml", istio::module(&config, &istio, &from_file())),
        ("envoyfilter-live.yaml", live(&istio, &forms[0])),
        ("envoyfilter-live-module.yaml", live(&selector(), &forms[1])),
    ]
    .map(|(file, objects)| (file, objects.unwrap().text()))
    .into()
}

#[test]
fn outputs_are_as_expected_and_always_the_same() {
    let folder = Path::new("testdata/cli/outputs");
    for ((file, output), (_, again)) in outputs().into_iter().zip(outputs()) {
        golden(&folder.join(file), &output);
        assert_eq!(output, again);
    }
    golden(
        &folder.join("ecds.yaml"),
        &ecds::resource(&text("testdata/cli/outputs/config.json"), &Wasm::default()),
    );
}

#[test]
fn the_examples_are_what_is_generated() {
    let [plugin, _, extension, _, filter, _, eg, _, _, istio, _, _] = outputs().try_into().unwrap();
    assert_eq!(istio.1, text("envoy/istio/envoyfilter-module.yaml"));
    let example = |path: &str| documents(&text(Path::new("envoy").join(path))).remove(0);

    let mut expected = example("istio/wasmplugin.yaml");
    expected["spec"]["pluginConfig"] = config();
    assert_eq!(documents(&plugin.1)[0], expected);
    // A TrafficExtension has the same fields, but for the one that says for whom it is, under `wasm`.
    let refs = expected["spec"].as_object_mut().unwrap().shift_remove("targetRefs").unwrap();
    expected["kind"] = json!("TrafficExtension");
    expected["spec"] = json!({"targetRefs": refs, "wasm": expected["spec"].take()});
    assert_eq!(documents(&extension.1)[0], expected);
    assert_eq!(documents(&filter.1)[0], example("istio/envoyfilter.yaml"));

    let eg = documents(&eg.1);
    let extension = eg.last().unwrap();
    let mut expected = example("envoy-gateway/extension-policy.yaml");
    expected["spec"]["wasm"][0]["config"] = extension["spec"]["wasm"][0]["config"].clone();
    assert_eq!(*extension, expected);
    let mut config = config();
    config["ingressUseWaypoints"] = json!(true);
    assert_eq!(extension["spec"]["wasm"][0]["config"], config);

    // By hand it is for one listener.
    let one = envoy_gateway::policies(
        &self::config(),
        &gateway("envoy-gateway/ingress"),
        &listeners(&["http"]),
        &options(Switch::On),
    );
    let by_hand = documents(&text("envoy/envoy-gateway/patch-policy.yaml"));
    assert_eq!(documents(&one.unwrap().text())[1..3], by_hand);

    // And clusters are listed.
    let mut proxy = eg[0].clone();
    let merge = proxy["spec"].as_object_mut().unwrap().shift_remove("mergeBackends");
    assert_eq!(merge, Some(json!({})));
    assert_eq!(proxy, example("envoy-gateway/proxy.yaml"));

    let mut resource = documents(&ecds::resource(&config_of_ecds(), &Wasm::default())).remove(0);
    let mut expected = example("ecds/ingress_waypoint.yaml");
    for file in [&mut resource, &mut expected] {
        file["version_info"] = json!("");
        let text = &mut file["resources"][0]["typed_config"]["config"]["configuration"]["value"];
        *text = serde_json::from_str(text.as_str().unwrap()).unwrap();
    }
    assert_eq!(resource, expected);
}

fn config_of_ecds() -> String {
    let file = documents(&text("envoy/ecds/ingress_waypoint.yaml")).remove(0);
    let text = &file["resources"][0]["typed_config"]["config"]["configuration"]["value"];
    text.as_str().unwrap().to_owned()
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let target = Target::Gateway(gateway("a/b"));
    for via in ["original-dst-header", "cluster-header"] {
        let config = json!({"forward": {"via": via}});
        let refusal = istio::envoy_filter(&config, &target, 1).unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("forward.via: {via:?} needs changes")), "{refusal}");
        assert!(istio::wasm_plugin(&config, &target, &options(Switch::On)).is_err());
        assert!(istio::traffic_extension(&config, &target, &options(Switch::On)).is_err());
        let (eg, none) = (gateway("a/b"), listeners(&[]));
        assert!(envoy_gateway::policies(&config, &eg, &none, &options(Switch::On)).is_err());
    }
    let refusal = istio::envoy_filter(&json!({"services": 1}), &target, 1).unwrap_err().to_string();
    assert!(refusal.starts_with("services: 1 is not a list"), "{refusal}");
    for text in ["", "a", "/", "a/", "a/b/c", "A/b", "a/b_"] {
        assert!(text.parse::<Gateway>().is_err(), "{text}");
    }
    for text in ["", "a", "=b", "a=b,", "a=b c", "a b=c"] {
        assert!(text.parse::<Labels>().is_err(), "{text}");
    }
    assert!("0a".parse::<Sha256>().is_err());
}

/// A service's own cluster, which routes that know no services cannot lead to.
#[test]
fn a_cluster_of_a_services_own_is_refused_in_both_forms() {
    let mut config = config();
    config["services"][0]["waypointCluster"] = json!("own");
    let target = Target::Gateway(gateway("a/b"));
    let module = istio::module(&config, &target, &from_file());
    let wasm = istio::envoy_filter(&config, &target, 1);
    for refusal in [module.unwrap_err().to_string(), wasm.unwrap_err().to_string()] {
        assert!(refusal.contains("waypointCluster"), "{refusal}");
    }
}

#[test]
fn the_switch_is_given_once() {
    let mut config = config();
    config["ingressUseWaypoints"] = json!(false);
    let target = Target::Gateway(gateway("a/b"));
    let plugin = istio::wasm_plugin(&config, &target, &options(Switch::On)).unwrap();
    assert!(!plugin.text().contains("vmConfig"));
    let eg = |config: &Value, switch| {
        envoy_gateway::policies(config, &gateway("a/b"), &listeners(&[]), &options(switch))
            .unwrap()
            .text()
    };
    assert_eq!(
        documents(&eg(&config, Switch::On)).last().unwrap()["spec"]["wasm"][0]["config"],
        config
    );
    let resource = ecds::resource(&config.to_string(), &Wasm::default());
    assert!(!resource.contains("INGRESS_USE_WAYPOINTS"));

    config["ingressUseWaypoints"] = Value::Null;
    let eg = eg(&config, Switch::Off);
    assert!(eg.contains("      ingressUseWaypoints: false\n"), "{eg}");
    assert!(!eg.contains("null"), "{eg}");
}

/// No control plane hands on route specifiers, and no configuration stands in an object twice.
#[test]
fn the_module_is_its_http_filter_with_the_configuration_once_and_compact() {
    for (file, output) in outputs().into_iter().filter(|(file, _)| file.contains("module")) {
        assert!(!output.contains("route_specifiers"), "{file}");
        assert!(!output.contains("specifier_name"), "{file}");
        let found = output.matches("grpcroute/default/greeter/rule/0").count();
        let elsewhere = ["file", "live"].iter().any(|word| file.contains(word));
        assert_eq!(found, usize::from(!elsewhere), "{file}");
    }
    let filter = documents(&outputs()[8].1).remove(0);
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let text = patches[0].pointer("/patch/value/typed_config/filter_config/value").unwrap();
    let mut expected = config();
    expected["ingressUseWaypoints"] = json!(true);
    assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), expected);
    assert_eq!(text.as_str().unwrap().lines().count(), 1);
    assert!(!text.as_str().unwrap().contains(": "));
}

/// The route of a plain request has them from istiod, and one to a VIP from here.
#[test]
fn vip_routes_for_istio_have_the_settings_that_istiod_gives_every_route() {
    let mut filters = 0;
    for (file, output) in outputs().into_iter().filter(|(file, _)| file.starts_with("envoyfilter"))
    {
        filters += 1;
        let filter = documents(&output).remove(0);
        let patches = filter["spec"]["configPatches"].as_array().unwrap();
        let of = |operation: &str| {
            let is_it = |patch: &&Value| {
                patch["applyTo"] == "HTTP_ROUTE" && patch["patch"]["operation"] == operation
            };
            patches.iter().filter(is_it).map(|patch| &patch["patch"]["value"]).collect::<Vec<_>>()
        };
        let vip_routes = of("INSERT_FIRST");
        assert_eq!(vip_routes.len(), 2, "{file}");
        for route in vip_routes.iter().map(|route| &route["route"]) {
            assert_eq!(route["timeout"], "0s", "{file}");
            assert_eq!(route["max_grpc_timeout"], "0s", "{file}");
            assert_eq!(route["retry_policy"]["num_retries"], 2, "{file}");
            let on = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
            assert_eq!(route["retry_policy"]["retry_on"], on, "{file}");
        }
        let [plain] = of("MERGE").try_into().unwrap();
        // No request takes the header of ours upstream, whichever route it takes.
        assert_eq!(plain["request_headers_to_remove"], json!(["x-ingress-waypoint-protocol"]));
    }
    assert_eq!(filters, 6);
}

#[test]
fn a_file_is_moved_into_place_as_a_whole() {
    use ingress_waypoint_cli::out_file::write_atomically;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ecds.yaml");
    let stat = || std::fs::metadata(&path).unwrap();

    assert!(write_atomically(&path, "a").unwrap());
    assert_eq!(stat().permissions().mode() & 0o777, 0o644);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let first = stat().ino();
    // Envoy has no reason to load the same again.
    assert!(!write_atomically(&path, "a").unwrap());
    assert_eq!(stat().ino(), first);

    assert!(write_atomically(&path, "b").unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "b");
    assert_ne!(stat().ino(), first);
    assert_eq!(stat().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(write_atomically(&folder.path().join("no/such"), "a").is_err());
}

#[test]
fn the_version_is_that_of_the_content() {
    let version = |config: &Value, load: &Wasm| {
        let resource = documents(&ecds::resource(&config.to_string(), load)).remove(0);
        resource["version_info"].as_str().unwrap().to_owned()
    };
    let module = Wasm::default();
    let first = version(&config(), &module);
    assert_eq!(version(&config(), &module), first);
    assert_eq!(first.len(), 16);
    let mut other = config();
    other["services"][0]["required"] = json!(true);
    assert_ne!(version(&other, &module), first);
    let elsewhere = Wasm { path: "/elsewhere.wasm".to_owned(), ..Wasm::default() };
    assert_ne!(version(&config(), &elsewhere), first);
}
