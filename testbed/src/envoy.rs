//! A real Envoy as a child process, which ends with the value.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{self, Request};
use crate::process::{Process, read, tail};
use crate::{wait, workspace};

const DEFAULT_VERSION: &str = "1.40.0";

/// What to run.
#[derive(Clone, Debug)]
pub struct EnvoyOptions {
    /// The bootstrap configuration. It needs an admin listener, by which the harness watches Envoy.
    pub config: Value,
    /// The same as YAML, if Envoy is to read that text.
    pub text: Option<String>,
    /// Environment variables, on top of this process's own.
    pub env: Vec<(String, String)>,
    /// Worker threads.
    pub concurrency: u32,
    /// `--log-level`
    pub log_level: String,
    /// `--component-log-level`, such as `wasm:debug`
    pub component_log_level: Option<String>,
}

impl EnvoyOptions {
    /// Two workers (so that nothing can rely on there being one), and the log from `info` up.
    pub fn new(config: Value) -> Self {
        Self {
            config,
            text: None,
            env: Vec::new(),
            concurrency: 2,
            log_level: "info".into(),
            component_log_level: None,
        }
    }
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    _dir: TempDir,
}

impl Envoy {
    /// Starts Envoy and waits until it is ready; if it exits instead, the error ends with its log.
    pub async fn start(options: EnvoyOptions) -> Result<Self> {
        let mut envoy = Self::launch(&options)?;
        envoy.until_ready().await?;
        Ok(envoy)
    }

    /// Starts Envoy, and does not wait.
    pub fn launch(options: &EnvoyOptions) -> Result<Self> {
        let admin = socket_address(options.config.pointer("/admin/address/socket_address"))
            .context("the configuration's admin address")?;
        let dir = tempfile::tempdir().context("no temporary directory")?;
        let mut command = command(options, dir.path())?;
        command.args(["--use-dynamic-base-id", "--file-flush-interval-msec", "20"]);
        command.args(["--concurrency", &options.concurrency.to_string()]);
        let process = Process::start(format!("Envoy at {admin}"), command, dir.path())?;
        Ok(Self { process, admin, _dir: dir })
    }

    /// Waits until Envoy is ready; if it exits instead, the error ends with its log.
    pub async fn until_ready(&mut self) -> Result<()> {
        let admin = self.admin;
        self.process.until_ready(async |_| Ok(is_ready(admin).await.then_some(()))).await
    }

    /// Whether Envoy is ready.
    pub async fn is_ready(&self) -> bool {
        is_ready(self.admin).await
    }

    /// Whether Envoy accepts a configuration (`--mode validate`); if not, what its log ends with.
    pub fn validate(config: &Value) -> Result<()> {
        Self::validate_options(&EnvoyOptions::new(config.clone()))
    }

    /// The same for a configuration that may be YAML.
    pub fn validate_options(options: &EnvoyOptions) -> Result<()> {
        let dir = tempfile::tempdir().context("no temporary directory")?;
        let mut command = command(options, dir.path())?;
        let output = command.args(["--mode", "validate"]).output()?;
        ensure!(output.status.success(), "{}", tail(&String::from_utf8_lossy(&output.stderr)));
        Ok(())
    }

    /// The version that [`Self::start`] runs, such as `1.40.0`.
    pub fn version() -> Result<String> {
        let output = Command::new(binary()?).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL
        text.split('/')
            .find(|part| part.starts_with(|c: char| c.is_ascii_digit()) && part.contains('.'))
            .map(str::to_owned)
            .with_context(|| format!("no version in {text:?}"))
    }

    /// The address of the admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The file that the access log (Envoy's standard output) goes to.
    pub fn access_log_file(&self) -> PathBuf {
        self.process.output_file().to_path_buf()
    }

    /// GET from the admin interface.
    pub async fn admin_get(&self, path: &str) -> Result<String> {
        admin_call(self.admin, Request::get("admin", path)).await
    }

    /// POST to the admin interface.
    pub async fn admin_post(&self, path: &str) -> Result<String> {
        admin_call(self.admin, Request::get("admin", path).method("POST")).await
    }

