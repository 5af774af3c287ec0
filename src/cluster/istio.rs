//! Istio: `outbound|PORT|SUBSET|HOST`, and `outbound_.PORT_.SUBSET_.HOST` where a gateway passes
//! mTLS through by SNI (`BuildSubsetKey` and `BuildDNSSrvSubsetKey` in Istio's `pilot/pkg/model`).

use super::Named;
use crate::host::parse_port;

pub(super) fn read(cluster: &str) -> Option<Named<'_>> {
    let mut parts = if let Some(rest) = cluster.strip_prefix("outbound|") {
        rest.splitn(3, "|")
    } else {
        cluster.strip_prefix("outbound_.")?.splitn(3, "_.")
    };
    let port = parse_port(parts.next()?)?;
    let _subset = parts.next()?;
    let host = parts.next().filter(|host| !host.is_empty() && !host.contains('|'))?;
    Some(Named::Host { host, port })
}
