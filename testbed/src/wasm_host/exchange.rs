//! A request as it is given to the filter, and what the filter did with it.

use std::collections::BTreeMap;

use super::state::{FilterState, HostCall, LocalResponse, Status};

/// A request as the filter sees it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What `get_property` finds, by path: `xds.cluster_name`. Serialised as Envoy would.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// The request headers, with pseudo-headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Host calls to fail, by the name they are recorded under.
    pub failing: BTreeMap<String, Status>,
}

impl Request {
    /// A request whose route has selected `cluster`.
    pub fn to_cluster(cluster: &str) -> Self {
        Self::default().property("xds.cluster_name", cluster)
    }

    /// The same on a route that is marked to have a VIP route beside it.
    pub fn marked(self) -> Self {
        self.property("xds.route_metadata.filter_metadata.ingress_waypoint.vip_route", [1])
    }

    /// The same with one more property.
    pub fn property(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        self.properties.insert(path.into(), value.as_ref().to_vec());
        self
    }

    /// The same with one more header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// The same, for which a host call fails.
    pub fn failing(mut self, call: &str, status: Status) -> Self {
        self.failing.insert(call.into(), status);
        self
    }
}

/// What the filter did with a request.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Each host call, from the creation of the request's context to its deletion.
    pub host_calls: Vec<HostCall>,
    /// The response that the filter sent instead of letting the request go on.
    pub local_response: Option<LocalResponse>,
    /// The filter state it wrote, by its full name.
    pub filter_state: BTreeMap<String, FilterState>,
    /// The request headers afterwards.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whether the request goes on to the next filter.
    pub continues: bool,
    /// The trap that ended the VM, if one did.
    pub trap: Option<String>,
}

impl Exchange {
    /// Whether the VM trapped.
    pub fn trapped(&self) -> bool {
        self.trap.is_some()
    }

    /// A value of the filter state as text.
    pub fn state(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.filter_state.get(name)?.value).into_owned())
    }

    /// The first value of a request header afterwards, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}
