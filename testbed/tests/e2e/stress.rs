//! A hundred swaps of a table of 100,000 services, under load: `make stress`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use serde_json::{Map, Value, json};
use testbed::client::{Connection, Request, Version};

use crate::common::scene;

const SERVICES: usize = 100_000;
const SWAPS: u64 = 100;

fn write(path: &Path, services: &Map<String, Value>, round: u64) -> Result<()> {
    let mut services = services.clone();
    let list = services["services"].as_array_mut().unwrap();
    list.extend((0..SERVICES).map(|i| {
        let [_, a, b, c] = u32::try_from(i).unwrap().to_be_bytes();
        json!({"namespace": "stress", "name": format!("service-{i}-{}", round % 2),
               "vips": [format!("10.{a}.{b}.{c}")], "ports": [{"number": 80}, {"number": 443}],
               "waypoint": "stress/waypoint", "ingressUseWaypoint": i % 2 == 0})
    }));
    let beside = path.with_extension("new");
    fs::write(&beside, json!(services).to_string())?;
    Ok(fs::rename(beside, path)?)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make stress"]
async fn swaps_under_load_fail_no_request_and_hold_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.json");
    let named = path.clone();
    let scene = scene("module-specifier.yaml", move |ingress| {
        // The access log of all this would only fill the disk.
        ingress.connection_manager()?.remove("access_log");
        let services = ingress.plugin()?;
        fs::write(named.with_extension("base"), json!(services).to_string())?;
        write(&named, &services, 0)?;
        ingress.set_plugin(&json!({"file": named}))
    })
    .await;
    let base = fs::read(path.with_extension("base")).unwrap();
    let base: Map<String, Value> = serde_json::from_slice(&base).unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let (answered, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (done, answered, failed) = (done.clone(), answered.clone(), failed.clone());
        let address = scene.address();
        clients.push(tokio::spawn(async move {
            let mut connection = Connection::open(address, Version::Http2).await.unwrap();
            let request = Request::get("reviews.example.com", "/");
            while !done.load(Ordering::Relaxed) {
                let response = connection.send(&request).await;
                let good =
                    response.is_ok_and(|r| r.status == 200 && r.text().contains("x-waypoint"));
                let count = if good { &answered } else { &failed };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let accepted = "dynamicmodulescustom.ingress_waypoint.result.accepted.reloads_total";
    let mut memory = Vec::new();
    for round in 1..=SWAPS {
        write(&path, &base, round).unwrap();
        scene.ingress.wait_for_stat(accepted, |count| count >= round).await.unwrap();
        memory.push(scene.ingress.memory().unwrap());
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let (answered, failed) = (answered.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    // The least of several: between two swaps, when neither an old table nor a text is held beside.
    let least = |swaps: &[u64]| swaps.iter().min().copied().unwrap();
    let tenths: Vec<_> = memory.chunks(10).map(least).collect();
    println!(
        "{answered} requests answered, {failed} failed; KiB held in each tenth of the swaps: {tenths:?}"
    );
    // Not the first, in which the allocator finds its level.
    let (before, after) = (tenths[1], tenths[9]);
    assert_eq!(failed, 0);
    assert!(answered > 1000);
    assert!(after < before + before / 20, "grew from {before} KiB to {after} KiB: {memory:?}");
}
