//! Which addresses can be VIPs.

use std::fmt;
use std::net::IpAddr;

/// Why a text is not a VIP, to be read after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotVip {
    /// It is not an address.
    NotAnAddress,
    /// It is more than one address.
    Range,
    /// No mesh captures it, and why.
    Uncaptured(&'static str),
}

impl fmt::Display for NotVip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnAddress => "is not an IP address",
            Self::Range => "is a range, not an address (only /32 and /128 are)",
            Self::Uncaptured(why) => why,
        })
    }
}

/// Reads an address that a mesh may capture; `/32` and `/128` are addresses too. Loopback addresses are
/// left to the caller.
///
/// # Errors
/// The text is not such an address.
pub fn read_vip(text: &str) -> Result<IpAddr, NotVip> {
    let (bare, prefix) = match text.split_once('/') {
        Some((bare, prefix)) => (bare, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = bare.parse().map_err(|_| NotVip::NotAnAddress)?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    match prefix.map(str::parse::<u8>) {
        None => {}
        Some(Ok(bits)) if bits == whole => {}
        Some(Ok(bits)) if bits < whole => return Err(NotVip::Range),
        Some(_) => return Err(NotVip::NotAnAddress),
    }
    // An IPv4 address in IPv6 clothes is dialled as what it is.
    let address = address.to_canonical();
    uncaptured(address).map_or(Ok(address), |why| Err(NotVip::Uncaptured(why)))
}

/// Why no mesh captures an address, to be read after it; `None` if one may. Mapped addresses count as what they map to.
fn uncaptured(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) if v4.octets()[0] == 0 => UNSPECIFIED,
        IpAddr::V4(v4) if v4.is_link_local() => LINK_LOCAL,
        IpAddr::V4(v4) if v4.is_broadcast() => {
            Some("is a broadcast address, which no mesh captures")
        }
        IpAddr::V6(v6) if v6.is_unspecified() => UNSPECIFIED,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => LINK_LOCAL,
        address if address.is_multicast() => Some("is a multicast address, which no mesh captures"),
        _ => None,
    }
}

const UNSPECIFIED: Option<&str> = Some("is an unspecified address, which no mesh captures");
const LINK_LOCAL: Option<&str> = Some("is a link-local address, which no mesh captures");

/// Whether it is a loopback address, which is a VIP only on one machine; mapped ones too.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
