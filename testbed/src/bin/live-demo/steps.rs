//! The steps: a change, and where requests to a service go then.

use anyhow::{Context, Result};
use serde_json::json;
use testbed::controller::Controller;
use testbed::live::{LABEL, Mesh, service, service_entry};
use testbed::scene::Scene;

use super::traffic::{Traffic, Way};
use Way::{Endpoint, Vip};

/// One row of the table.
pub type Row = [String; 6];

/// Takes all steps.
pub async fn all(
    mesh: &mut Mesh,
    controller: &mut Option<Controller>,
    scene: &Scene,
) -> Result<Vec<Row>> {
    let label = Some("true");
    let (ratings, payments) = (service("ratings"), service_entry("payments"));
    let at = scene.address();
    let mut rows = Vec::new();

    let traffic = Traffic::start(at, "ratings", Endpoint).await?;
    mesh.api.label(&ratings, LABEL, label).await?;
    rows.push(traffic.until(Vip).await?.row("ratings gets the label"));

    let traffic = Traffic::start(at, "ratings", Vip).await?;
    mesh.api.label(&ratings, LABEL, None).await?;
    rows.push(traffic.until(Endpoint).await?.row("ratings loses the label"));

    let traffic = Traffic::start(at, "payments", Vip).await?;
    mesh.api.patch(&payments, &json!({"spec": {"addresses": null}})).await?;
    rows.push(traffic.until(Endpoint).await?.row("the ServiceEntry payments loses its address"));

    let traffic = Traffic::start(at, "payments", Endpoint).await?;
    let allocated =
        json!({"status": {"addresses": [{"host": "payments.example.com", "value": "127.0.1.4"}]}});
    mesh.api.patch(&format!("{payments}/status"), &allocated).await?;
    rows.push(traffic.until(Vip).await?.row("payments gets one in its status"));

    let traffic = Traffic::start(at, "payments", Vip).await?;
    mesh.api.go();
    running(controller)?.until_readiness("Service: ").await?;
    rows.push(traffic.stays().await?.row("the API server goes away"));

    let traffic = Traffic::start(at, "ratings", Endpoint).await?;
    mesh.api.come().await?;
    let traffic = traffic.again();
    mesh.api.label(&ratings, LABEL, label).await?;
    rows.push(traffic.until(Vip).await?.row("it comes back, ratings gets the label"));

    let traffic = Traffic::start(at, "ratings", Vip).await?;
    drop(controller.take());
    mesh.api.label(&ratings, LABEL, None).await?;
    rows.push(traffic.stays().await?.row("the controller is killed, ratings loses the label"));

    let traffic = Traffic::start(at, "ratings", Vip).await?;
    *controller = Some(mesh.controller(&[]).await?);
    rows.push(traffic.until(Endpoint).await?.row("the controller starts again"));
    Ok(rows)
}

fn running(controller: &Option<Controller>) -> Result<&Controller> {
    controller.as_ref().context("the controller is not running")
}
