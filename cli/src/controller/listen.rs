//! Sockets for addresses as `:8080`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Listens on `HOST:PORT`, or on all addresses of the machine for `:PORT`.
///
/// # Errors
/// With the name of the flag and the address.
pub async fn listen(flag: &str, address: &str) -> anyhow::Result<TcpListener> {
    let bound = bind(address).await;
    let listener = bound.with_context(|| format!("{flag}: cannot listen on {address:?}"))?;
    tracing::info!("{flag}: listening on {}", listener.local_addr()?);
    Ok(listener)
}

async fn bind(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else { return TcpListener::bind(address).await };
    let port: u16 = port.parse().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{port:?} is not a port"))
    })?;
    // It takes IPv4 too, where the machine has both.
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
        }
        bound => bound,
    }
}
