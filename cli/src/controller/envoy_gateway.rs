//! Envoy Gateway's extension server as the arguments want it.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;

use ::controller::envoy_gateway::resync::{Gateways, Timing};
use ::controller::envoy_gateway::{ExtensionServer, Filter, Socket};
use ::controller::node::Node;
use anyhow::{Context as _, ensure};
use gateway::envoy::Form;
use gateway::envoy::fragments::Wasm;
use gateway::envoy::native::Module;
use gateway::envoy::xds_server::{Live, NodeName};
use gateway::table::routes::ENVOY_GATEWAY_CONTROLLER;
use source::watch::Connection;
use tokio::net::{UnixListener, UnixStream};

use super::args::{Arguments, EnvoyGatewayMode};
use super::listen::listen;
use crate::args::FormName;

const FLAG: &str = "--envoy-gateway-addr";

/// The server, if there is to be one.
///
/// # Errors
/// If the address cannot be used, or the Gateways are of several namespaces.
pub async fn server(
    args: &Arguments,
    connection: &Arc<Connection>,
) -> anyhow::Result<Option<ExtensionServer>> {
    let own = &args.envoy_gateway;
    let Some(address) = &own.envoy_gateway_addr else { return Ok(None) };
    ensure!(
        !args.follows_routes()
            || own.envoy_gateway_controller.starts_with(ENVOY_GATEWAY_CONTROLLER),
        "--envoy-gateway-controller: {:?} does not begin with {ENVOY_GATEWAY_CONTROLLER:?}, and the clusters of its routes \
         would not be known (--route-clusters, and the mode filter)",
        own.envoy_gateway_controller
    );
    let filter = filter(args)?;
    let namespace = namespace(&args.node)?;
    let socket = match address.strip_prefix("unix:") {
        Some(path) => Socket::Unix(unix(Path::new(path)).await?),
        None => {
            ensure!(
                own.envoy_gateway_insecure || is_loopback(address),
                "{FLAG}: {address:?} is reached from other machines, in plain text: give unix:PATH, \
                 or --envoy-gateway-insecure if the mesh encrypts and authorizes"
            );
            Socket::Tcp(listen(FLAG, address).await?)
        }
    };
    let gateways = Some(Gateways {
        connection: Arc::clone(connection),
        controller_name: own.envoy_gateway_controller.clone(),
        selector: own.envoy_gateway_selector.clone(),
        timing: Timing::default(),
    });
    Ok(Some(ExtensionServer { socket, namespace, gateways, filter }))
}

/// What is put into the proxies, in the mode that does so.
fn filter(args: &Arguments) -> anyhow::Result<Option<Filter>> {
    let own = &args.envoy_gateway;
    let Some(first) = args.node.first() else {
        ensure!(
            own.envoy_gateway_mode == EnvoyGatewayMode::Endpoints,
            "--envoy-gateway-mode filter: give --node, the Gateways whose proxies get the filter"
        );
        return Ok(None);
    };
    if own.envoy_gateway_mode == EnvoyGatewayMode::Endpoints {
        return Ok(None);
    }
    let address = own.envoy_gateway_xds.clone().context(
        "--envoy-gateway-mode filter: give --envoy-gateway-xds, where the proxies reach the xDS server",
    )?;
    ensure!(
        own.envoy_gateway_xds_ca.is_some() || own.envoy_gateway_xds_insecure,
        "--envoy-gateway-xds: give --envoy-gateway-xds-ca, the certificates by which the proxies check the xDS \
         server's, or --envoy-gateway-xds-insecure for plain text"
    );
    let certificate = own.envoy_gateway_xds_client_cert.clone();
    let tls = own.envoy_gateway_xds_ca.clone().map(|ca| gateway::envoy::xds_server::Tls {
        ca,
        own: certificate.zip(own.envoy_gateway_xds_client_key.clone()),
        server_name: own.envoy_gateway_xds_server_name.clone(),
    });
    let live = Some(Live { address, node: NodeName(first.name.clone()), tls });
    let form = match own.envoy_gateway_form {
        FormName::Wasm => {
            ensure!(
                args.xds.wasm.is_some(),
                "--envoy-gateway-form wasm: give --wasm, the module that the proxies run"
            );
            Form::Wasm(Wasm { live, ..Wasm::default() })
        }
        FormName::Module => Form::Module(Module { live, ..Module::default() }),
    };
    Ok(Some(Filter::new(form, args.node.clone())))
}

/// The namespace of the Gateways: a call does not say for which one it is.
fn namespace(nodes: &[Node]) -> anyhow::Result<Option<String>> {
    let namespaces: BTreeSet<_> = nodes.iter().map(|node| &node.namespace).collect();
    ensure!(
        namespaces.len() < 2,
        "{FLAG}: Envoy Gateway does not say for which Gateway it asks: give only nodes of one namespace by --node"
    );
    Ok(nodes.first().and_then(|node| node.namespace.clone()))
}

/// Whether other machines cannot reach it.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']));
    host.is_some_and(|host| {
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    })
}

/// Listens on a Unix socket. One that a process left behind is replaced.
async fn unix(path: &Path) -> anyhow::Result<UnixListener> {
    let bound = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path).await => {
            std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
        }
        bound => bound,
    };
    let listener = bound
        .with_context(|| format!("{FLAG}: cannot listen on {:?}", path.display().to_string()))?;
    tracing::info!("{FLAG}: listening on {}", path.display());
    Ok(listener)
}

async fn is_left_behind(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let refuses = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.is_err_and(refuses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Vec<Node> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn gateways_are_of_one_namespace() {
        let of = |names: &[&str]| namespace(&nodes(names)).map_err(|error| error.to_string());
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["edge"]), Ok(None));
        assert_eq!(of(&["infra/a", "infra/b"]), Ok(Some("infra".to_owned())));
        for several in [["infra/a", "shop/b"], ["infra/a", "edge"]] {
            assert!(of(&several).unwrap_err().contains("--node"), "{several:?}");
        }
    }

    #[test]
    fn loopback_addresses() {
        for address in ["127.0.0.1:80", "[::1]:80", "localhost:80"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in [":80", "0.0.0.0:80", "[::]:80", "10.0.0.1:80", "example.com:80", "x"] {
            assert!(!is_loopback(address), "{address}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.sock");
        let first = unix(&path).await.unwrap();
        let refused = unix(&path).await.unwrap_err();
        assert!(format!("{refused:#}").starts_with(FLAG), "{refused:#}");
        drop(first);
        unix(&path).await.unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "kept").unwrap();
        unix(&file).await.unwrap_err();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "kept");
    }
}
