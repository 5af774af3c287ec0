//! What all commands have in common: help, errors, exit codes, colours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::path::Path;
use std::process::Command;

use command::{Folder, OBJECTS, error, run, stderr, text, value, words};
use serde_json::{Value, json};

fn commands() -> Vec<String> {
    let help = text(&["--help"]);
    assert!(help.contains("Exit codes:"), "{help}");
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = commands
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   "))
        })
        .filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn every_command_has_an_example() {
    let names = commands();
    assert!(names.iter().any(|name| name == "version"), "{names:?}");
    for name in names {
        let help = text(&[&name, "--help"]);
        assert!(
            help.contains("Example") && help.contains(&format!("ingress-waypoint {name}")),
            "{name}: {help}"
        );
    }
}

/// What stands behind the options is written in lines of its own: none is broken anew.
#[test]
fn no_line_of_the_help_is_broken_twice() {
    use clap::CommandFactory;
    for command in ingress_waypoint_cli::run::Cli::command().get_subcommands() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in after.lines() {
            assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
        }
    }
}

/// As a person pastes them, with the files that they name: none is of another version of the arguments.
#[test]
fn every_example_runs_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let copy = |from: &str, to: &str| {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(from);
        std::fs::copy(from, path(to)).unwrap();
    };
    std::fs::create_dir(path("manifests")).unwrap();
    std::fs::create_dir(path("bin")).unwrap();
    copy("testdata/demo/mesh.yaml", "manifests/mesh.yaml");
    copy("testdata/cli/patch/header/envoy.yaml", "envoy.yaml");
    for name in ["ingress-waypoint.json", "running.json", "new.json"] {
        std::fs::write(path(name), text(&["compile", "-f", "testdata/demo/mesh.yaml"])).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_ingress-waypoint");
    std::os::unix::fs::symlink(program, path("bin/ingress-waypoint")).unwrap();
    // What is asked for are the manifests, and what is applied is taken.
    let kubectl = "#!/bin/sh\nif [ \"$1\" = get ]; then cat manifests/*; else cat >/dev/null; fi\n";
    std::fs::write(path("bin/kubectl"), kubectl).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path("bin/kubectl"), executable).unwrap();

    let search = format!("{}:{}", path("bin").display(), std::env::var("PATH").unwrap());
    for name in commands() {
        let help = text(&[&name, "--help"]);
        let examples = help.split("Example").nth(1).unwrap().split_once('\n').unwrap().1;
        let examples = examples.split("\n\n").next().unwrap();
        // A longer line is broken by the help itself.
        assert!(examples.lines().all(|line| line.len() < 80), "{name}: {examples}");
        let examples = examples.replace("\\\n", " ");
        for example in examples.lines().map(str::trim) {
            let done = Command::new("bash")
                .args(["-c", &format!("set -o pipefail; {example}")])
                .current_dir(folder.path())
                .env("PATH", &search)
                .env("KUBECONFIG", path("none"))
                .output()
                .unwrap();
            let error = String::from_utf8(done.stderr).unwrap();
            if example.contains("--cluster") || name == "controller" {
                // There is none here; the arguments are right all the same.
                assert!(error.contains("no cluster: "), "{example}: {error}");
            } else {
                // The demo's mesh has a required service without a VIP, which `check` finds.
                let expected = if name == "check" { 2 } else { 0 };
                let code = done.status.code();
                assert!(code == Some(expected) || code == Some(1), "{example}: {code:?} {error}");
            }
        }
    }
}

/// The arguments of `compile` for the objects of `explain`'s tests.
fn compile(more: &str) -> Vec<&str> {
    [&["compile", "-f", OBJECTS], &*words(more)].concat()
}

