//! The filter as a native Envoy dynamic module, for Envoy 1.40: it translates between Envoy and the core,
//! and decides nothing.
//!
//! Two entry points share one table of services for the whole process (`source`):
//!
//! - the route specifier `specifier` is handed each resolved route, and for a service that asks for its
//!   waypoint replaces the upstream cluster by the one that leads to the VIP;
//! - the HTTP filter `ingress` does what the wasm form does, and hands over as filter state what the
//!   specifier chose. A second filter, `vip`, stands in the VIP's cluster where there is a specifier
//!   alone, and keeps the address from going upstream.
//!
//! The configuration of either is that of the wasm form, or the name of a file that holds it, which is
//! then followed: `{"file": "/etc/ingress-waypoint/services.json"}`.
//!
//! Envoy is spoken to in `abi` alone.
#![deny(unsafe_code)]

mod abi;
mod carry;
mod counters;
mod filter;
mod ingress;
mod source;
mod specifier;
#[cfg(test)]
mod tests;
mod vip;
mod watch;

use ingress_waypoint::Text;

use abi::Refused;

/// The namespace of what is written to route metadata and dynamic metadata.
const NAMESPACE: &str = "ingress_waypoint";
/// Its key for the address, `IP:port`: written by the specifier, read by the filter.
const DESTINATION: &str = "destination";
/// Its keys for the access log, as the wasm form has them in filter state.
const DECISION: &str = "decision";
const REASON: &str = "reason";
const SERVICE: &str = "service";

/// The filter state from which an ORIGINAL_DST cluster takes the address.
const ORIGINAL_DST_ADDRESS: &str = "envoy.network.transport_socket.original_dst_address";

/// `IP:port`; the longest is 47 bytes.
type Address = Text<64>;
/// `namespace/name`, of names of up to 253 bytes each.
type Name = Text<512>;
/// What a refused client is told.
type Line = Text<1024>;

/// A copy of text of Envoy's, which would be gone at the next change.
fn copy<const N: usize>(bytes: &[u8]) -> Result<Text<N>, Refused> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| Text::of(text).ok())
        .ok_or(Refused("its own text"))
}

/// Something short as text.
fn show<const N: usize>(shown: impl std::fmt::Display) -> Result<Text<N>, Refused> {
    Text::of(shown).map_err(|_| Refused("a text that long"))
}
