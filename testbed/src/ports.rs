//! Free ports for servers that are told their port in advance.
//!
//! They come from below the kernel's ephemeral range, so that no outgoing connection takes one
//! between its choice and its use, and each is chosen once per process. Envoy listens with
//! `SO_REUSEPORT`, with which two Envoys would silently share a port: the check binds without it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// The ports that the files under `envoy/` are written with.
pub const DOCUMENTED: [u16; 11] =
    [10_000, 9901, 9902, 9080, 50_051, 18_000, 18_081, 18_082, 18_083, 18_084, 18_085];

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

static CHOSEN: AtomicU32 = AtomicU32::new(0);

/// A port that is free on each of `addresses`.
pub fn free(addresses: &[IpAddr]) -> Result<u16> {
    // Processes started one after the other begin far apart.
    let start = std::process::id().wrapping_mul(211) % COUNT;
    for _ in 0..COUNT {
        let offset = start.wrapping_add(CHOSEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).context("a port beyond 65535")?;
        if is_free(addresses, port) {
            return Ok(port);
        }
    }
    anyhow::bail!("no port between {FIRST} and {} is free on {addresses:?}", FIRST + COUNT - 1)
}

fn is_free(addresses: &[IpAddr], port: u16) -> bool {
    // All are held until the last is checked, so that a listener on 0.0.0.0 is noticed.
    let held: Result<Vec<_>, _> =
        addresses.iter().map(|&ip| TcpListener::bind(SocketAddr::new(ip, port))).collect();
    held.is_ok()
}

/// The free port for each documented one, shared by all files of one scene.
#[derive(Clone, Debug)]
pub struct Ports(BTreeMap<u16, u16>);

impl Ports {
    /// Chooses free ports, on all the addresses that the examples listen on.
    pub fn choose() -> Result<Self> {
        let loopback: Vec<IpAddr> = std::iter::once([127, 0, 0, 1])
            .chain((1..=9).map(|n| [127, 0, 1, n]))
            .map(IpAddr::from)
            .collect();
        let chosen: Result<_> =
            DOCUMENTED.iter().map(|&port| Ok((port, free(&loopback)?))).collect();
        Ok(Self(chosen?))
    }

    /// Others, but for these documented ones, which stay as they are.
    pub fn others(&self, kept: &[u16]) -> Result<Self> {
        let mut others = Self::choose()?;
        others.0.extend(kept.iter().map(|&port| (port, self.get(port))));
        Ok(others)
    }

    /// The port in use for a documented one; any other number stays.
    pub fn get(&self, documented: u16) -> u16 {
        self.0.get(&documented).copied().unwrap_or(documented)
    }

    /// Replaces each number in `text` that is a documented port.
    pub fn replace(&self, text: &str) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let in_word = |c: char| c.is_alphanumeric() || c == '_';
            let same_kind = |c: char| in_word(c) == in_word(first);
            let (token, after) = rest.split_at(rest.find(|c| !same_kind(c)).unwrap_or(rest.len()));
            match token.parse().ok().and_then(|port: u16| self.0.get(&port)) {
                Some(port) => replaced.push_str(&port.to_string()),
                None => replaced.push_str(token),
            }
            rest = after;
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_are_ports() {
        let ports = Ports([(9080, 20_001), (10_000, 20_002)].into());
        assert_eq!(
            ports.replace("\"outbound|9080||a.b\" port: 9080, 90800 a9080 10000ms {n: 10000}"),
            "\"outbound|20001||a.b\" port: 20001, 90800 a9080 10000ms {n: 20002}",
        );
    }

    #[test]
    fn a_port_is_given_once_and_only_when_it_is_free_everywhere() {
        let addresses: Vec<IpAddr> =
            ["127.0.0.1", "127.0.1.1"].map(|ip| ip.parse().unwrap()).into();
        let first = free(&addresses).unwrap();
        assert_ne!(first, free(&addresses).unwrap());

        let _taken = TcpListener::bind((addresses[1], first)).unwrap();
        assert!(!is_free(&addresses, first));
        assert!(is_free(&addresses[..1], first));
    }
}