#[test]
fn errors_go_to_standard_error_and_say_2() {
    for args in [
        &["compile"][..],
        &["compile", "-f", "no-such-file"],
        &["compile", "-f", OBJECTS, "-o", "nonsense"],
        &["compile", "-f", OBJECTS, "--required", "a b"],
        &["compile", "-f", OBJECTS, "--cluster-domain", "*.local"],
        &["compile", "-f", OBJECTS, "--via", "cluster-header", "--via-header", "host"],
        &["compile", "-f", OBJECTS, "-o", "wasmplugin"],
        &["compile", "-f", OBJECTS, "-o", "wasmplugin", "--gateway", "a/b"],
        &compile("-o envoy-gateway --image x --gateway a/b"),
        &compile("-o envoy-gateway --image x --gateway shop/waypoint"),
        &["compile", "-f", OBJECTS, "-o", "table", "--out", "x"],
        &["explain", "--config", "no-such-file", "x"],
        &["nonsense"],
    ] {
        let (code, error) = error(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(error.contains("error:") && !error.contains("panicked"), "{args:?}: {error}");
    }
}

#[test]
fn envoy_gateways_objects_do_not_load_the_native_module() {
    let module =
        "-o envoy-gateway --form module --module /m.so --gateway ingress/public --listener http";
    let (code, error) = error(&compile(module));
    assert_eq!(code, Some(2));
    for part in
        ["--form module: not with -o envoy-gateway", "install --for envoy-gateway", "--form wasm"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_broken_object_is_said_and_hides_no_other() {
    let folder = Folder::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let good = std::fs::read_to_string(root.join(OBJECTS)).unwrap();
    let broken = "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: broken}\nspec: {ports: [{port: eighty}]}\n";
    folder.write("all.yaml", format!("{broken}---\n{good}"));
    let done = run(&["compile", "-f", folder.path().to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(1));
    let config: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(config["services"].as_array().unwrap().len(), 2);
    let said = stderr(&done);
    assert!(
        said.contains("all.yaml, document 1: Service shop/broken: spec.ports[0].port"),
        "{said}"
    );
}

#[test]
fn colours_only_where_they_are_seen() {
    let escape = '\u{1b}';
    for args in
        [&["compile", "-f", OBJECTS, "-o", "table"][..], &["explain", "reviews", "-f", OBJECTS]]
    {
        assert!(!text(args).contains(escape), "{args:?}");
        let always = [args, &["--color", "always"]].concat();
        assert!(text(&always).contains(escape), "{args:?}");
    }
}

#[test]
fn what_objects_say_cannot_steer_a_terminal() {
    let folder = Folder::new();
    let labels = r#"{istio.io/use-waypoint: "w\e[2J", istio.io/ingress-use-waypoint: "t\e[2J"}"#;
    let service = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{namespace: shop, name: {name}, labels: {labels}}}\n"
        )
    };
    let both = format!("{}---\n{}", service("a"), service(r#""b\e[2J""#));
    let path = folder.write("objects.yaml", both);
    for command in [&["compile", "-o", "table"][..], &["explain", "a"], &["check"]] {
        let compat = ["-f", &path, "--compat", "kgateway", "--color", "always"];
        let done = run(&[command, &compat[..]].concat());
        for stream in [done.stdout, done.stderr] {
            let text = String::from_utf8(stream).unwrap();
            assert!(!text.contains("\u{1b}[2J"), "{command:?}: {text:?}");
        }
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let command = format!("{} schema | head -c 1", env!("CARGO_BIN_EXE_ingress-waypoint"));
    let done = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

/// What is printed goes into `kubectl apply`.
#[test]
fn the_accounts_namespace_is_a_name() {
    for name in ["A B: c", "a\nb: c", "Ops", "a/b", "a.b", ""] {
        let (code, said) = error(&["rbac", "-n", name]);
        assert_eq!(code, Some(2), "{name:?}");
        assert!(said.contains("not the name of a namespace"), "{said}");
    }
    for name in ["on", "123", "1e3", "ops"] {
        let yaml = text(&["rbac", "-n", name]);
        let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        assert_eq!(objects[0]["metadata"]["namespace"], name, "{yaml}");
        assert_eq!(objects[2]["subjects"][0]["namespace"], name, "{yaml}");
    }
}

/// What follows no routes may read none.
#[test]
fn the_controller_may_read_routes_if_it_follows_them() {
    let routes =
        ["httproutes, grpcroutes, tcproutes, tlsroutes", "backendtrafficpolicies, envoyproxies"];
    let without = text(&["rbac", "--for", "controller"]);
    let with = text(&["rbac", "--for", "controller", "--route-clusters"]);
    for resources in routes {
        assert!(!without.contains(resources), "{without}");
        assert!(with.contains(resources), "{with}");
    }
    assert_eq!(text(&["rbac"]), text(&["rbac", "--route-clusters"]));
}

#[test]
fn a_controller_that_envoy_gateway_calls_may_patch_gateways_too() {
    let rbac = ["rbac", "--for", "controller"];
    let with = text(&[&rbac[..], &["--envoy-gateway"]].concat());
    let verbs = |yaml: &str| yaml.matches("verbs: [patch]").count();
    assert_eq!((verbs(&text(&rbac)), verbs(&with)), (0, 1));
    let (code, said) = error(&["rbac", "--envoy-gateway"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("only with --for controller"), "{said}");
}

#[test]
fn envoy_gateway_is_told_where_to_call() {
    let install = |args: &[&str]| {
        let yaml = text(&[&["install", "--for", "envoy-gateway"], args].concat());
        serde_saphyr::from_multiple::<Value>(&yaml).unwrap()
    };
    let manager = |args: &[&str]| install(args)[0]["extensionManager"].clone();
    let service = |args: &[&str]| manager(args)["service"].clone();
    let by_default = manager(&[]);
    assert_eq!(by_default["failOpen"], false);
    assert_eq!(by_default["hooks"], json!({"xdsTranslator": {"post": ["Endpoints"]}}));
    assert_eq!(by_default["service"], json!({"unix": {"path": "/run/ingress-waypoint/hook.sock"}}));
    assert_eq!(service(&["--address", "[::1]:80"]), json!({"ip": {"address": "::1", "port": 80}}));
    assert_eq!(
        service(&["--address", "hook.example.com:80", "--insecure"]),
        json!({"fqdn": {"hostname": "hook.example.com", "port": 80}})
    );
    let unix = ["--address", "unix:/run/on: x.sock"];
    assert_eq!(service(&unix), json!({"unix": {"path": "/run/on: x.sock"}}));
    let proxy = &install(&[&unix[..], &["--envoy-proxy", "infra/on"]].concat())[1];
    assert_eq!(proxy["metadata"], json!({"name": "on", "namespace": "infra"}));
    assert_eq!(proxy["spec"], json!({"mergeBackends": {}}));
    for address in ["hook.example.com:80", "10.0.0.1:80", "a"] {
        let (code, _) = error(&["install", "--for", "envoy-gateway", "--address", address]);
        assert_eq!(code, Some(2), "{address:?}");
    }
}

#[test]
fn the_small_commands() {
    assert_eq!(text(&["version"]), concat!("ingress-waypoint ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(value(&["version"]), json!({"version": env!("CARGO_PKG_VERSION")}));
    assert!(text(&["rbac", "-n", "ops"]).contains("namespace: ops"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(text(&["completions", shell]).contains("ingress-waypoint"), "{shell}");
    }
    let schema: Value = serde_json::from_str(&text(&["schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn the_objects_for_gateways_come_out_of_the_same_configuration() {
    let config: Value = serde_json::from_str(&text(&["compile", "-f", OBJECTS])).unwrap();
    let istio = "-o wasmplugin --gateway ingress/public --image registry.example/filter:1";
    let istio = text(&compile(istio));
    let plugin: Value = serde_saphyr::from_str(&istio).unwrap();
    assert_eq!(plugin["spec"]["pluginConfig"], config);
    let extension =
        "-o traffic-extension --gateway ingress/public --image registry.example/filter:1";
    let extension: Value = serde_saphyr::from_str(&text(&compile(extension))).unwrap();
    assert_eq!(extension["spec"]["wasm"]["pluginConfig"], config);
    let filter = text(&compile("-o envoy-filter --selector app=gateway -n ingress"));
    assert!(filter.contains("kind: EnvoyFilter") && filter.contains("app: gateway"), "{filter}");
    let eg = compile("-o envoy-gateway --gateway ingress/public --listener http --image x");
    assert!(text(&eg).contains("ingress/public/http"));
    assert!(text(&compile("-o ecds --module /x.wasm")).contains("/x.wasm"));
}

#[test]
fn loopback_addresses_are_taken_where_asked_for_and_that_is_said() {
    let args = ["compile", "-f", "testdata/demo/mesh.yaml"];
    let (refused, taken) = (run(&args), run(&[&args[..], &["--allow-loopback"]].concat()));
    let config = |output: &std::process::Output| {
        let config: Value = serde_json::from_slice(&output.stdout).unwrap();
        let vips = config["services"].as_array().unwrap().iter().filter_map(|s| s.get("vips"));
        (config["allowLoopback"].clone(), vips.count())
    };
    let said = |output| stderr(output).contains("--allow-loopback: a loopback VIP");
    assert_eq!((config(&refused), said(&refused)), ((Value::Null, 0), false));
    assert_eq!((config(&taken), said(&taken)), ((Value::Bool(true), 3), true));
}

/// A path that is not rewritten can pass by a policy of the waypoint.
#[test]
fn settings_that_routes_lose_at_a_vip_are_said_with_what_is_made_for_a_gateway() {
    let said = |folder: &str, more: &str| {
        let objects = format!("testdata/cli/check/{folder}/objects.yaml");
        let output = run(&[&["compile", "-f", &objects], &*words(more)].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output).lines().filter(|line| line.contains("general VIP route")).count()
    };
    let (istio, k8s) = ("route-setting-lost-virtual-service", "route-setting-lost");
    let gateway = "--gateway ingress/public";
    let selector = "--selector istio=ingressgateway -n infra";
    for (folder, options, expected) in [
        (istio, format!("-o envoy-filter {selector}"), 10),
        (istio, format!("-o wasmplugin --image x {selector}"), 10),
        (istio, format!("-o traffic-extension --image x {selector}"), 10),
        (k8s, format!("-o envoy-filter {gateway}"), 4),
        (k8s, format!("-o envoy-gateway --image x --listener http {gateway}"), 4),
        (k8s, "-o envoy-filter --gateway ingress/other".to_owned(), 0),
        // Made for no gateway in particular: routes may have VIP routes of their own there.
        (k8s, "-o config".to_owned(), 0),
    ] {
        assert_eq!(said(folder, &options), expected, "{folder} {options}");
    }
}
