//! One service that hangs takes nothing from the others, though all VIPs are hosts of one cluster.

use testbed::scene::{Scene, SceneOptions};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::plain::{add_delays, forms, patched, without_the_filter};

/// More than the connections that Envoy allows a cluster by default, and more than those and as many
/// requests that wait.
const HANGING: [usize; 2] = [1_100, 2_100];

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_takes_nothing_from_the_others() {
    for form in forms() {
        let options = SceneOptions {
            // The first listener is that of reviews alone.
            edit_waypoint: Box::new(add_delays),
            ..SceneOptions::edited({
                let form = form.clone();
                move |ingress| {
                    let config = without_the_filter(ingress)?;
                    ingress.config = patched(&ingress.config, &config, &form);
                    Ok(())
                }
            })
        };
        let scene = Scene::start(options).await.unwrap();
        let mut clients = Vec::new();
        for hanging in HANGING {
            while clients.len() < hanging {
                let mut client = TcpStream::connect(scene.address()).await.unwrap();
                let request = "GET /slow HTTP/1.1\r\nhost: reviews.example.com\r\n\
                               x-envoy-fault-delay-request: 60000\r\n\r\n";
                client.write_all(request.as_bytes()).await.unwrap();
                clients.push(client);
            }
            let active = "http.ingress.downstream_rq_active";
            let all = |count| usize::try_from(count).unwrap() >= hanging;
            scene.ingress.wait_for_stat(active, all).await.unwrap();
            // On connections that are new at first.
            for _ in 0..10 {
                let outcome = scene.get("payments.example.com", "/", &[]).await.unwrap();
                assert_eq!(outcome.status, 200, "{form:?}, {hanging}: {:?}", outcome.log);
                assert!(outcome.through_waypoint, "{form:?}, {hanging}");
            }
        }
        // The one that hangs has its share, and no more.
        let connections = "cluster.waypoint_vip.upstream_cx_active";
        let connections = scene.ingress.stat(connections).await.unwrap().unwrap();
        assert!((1_024..1_200).contains(&connections), "{form:?}: {connections}");
        let refused = "cluster.waypoint_vip.upstream_rq_pending_overflow";
        assert_eq!(scene.ingress.stat(refused).await.unwrap(), Some(0), "{form:?}");
    }
}
