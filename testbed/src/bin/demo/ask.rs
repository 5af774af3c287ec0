//! The demo's requests, and what became of each as one row.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use testbed::scene::{Outcome, Scene};

/// The services with a virtual host of their own; greeter speaks gRPC, shop is a weighted route.
const HTTP_SERVICES: [&str; 4] = ["reviews", "ratings", "billing", "payments"];
const PATHS: [&str; 2] = ["/", "/admin"];
/// Enough for a fair coin to show both sides.
const MOST_REQUESTS: usize = 200;

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub request: String,
    /// `VIP`, `endpoint` or `refused`.
    pub to: &'static str,
    /// Where that was.
    pub address: String,
    /// What the waypoint's policy did.
    pub policy: String,
    pub decision: String,
    pub reason: String,
}

impl Row {
    /// What a row is compared by: all but the address, which is another one each time.
    pub fn outline(&self) -> [String; 5] {
        let Self { request, to, policy, decision, reason, .. } = self.clone();
        [request, to.to_owned(), policy, decision, reason]
    }

    /// What is printed.
    pub fn cells(&self) -> [String; 5] {
        let Self { request, to, address, policy, decision, reason } = self.clone();
        let to = format!("{to} {address}").trim_end().to_owned();
        [request, to, policy, decision, reason]
    }
}

/// Sends everything once.
pub async fn all(scene: &Scene) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for service in HTTP_SERVICES {
        for path in PATHS {
            let outcome = scene.get(&host(service), path, &[]).await?;
            rows.push(row(scene, &format!("{}{path}", host(service)), path, service, &outcome));
        }
    }
    rows.push(health_check(scene).await?);
    for path in PATHS {
        for (service, outcome) in both_sides(scene, path).await? {
            let request = format!("{}{path} to {service}", host("shop"));
            rows.push(row(scene, &request, path, &service, &outcome));
        }
    }
    Ok(rows)
}

fn host(service: &str) -> String {
    format!("{service}.example.com")
}

/// Repeats a request to the weighted route until it has gone to either service.
async fn both_sides(scene: &Scene, path: &str) -> Result<BTreeMap<String, Outcome>> {
    let mut sides = BTreeMap::new();
    for _ in 0..MOST_REQUESTS {
        let outcome = scene.get(&host("shop"), path, &[]).await?;
        let service = outcome.logged("upstream").and_then(|upstream| scene.service_at(upstream));
        let service = service.unwrap_or("nowhere").to_owned();
        sides.entry(service).or_insert(outcome);
        if sides.len() == 2 {
            break;
        }
    }
    ensure!(
        sides.len() == 2,
        "{MOST_REQUESTS} requests to the weighted route went only to {:?}",
        sides.keys()
    );
    Ok(sides)
}

fn row(scene: &Scene, request: &str, path: &str, service: &str, outcome: &Outcome) -> Row {
    let (to, address) = went_to(scene, service, outcome.logged("upstream"));
    let policy = match (to, outcome.status) {
        ("VIP", 403) => format!("denied {path} (403)"),
        ("VIP", 200) if outcome.through_waypoint => "allowed".into(),
        ("endpoint", 200) => skipped(scene, service).into(),
        ("refused", 503) => "-".into(),
        (_, status) => format!("status {status}?"),
    };
    finish(request, to, address, policy, |field| outcome.logged(field))
}

async fn health_check(scene: &Scene) -> Result<Row> {
    let outcome = scene.health_check(&host("greeter"), &[]).await?;
    let (to, address) = went_to(scene, "greeter", outcome.logged("upstream"));
    let policy = match &outcome.result {
        Ok(_) if outcome.through_waypoint() => "allowed".into(),
        Ok(_) => skipped(scene, "greeter").into(),
        Err(status) => format!("gRPC {:?}?", status.code()),
    };
    let request = format!("{} gRPC health check", host("greeter"));
    Ok(finish(&request, to, address, policy, |field| outcome.logged(field)))
}

fn finish<'a>(
    request: &str,
    to: &'static str,
    address: String,
    policy: String,
    logged: impl Fn(&str) -> Option<&'a str>,
) -> Row {
    let field = |name| logged(name).unwrap_or("-").to_owned();
    Row {
        request: request.into(),
        to,
        address,
        policy,
        decision: field("decision"),
        reason: field("reason"),
    }
}

fn went_to(scene: &Scene, service: &str, upstream: Option<&str>) -> (&'static str, String) {
    let Some(address) = upstream else { return ("refused", String::new()) };
    let is = |known: Option<std::net::SocketAddr>| {
        known.is_some_and(|known| known.to_string() == address)
    };
    let to = if is(scene.vip(service)) {
        "VIP"
    } else if is(scene.endpoint(service)) {
        "endpoint"
    } else {
        "elsewhere"
    };
    (to, address.to_owned())
}

/// A service that did not opt in is right to skip the waypoint.
fn skipped(scene: &Scene, service: &str) -> &'static str {
    let service = scene.example.service(service).unwrap_or_default();
    let asks = service.get("ingressUseWaypoint").is_some_and(|value| value == true);
    if asks { "skipped!" } else { "not asked for" }
}
