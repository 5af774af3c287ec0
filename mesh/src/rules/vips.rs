//! The VIPs: which addresses the mesh captures a service at.

use std::fmt;
use std::net::IpAddr;

use ingress_waypoint::{NotVip, is_loopback, read_vip};

use crate::objects::facts::{EntryFacts, ServiceFacts};

/// A service's addresses and where they came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Vips {
    /// In the order of the object, which is the order of preference.
    pub addresses: Vec<IpAddr>,
    /// The field that decided.
    pub field: VipField,
    /// What stands there.
    pub value: String,
    /// Why there is no address, to be read after the value.
    pub none: Option<&'static str>,
    /// Values that are not VIPs.
    pub dropped: Vec<Dropped>,
}

/// The fields that decide about the addresses, of a Service and of a ServiceEntry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
#[allow(missing_docs)]
pub enum VipField {
    #[default]
    ClusterIp,
    ClusterIps,
    Addresses,
    StatusAddresses,
    Resolution,
    AutoAllocateLabel,
}

impl VipField {
    /// As reports name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIp => "spec.clusterIP",
            Self::ClusterIps => "spec.clusterIPs",
            Self::Addresses => "spec.addresses",
            Self::StatusAddresses => "status.addresses",
            Self::Resolution => "spec.resolution",
            Self::AutoAllocateLabel => {
                "metadata.labels[networking.istio.io/enable-autoallocate-ip]"
            }
        }
    }
}

impl fmt::Display for VipField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A value that is not a VIP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dropped {
    /// Where: `spec.addresses[1]`.
    pub field: String,
    /// What stands there.
    pub value: String,
    /// Why, to be read after the value.
    pub why: WhyDropped,
}

/// Why a value is not used as a VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhyDropped {
    /// It never is one.
    NotVip(NotVip),
    /// It is a loopback address, and these are not allowed.
    Loopback,
}

impl fmt::Display for WhyDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotVip(why) => why.fmt(f),
            Self::Loopback => f.write_str(
                "is a loopback address, which no mesh captures (for a test on one machine: --allow-loopback)",
            ),
        }
    }
}

impl Dropped {
    /// Whether it is more than one address.
    pub fn is_range(&self) -> bool {
        self.why == WhyDropped::NotVip(NotVip::Range)
    }

    /// Whether it is not an address at all.
    pub fn is_unreadable(&self) -> bool {
        self.why == WhyDropped::NotVip(NotVip::NotAnAddress)
    }
}

impl Vips {
    /// Whether they are those of a headless Service.
    pub fn is_headless(&self) -> bool {
        self.value == "None"
    }

