//! `make run LIVE=1`: the controller on an API server, a real one or a stand-in, and a gateway that takes its services
//! from it. The mesh is changed step by step; each step has to lead requests where it should.

mod steps;
mod traffic;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use testbed::kube::ApiServer;
use testbed::live::Mesh;
use testbed::program::{self, Arguments};
use testbed::scene::Scene;
use testbed::table::{self, GREEN, RED, YELLOW};
use testbed::until_signalled;

const USAGE: &str = "\
usage: live-demo [--module] [--keep]

  --module  the native module instead of the wasm filter
  --keep    leave everything running until Ctrl-C";

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::read(USAGE) {
        Ok(Arguments { module, keep }) => {
            program::run(run(if module { "live-module.yaml" } else { "live.yaml" }, keep)).await
        }
        Err(code) => code,
    }
}

/// The API server: a real one if it is installed.
async fn api_server() -> Result<ApiServer> {
    if ApiServer::is_installed() {
        println!("The API server: kube-apiserver and etcd.");
        return ApiServer::start().await;
    }
    println!(
        "The API server: a stand-in that keeps objects in memory. The real one needs Go, or KUBEBUILDER_ASSETS."
    );
    ApiServer::stand_in().await
}

async fn run(example: &str, keep: bool) -> Result<()> {
    println!("Starting an API server, the controller, and a gateway with envoy/{example} ...");
    let mut mesh = Mesh::start_on(api_server().await?).await?;
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
