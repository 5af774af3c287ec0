//! The arguments for a filter whose configuration a controller serves.

use anyhow::{Context as _, ensure};
use clap::Args;

use gateway::envoy::xds_server::{Address, Live, NodeName, Tls};

/// A controller that serves the filter's configuration.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// The controller that serves the filter's configuration over gRPC. Nothing that is written then
    /// depends on a service
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["config_path", "vm_switch"])]
    pub live: Option<Address>,
    /// The name by which the controller knows the gateway [default: NAMESPACE/NAME of --gateway]
    #[arg(long, value_name = "NAME", requires = "live")]
    pub node: Option<NodeName>,
    /// The certificates by which the proxy checks the controller's: a file in the proxy's file system
    #[arg(long, value_name = "PATH", requires = "live")]
    pub live_ca: Option<String>,
    /// The proxy's own certificate, if the controller asks for one: a file in the proxy's file system
    #[arg(long, value_name = "PATH", requires_all = ["live_ca", "live_key"])]
    pub live_cert: Option<String>,
    /// The key of that certificate
    #[arg(long, value_name = "PATH", requires = "live_cert")]
    pub live_key: Option<String>,
    /// The name in the controller's certificate [default: the host of --live]
    #[arg(long, value_name = "NAME", requires = "live_ca")]
    pub live_server_name: Option<String>,
    /// Connect to the controller in plain text. Whoever can answer in its place decides which requests
    /// go to their waypoint, and with the wasm filter also runs code in the proxy
    #[arg(
        long,
        requires = "live",
        conflicts_with_all = ["live_ca", "live_cert", "live_key", "live_server_name"]
    )]
    pub live_insecure: bool,
}

impl LiveArgs {
    /// The controller, if there is one. `node` is the gateway's usual name.
    ///
    /// # Errors
    /// If the gateway has no name, or it is not said how the connection is secured.
    pub fn live(&self, node: Option<NodeName>) -> anyhow::Result<Option<Live>> {
        let Some(address) = self.live.clone() else { return Ok(None) };
        ensure!(
            self.live_ca.is_some() || self.live_insecure,
            "--live: give --live-ca, the certificates by which the proxy checks the controller's, or \
             --live-insecure for plain text"
        );
        let node = self.node.clone().or(node);
        let node = node.context(
            "--live: give --node, the name by which the controller knows the gateway \
             (NAMESPACE/NAME of its Gateway)",
        )?;
        let tls = self.live_ca.clone().map(|ca| Tls {
            ca,
            own: self.live_cert.clone().zip(self.live_key.clone()),
            server_name: self.live_server_name.clone(),
        });
        Ok(Some(Live { address, node, tls }))
    }
}
