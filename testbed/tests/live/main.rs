//! Tests of the controller on a real API server, with a real Envoy that takes its services from it. `make live` runs
//! them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use testbed::kube::ApiServer;

#[tokio::test]
async fn starts() {
    let start = std::time::Instant::now();
    let mut api = ApiServer::start().await.unwrap();
    println!("{:?}", start.elapsed());
    api.apply(&testbed::kube::crd("networking.istio.io/v1", "ServiceEntry", true).unwrap())
        .await
        .unwrap();
    api.compact().await.unwrap();
    api.go();
    api.come().await.unwrap();
    println!("{:?}", start.elapsed());
}