    /// A counter or gauge by its full name, if Envoy has one of that name.
    pub async fn stat(&self, name: &str) -> Result<Option<u64>> {
        let all = self.admin_get("/stats").await?;
        let value = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(|v| v.trim().parse().with_context(|| format!("{name} is {v:?}"))).transpose()
    }

    /// Waits until a stat exists and satisfies `wanted`; yields its value.
    pub async fn wait_for_stat(&self, name: &str, wanted: impl Fn(u64) -> bool) -> Result<u64> {
        wait::until(&format!("the stat {name}"), async || {
            Ok(self.stat(name).await?.filter(|v| wanted(*v)))
        })
        .await
    }

    /// All stats, as Prometheus would scrape them.
    pub async fn prometheus(&self) -> Result<String> {
        self.admin_get("/stats/prometheus").await
    }

    /// The entries of the JSON access log so far; lines that are not JSON are left out.
    pub fn access_log(&self) -> Vec<Value> {
        let text = read(self.process.output_file());
        // A line still being written has no end yet.
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits for the first entry of the access log that satisfies `wanted`.
    pub async fn wait_for_access_log(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until("an entry of the access log", async || {
            Ok(self.access_log().into_iter().find(|entry| wanted(entry)))
        })
        .await
    }

    /// Envoy's own log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until Envoy's own log has a line with `part` in it; yields the line.
    pub async fn wait_for_log(&self, part: &str) -> Result<String> {
        wait::until(&format!("{part:?} in Envoy's log"), async || {
            Ok(self.log().lines().find(|line| line.contains(part)).map(str::to_owned))
        })
        .await
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The memory that Envoy holds, in KiB; on Linux only.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = resident.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).context("VmRSS")
    }

    /// How Envoy ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.process.exited()
    }
}

async fn is_ready(admin: SocketAddr) -> bool {
    let ready = admin_call(admin, Request::get("admin", "/ready")).await;
    ready.is_ok_and(|text| text.trim() == "LIVE")
}

async fn admin_call(admin: SocketAddr, request: Request) -> Result<String> {
    let response = client::http1(admin, &request).await?;
    let text = response.text();
    ensure!(response.status == 200, "{} answered {}: {text}", request.path, response.status);
    Ok(text)
}

/// `ip:port` of a `socket_address` in an Envoy configuration.
pub fn socket_address(value: Option<&Value>) -> Result<SocketAddr> {
    let value = value.context("there is none")?;
    let ip = value.get("address").and_then(Value::as_str).context("no address")?;
    let port = value.get("port_value").and_then(Value::as_u64).context("no port_value")?;
    Ok(SocketAddr::new(ip.parse()?, port.try_into()?))
}

fn command(options: &EnvoyOptions, dir: &Path) -> Result<Command> {
    let file = match &options.text {
        Some(text) => {
            let file = dir.join("envoy.yaml");
            fs::write(&file, text)?;
            file
        }
        None => {
            let file = dir.join("envoy.json");
            fs::write(&file, serde_json::to_vec_pretty(&options.config)?)?;
            file
        }
    };
    let mut command = Command::new(binary()?);
    // The configuration names the module relative to the root: dist/ingress_waypoint.wasm.
    command.current_dir(workspace()).stdin(Stdio::null()).arg("-c").arg(&file);
    command.args(["--log-level", &options.log_level]);
    if let Some(levels) = &options.component_log_level {
        command.args(["--component-log-level", levels]);
    }
    command.env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", workspace().join("dist"));
    // The tests do not depend on the environment of the user.
    command.env_remove("INGRESS_USE_WAYPOINTS");
    command.envs(options.env.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ENVOY_PATH") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "ENVOY_PATH is {}, which is not a file", path.display());
        return Ok(path);
    }
    let version = std::env::var("ENVOY_VERSION").unwrap_or_else(|_| DEFAULT_VERSION.into());
    let path = workspace().join(format!(".tools/envoy-{version}/envoy"));
    ensure!(
        path.is_file(),
        "there is no Envoy {version} at {}: run `scripts/install-envoy {version}`, or set ENVOY_PATH",
        path.display()
    );
    Ok(path)
}
