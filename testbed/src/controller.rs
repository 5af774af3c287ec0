//! The controller, as cargo has built it, with what it says of itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{self, Request, Response};
use crate::command_line::program;
use crate::process::Process;
use crate::{wait, workspace};

/// The gateway that the files of `envoy/` ask as.
pub const NODE: &str = "ingress/public";

/// The file that it keeps current.
const TABLE: &str = "table.json";

/// What to run.
#[derive(Clone, Debug)]
pub struct ControllerOptions {
    /// The account.
    pub kubeconfig: PathBuf,
    /// The gateway that it serves.
    pub node: String,
    /// Where it serves proxies.
    pub xds: SocketAddr,
    /// Whether it keeps a file current too, which [`Controller::table`] reads.
    pub writes_file: bool,
    /// More arguments.
    pub arguments: Vec<String>,
}

/// A running controller.
#[derive(Debug)]
pub struct Controller {
    process: Process,
    health: SocketAddr,
    metrics: SocketAddr,
    folder: TempDir,
}

impl Controller {
    /// Starts it, and waits until it answers whether it is ready.
    pub async fn start(options: &ControllerOptions) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary directory")?;
        let mut command = Command::new(program()?);
        command.arg("controller").env("KUBECONFIG", &options.kubeconfig);
        command.env_remove("INGRESS_USE_WAYPOINTS");
        command.args(["--node", &options.node, "--ingress-use-waypoints", "true"]);
        command.arg("--allow-loopback");
        command.args(["--xds-insecure", "--xds-addr", &options.xds.to_string()]);
        command.args(["--health-addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0"]);
        command.arg("--wasm").arg(workspace().join("dist/ingress_waypoint.wasm"));
        if options.writes_file {
            command.arg("--write").arg(folder.path().join(TABLE));
        }
        command.args(&options.arguments);
        let mut process = Process::start("the controller", command, folder.path())?;
        let addresses = process.until_ready(async |process| {
            let log = process.log();
            let listens = |flag| address(&log, flag);
            Ok(listens("--health-addr").zip(listens("--metrics-addr")))
        });
        let (health, metrics) = addresses.await?;
        Ok(Self { process, health, metrics, folder })
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(self) -> Result<()> {
        let status = self.process.stop().await?;
        anyhow::ensure!(status.success(), "the controller ended with {status}");
        Ok(())
    }

    /// What `/readyz` answers.
    pub async fn readiness(&self) -> Result<Response> {
        client::http1(self.health, &Request::get("controller", "/readyz")).await
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) -> Result<()> {
        self.until_readiness("ok\n").await
    }

    /// Waits until `/readyz` answers with `part` in it.
    pub async fn until_readiness(&self, part: &str) -> Result<()> {
        wait::until(&format!("{part:?} in /readyz"), async || {
            let answer = self.readiness().await?;
            Ok(answer.text().contains(part).then_some(()))
        })
        .await
    }

    /// The value of a metric by its name and labels, as they are written; none before there is one.
    pub async fn metric(&self, name: &str) -> Result<Option<f64>> {
        let answer = client::http1(self.metrics, &Request::get("controller", "/metrics")).await?;
        let text = answer.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().with_context(|| format!("{name} is {value}"))).transpose()
    }

    /// The configuration in the file that it keeps current.
    pub fn table(&self) -> Result<Value> {
        let text = std::fs::read_to_string(self.folder.path().join(TABLE))?;
        serde_json::from_str(&text).context("the controller's file")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until its log has a line with `part` in it; gives the line.
    pub async fn until_logged(&self, part: &str) -> Result<String> {
        wait::until(&format!("{part:?} in the controller's log"), async || {
            Ok(self.log().lines().find(|line| line.contains(part)).map(str::to_owned))
        })
        .await
    }
}

/// Where the controller says that it listens.
fn address(log: &str, flag: &str) -> Option<SocketAddr> {
    let listening = format!("{flag}: listening on ");
    let line =
        log.split_inclusive('\n').find(|line| line.ends_with('\n') && line.contains(&listening))?;
    line.split_once(&listening)?.1.trim().parse().ok()
}

/// Runs another command of the same build with an account; gives its output.
pub fn command_line(kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program()?);
    let output = command.args(arguments).env("KUBECONFIG", kubeconfig).output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{arguments:?} ended with {}: {messages}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
