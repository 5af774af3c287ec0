//! The filter's configuration, made by the command line out of the demo's Kubernetes objects.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use testbed::command_line::program;
use testbed::ports::Ports;
use testbed::workspace;

/// `ingress-waypoint compile -f - -o config` on `testdata/demo/mesh.yaml`, with the scene's ports.
pub fn compile(ports: &Ports) -> Result<Map<String, Value>> {
    let command = program()?;
    let objects = workspace().join("testdata/demo/mesh.yaml");
    let objects = std::fs::read_to_string(&objects)
        .with_context(|| format!("cannot read {}", objects.display()))?;
    let mut child = Command::new(&command)
        .args(["compile", "-f", "-", "-o", "config", "--allow-loopback", "--all-services"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.display()))?;
    // Closed at the end of the statement, so that the command reads to an end.
    child.stdin.take().context("no pipe")?.write_all(ports.replace(&objects).as_bytes())?;
    let output = child.wait_with_output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} ended with {}: {messages}",
        command.display(),
        output.status
    );
    serde_json::from_slice(&output.stdout).context("the configuration that it printed")
}
