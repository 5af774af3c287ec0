//! A folder in which the commands of a page run one after the other.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::golden::workspace;

/// What does not run in CI, and what stands in for it. Each checks the files that it is given.
const STAND_INS: [(&str, &str); 6] = [
    // func-e downloads an Envoy, or runs the one of ENVOY_PATH: `func-e run` takes Envoy's arguments.
    ("func-e", r#"shift; exec envoy "$@""#),
    // There is no cluster: what it has is testdata/docs/mesh.yaml, and it takes what is applied.
    (
        "kubectl",
        r#"case "$1 $2" in
            "get "*) exec cat testdata/docs/mesh.yaml ;;
            "create configmap") given "${@#--from-file=}" ;;
            "create namespace" | "annotate lease") ;;
            "apply "*) given "$@" ;;
            *) echo "not known here: kubectl $*" >&2; exit 1 ;;
        esac"#,
    ),
    // There is no Docker in CI, and no registry.
    (
        "docker",
        r#"case "$1" in
            build) given Dockerfile plugin.wasm ;;
            push) ;;
            *) echo "not known here: docker $*" >&2; exit 1 ;;
        esac"#,
    ),
    // There is no cluster, and no chart.
    ("helm", r#"[ "$1" = upgrade ]"#),
    // For Envoy's admin interface: no Envoy listens here.
    ("curl", r#"[ $# -gt 0 ]"#),
    // All that is asked of Envoy is whether it takes the configuration.
    (
        "envoy",
        r#"case " $* " in *" --mode "*) ;; *) set -- --mode validate "$@" ;; esac
        exec "$REAL_ENVOY" --log-level error "$@""#,
    ),
];

/// At least one of the arguments is a file, and none that looks like one is missing or empty.
const GIVEN: &str = r#"given() {
    files=0
    for name in "$@"; do
        case "$name" in
            *.yaml | *.json | *.wasm | Dockerfile)
                [ -s "$name" ] || { echo "no file $name" >&2; exit 1; }
                files=1 ;;
            -) grep -q kind: || { echo "no objects" >&2; exit 1; }; files=1 ;;
        esac
    done
    [ $files = 1 ] || { echo "no file in: $*" >&2; exit 1; }
}
"#;

/// The folder, which goes away with the value.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let home = workspace();
        for name in ["bin", "dist"] {
            std::fs::create_dir(at(name)).unwrap();
            symlink(env!("CARGO_BIN_EXE_ingress-waypoint"), at(name).join("ingress-waypoint"))
                .unwrap();
        }
        for name in
            ["envoy", "testdata", "dist/ingress_waypoint.wasm", "dist/libingress_waypoint.so"]
        {
            symlink(home.join(name), at(name)).unwrap();
        }
        std::fs::copy(home.join("testdata/docs/envoy.yaml"), at("envoy.yaml")).unwrap();
        for (name, script) in STAND_INS {
            let path = at("bin").join(name);
            std::fs::write(&path, format!("#!/bin/bash\nset -e\n{GIVEN}{script}\n")).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    /// Runs a command in the folder.
    pub fn run(&self, command: &str) -> Output {
        self.shell(self.folder.path(), command)
    }

    /// Runs a command at the root of the project.
    pub fn at_home(&self, command: &str) -> Output {
        self.shell(&workspace(), command)
    }

    /// Whether Envoy takes a configuration.
    pub fn validate(&self, config: &str) -> Result<(), String> {
        std::fs::write(self.folder.path().join("fence.json"), config).unwrap();
        let done = self.run("envoy -c fence.json");
        if done.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }

    fn shell(&self, folder: &Path, command: &str) -> Output {
        let bin = self.folder.path().join("bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        Command::new("bash")
            .args(["-c", &format!("set -eo pipefail; {command}")])
            .current_dir(folder)
            .env("PATH", path)
            .env("REAL_ENVOY", envoy())
            .env_remove("INGRESS_USE_WAYPOINTS")
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap()
    }
}

/// The Envoy of the end-to-end tests.
fn envoy() -> PathBuf {
    let installed = || {
        let version = std::env::var("ENVOY_VERSION").unwrap_or_else(|_| "1.40.0".to_owned());
        workspace().join(format!(".tools/envoy-{version}/envoy"))
    };
    std::env::var_os("ENVOY_PATH").map_or_else(installed, PathBuf::from)
}

/// 40 of Envoy 1.40.0.
pub fn envoy_minor() -> u32 {
    let done = Command::new(envoy()).arg("--version").output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let version = text.split("version: ").nth(1).and_then(|rest| rest.split('/').nth(1));
    version.and_then(|version| version.split('.').nth(1)?.parse().ok()).unwrap()
}