    /// What to change so that there is an address, if there is none.
    pub fn fix(&self) -> &'static str {
        let all_dropped = !self.dropped.is_empty();
        match self.field {
            VipField::Addresses => "give it an address in spec.addresses that can be dialled",
            VipField::Resolution if self.value == "NONE" => {
                "give it spec.addresses, or a resolution other than NONE and wait for an address"
            }
            VipField::Resolution => "give it spec.addresses, or a host without a wildcard",
            VipField::StatusAddresses if all_dropped => "give it spec.addresses",
            VipField::StatusAddresses => {
                "wait for the mesh to allocate an address, or give it spec.addresses"
            }
            VipField::AutoAllocateLabel => {
                "take the label networking.istio.io/enable-autoallocate-ip off it, or give it spec.addresses"
            }
            _ if self.is_headless() => {
                "give it a ClusterIP: a headless service has to be made anew for that"
            }
            _ if all_dropped => {
                "give it a ClusterIP that the mesh captures: it has to be made anew for that"
            }
            _ => {
                "read the Service from the cluster, which allocates its ClusterIP: a manifest does not have it"
            }
        }
    }

    /// `spec.clusterIPs`, else `spec.clusterIP`; never `None`, a load balancer's or external IPs.
    pub fn of_service(service: &ServiceFacts, allow_loopback: bool) -> Self {
        let (field, values) = match (&*service.cluster_ips, &service.cluster_ip) {
            ([], single) => (VipField::ClusterIp, single.as_slice()),
            (ips, _) => (VipField::ClusterIps, ips),
        };
        let given = values.join(", ");
        let addresses = values.iter().filter(|value| !value.is_empty() && *value != "None");
        let item = |i: usize| {
            if field == VipField::ClusterIp { field.to_string() } else { format!("{field}[{i}]") }
        };
        let mut vips = Self::read(addresses, item, allow_loopback).all_or_none();
        if vips.addresses.is_empty() {
            vips.none =
                Some(match (values.iter().any(|value| value == "None"), given.is_empty()) {
                    (true, _) => "makes it a headless service: there is no VIP to dial",
                    (_, true) => "is empty: no address is allocated yet",
                    _ => "holds no address that can be dialled",
                });
        }
        Self { field, value: given, ..vips }
    }

    /// `spec.addresses`; if that is empty, what was allocated for this host.
    pub fn of_host(entry: &EntryFacts, host: &str, allow_loopback: bool) -> Self {
        let resolution = entry.resolution.as_deref().unwrap_or("NONE");
        if !entry.addresses.is_empty() {
            let item = |i: usize| format!("spec.addresses[{i}]");
            let mut vips = Self::read(entry.addresses.iter(), item, allow_loopback).all_or_none();
            if vips.addresses.is_empty() {
                vips.none = Some("holds no address that can be dialled");
            }
            return Self { field: VipField::Addresses, value: entry.addresses.join(", "), ..vips };
        }
        let none = |field, value: &str, why| Self {
            field,
            value: value.to_owned(),
            none: Some(why),
            ..Self::default()
        };
        if resolution == "NONE" {
            let why = "allows no allocated address, and spec.addresses is empty";
            return none(VipField::Resolution, resolution, why);
        }
        let label = entry.meta.labels.get("networking.istio.io/enable-autoallocate-ip");
        if let Some(value) = label.filter(|value| value.eq_ignore_ascii_case("false")) {
            let why = "forbids allocated addresses, and spec.addresses is empty";
            return none(VipField::AutoAllocateLabel, value, why);
        }
        if host.starts_with('*') && resolution != "DYNAMIC_DNS" {
            let why = "allows no allocated address for a wildcard host (only DYNAMIC_DNS does)";
            return none(VipField::Resolution, resolution, why);
        }
        let of_host = entry.status_addresses.iter().enumerate();
        let of_host = of_host.filter(|(_, address)| address.host.as_deref() == Some(host));
        let (places, values): (Vec<_>, Vec<_>) =
            of_host.filter_map(|(i, address)| Some((i, address.value.as_ref()?))).unzip();
        let item =
            |i: usize| format!("status.addresses[{}].value", places.get(i).copied().unwrap_or(i));
        let mut vips = Self::read(values.iter().copied(), item, allow_loopback);
        if vips.addresses.is_empty() {
            vips.none = Some("has no address allocated for this host yet");
        }
        let given: Vec<_> = values.into_iter().map(String::as_str).collect();
        Self { field: VipField::StatusAddresses, value: given.join(", "), ..vips }
    }

    fn read<'a>(
        values: impl Iterator<Item = &'a String>,
        item: impl Fn(usize) -> String,
        allow_loopback: bool,
    ) -> Self {
        let mut vips = Self::default();
        for (i, value) in values.enumerate() {
            match address(value, allow_loopback) {
                Ok(address) if vips.addresses.contains(&address) => {}
                Ok(address) => vips.addresses.push(address),
                Err(why) => {
                    vips.dropped.push(Dropped { field: item(i), value: value.clone(), why });
                }
            }
        }
        vips
    }

    /// Istio leaves out a service of which it cannot read an address that somebody gave it; ranges it
    /// can read. Of allocated addresses it leaves out that one alone.
    fn all_or_none(mut self) -> Self {
        if self.dropped.iter().any(Dropped::is_unreadable) {
            self.addresses.clear();
        }
        self
    }
}

/// Reads an address as the filter's configuration takes it.
pub(crate) fn address(text: &str, allow_loopback: bool) -> Result<IpAddr, WhyDropped> {
    match read_vip(text).map_err(WhyDropped::NotVip)? {
        address if is_loopback(address) && !allow_loopback => Err(WhyDropped::Loopback),
        address => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        const RANGE: Result<&str, WhyDropped> = Err(WhyDropped::NotVip(NotVip::Range));
        const NO_ADDRESS: Result<&str, WhyDropped> = Err(WhyDropped::NotVip(NotVip::NotAnAddress));
        let cases = [
            ("10.0.0.1", Ok("10.0.0.1")),
            ("10.0.0.1/32", Ok("10.0.0.1")),
            ("2001:db8::1", Ok("2001:db8::1")),
            ("2001:db8::1/128", Ok("2001:db8::1")),
            ("10.0.0.0/31", RANGE),
            ("10.1.0.0/16", RANGE),
            ("2001:db8::/32", RANGE),
            ("10.0.0.1/33", NO_ADDRESS),
            ("10.0.0.1/", NO_ADDRESS),
            ("example.com", NO_ADDRESS),
            ("", NO_ADDRESS),
            (
                "0.1.2.3",
                Err(WhyDropped::NotVip(NotVip::Uncaptured(
                    "is an unspecified address, which no mesh captures",
                ))),
            ),
            (
                "::ffff:169.254.169.254",
                Err(WhyDropped::NotVip(NotVip::Uncaptured(
                    "is a link-local address, which no mesh captures",
                ))),
            ),
            ("127.1.2.3", Err(WhyDropped::Loopback)),
            ("::1/128", Err(WhyDropped::Loopback)),
            ("::ffff:127.0.0.1", Err(WhyDropped::Loopback)),
            ("::ffff:10.0.0.1", Ok("10.0.0.1")),
            ("::ffff:10.0.0.1/128", Ok("10.0.0.1")),
            ("::ffff:10.0.0.1/32", RANGE),
            ("10.0.0.1/032", Ok("10.0.0.1")),
            ("010.0.0.1", NO_ADDRESS),
            ("fe80::1%eth0", NO_ADDRESS),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(address(text, false), expected, "{text:?}");
        }
        assert_eq!(address("127.1.2.3", true), Ok([127, 1, 2, 3].into()));
    }
}
