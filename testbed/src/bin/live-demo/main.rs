//! `make run LIVE=1`: the controller on a real API server, and a gateway that takes its services from it. The mesh is
//! changed step by step; each step has to lead requests where it should.

mod steps;
mod traffic;

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use testbed::live::Mesh;
use testbed::scene::Scene;
use testbed::table::{self, GREEN, RED, YELLOW};
use testbed::until_signalled;

const USAGE: &str = "\
usage: live-demo [--module] [--keep]

  --module  the native module instead of the wasm filter
  --keep    leave everything running until Ctrl-C";

#[tokio::main]
async fn main() -> ExitCode {
    let (mut keep, mut example) = (false, "live.yaml");
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--keep" => keep = true,
            "--module" => example = "live-module.yaml",
            "-h" | "--help" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            other => {
                eprintln!("unknown argument {other}\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    // Interrupted, `run` is dropped, and with it the processes that it has started.
    let result = tokio::select! {
        biased; // `--keep` waits for the same signal, and ends well on it
        result = run(example, keep) => result,
        result = until_signalled() => result.and_then(|()| bail!("interrupted")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(example: &str, keep: bool) -> Result<()> {
    println!("Starting an API server, the controller, and a gateway with envoy/{example} ...");
    let mut mesh = Mesh::start().await?;
    let mut controller = Some(mesh.controller(&[]).await?);
    let scene = mesh.scene(example).await?;
    table::headline("The mesh changes, and requests follow");
    println!(
        "Requests are sent without a pause. `after` is the time from the change to the first answer by the new way;
where it is empty, requests have to go on as before. The controller tries again after growing pauses
while it cannot reach the API server.\n"
    );
    let rows = steps::all(&mut mesh, &mut controller, &scene).await?;
    let headings = ["change", "service", "requests went to", "after", "requests", "failed"];
    table::print(headings, &rows, |cell| match cell {
        "VIP" | "endpoint -> VIP" => GREEN,
        "VIP -> endpoint" => YELLOW,
        cell if cell.starts_with("not ") => RED,
        _ => "",
    });
    println!();
    let wrong = rows.iter().filter(|row| row.iter().any(|cell| cell.starts_with("not "))).count();
    if wrong == 0 {
        table::good(
            "As expected: requests go where the mesh says, and where it last said during outages.",
        );
    }
    if keep {
        invite(&mesh, &scene)?;
        until_signalled().await?;
        drop((scene, controller, mesh));
        println!("\nstopped");
    }
    ensure!(wrong == 0, "{wrong} steps are not as expected");
    Ok(())
}

fn invite(mesh: &Mesh, scene: &Scene) -> Result<()> {
    println!(
        "
Still running. To try:
  export KUBECONFIG={kubeconfig}
  kubectl label service ratings istio.io/ingress-use-waypoint=true
  kubectl label service ratings istio.io/ingress-use-waypoint-
  curl -i -H 'Host: ratings.example.com' http://{address}/
  tail -f {log}
Ctrl-C stops it.",
        kubeconfig = mesh.api.kubeconfig()?.display(),
        address = scene.address(),
        log = scene.ingress.access_log_file().display(),
    );
    Ok(())
}
