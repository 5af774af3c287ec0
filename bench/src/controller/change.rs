//! One change, and the request that goes the new way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testbed::client::{Connection, Request, Version};
use testbed::kube::ApiServer;
use testbed::live::{LABEL, service};
use testbed::wait::PATIENCE;
use tokio::time::sleep;

/// The service that changes.
const SERVICE: &str = "ratings";
/// Between two requests. A loop without a pause would take the CPU of what is measured.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(1);

/// The label of a service, set and removed in turn.
pub struct Changes<'a> {
    api: &'a ApiServer,
    gateway: SocketAddr,
    connection: Connection,
    is_set: bool,
}

impl<'a> Changes<'a> {
    /// Seen through that gateway. The label is not set.
    ///
    /// # Errors
    /// If the gateway takes no connection.
    pub async fn new(api: &'a ApiServer, gateway: SocketAddr) -> Result<Self> {
        let connection = Connection::open(gateway, Version::Http1).await?;
        Ok(Self { api, gateway, connection, is_set: false })
    }

    /// Makes a change. Gives the moment at which the API server had taken it.
    ///
    /// # Errors
    /// If the API server does not take it.
    pub async fn make(&mut self) -> Result<Instant> {
        self.is_set = !self.is_set;
        let value = self.is_set.then_some("true");
        self.api.label(&service(SERVICE), LABEL, value).await?;
        Ok(Instant::now())
    }

    /// Makes a change, and sends requests until one goes the new way. Gives the time from the API server's answer to the
    /// end of that request.
    ///
    /// # Errors
    /// If the API server does not take it, a request fails, or none goes the new way.
    pub async fn change(&mut self) -> Result<Duration> {
        let start = self.make().await?;
        while self.through_waypoint().await? != self.is_set {
            ensure!(
                start.elapsed() < PATIENCE,
                "a change of {SERVICE} did not reach {}",
                self.gateway
            );
            sleep(BETWEEN_REQUESTS).await;
        }
        Ok(start.elapsed())
    }

    /// Removes the label.
    ///
    /// # Errors
    /// If that does not work.
    pub async fn end(mut self) -> Result<()> {
        if self.is_set {
            self.change().await?;
        }
        Ok(())
    }

    async fn through_waypoint(&mut self) -> Result<bool> {
        let request = Request::get(&format!("{SERVICE}.example.com"), "/");
        let response = self.connection.send(&request).await?;
        ensure!(response.status == 200, "a request was answered with {}", response.status);
        // The endpoint answers with the headers that it saw.
        Ok(response.text().contains("x-waypoint"))
    }
}
