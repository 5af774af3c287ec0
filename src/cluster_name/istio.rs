//! Istio: `outbound|PORT|SUBSET|HOST`, and `outbound_.PORT_.SUBSET_.HOST` where a gateway passes
//! mTLS through by SNI (`BuildSubsetKey` and `BuildDNSSrvSubsetKey` in Istio's `pilot/pkg/model`).

use super::named::Named;
use crate::host::parse_port;

pub(super) fn read(cluster: &str) -> Option<Named<'_>> {
    let (port, rest) = if let Some(rest) = cluster.strip_prefix("outbound|") {
        let (port, rest) = at_bar(rest)?;
        (port, at_bar(rest)?.1)
    } else {
        let (port, rest) = cluster.strip_prefix("outbound_.")?.split_once("_.")?;
        (port, rest.split_once("_.")?.1)
    };
    let (port, host) = (parse_port(port)?, rest);
    let is_host = !host.is_empty() && !host.bytes().any(|byte| byte == b'|');
    is_host.then_some(Named::Host { host, port })
}

/// What is before and behind the first bar. These are a few bytes, for which the searches of the standard
/// library take longer to set up than to run: a third of a decision's instructions.
fn at_bar(text: &str) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == b'|')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}
