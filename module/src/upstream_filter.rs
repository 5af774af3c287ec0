//! The filter in the cluster that leads to the VIPs, for a route specifier alone: the address comes in
//! a header, and no upstream sees it.
//!
//! Envoy has chosen the host by the header when this runs. A retry would miss the header, which is removed
//! here. So the address goes into the filter state of the request, which comes before the header.

use ingress_waypoint::config::{Forward, ORIGINAL_DST_HEADER};
use ingress_waypoint::plan::ORIGINAL_DST_ADDRESS;

use crate::abi::{Flow, Metrics, Refused, Stream};
use crate::counters::Failures;
use crate::text::{Address, copy};

/// Its configuration.
pub struct Vip {
    header: String,
    failures: Failures,
}

impl Vip {
    /// Takes the header's name as the configuration; none is [`ORIGINAL_DST_HEADER`].
    pub fn new(text: &[u8], metrics: Metrics) -> Result<Self, Vec<String>> {
        let failures = Failures::define(metrics)
            .map_err(|refused| vec![format!("Envoy refused {}", refused.0)])?;
        let text = if text.is_empty() { ORIGINAL_DST_HEADER.as_bytes() } else { text };
        match std::str::from_utf8(text) {
            Ok(header) if Forward::is_header_name(header) => {
                Ok(Self { header: header.to_ascii_lowercase(), failures })
            }
            _ => Err(vec![format!("{:?} is not a header name", String::from_utf8_lossy(text))]),
        }
    }

    /// Counts a request that something failed for.
    pub fn count_failure(&self) {
        self.failures.count();
    }

    pub fn handle(&self, stream: &mut Stream<'_>) -> Result<Flow, Refused> {
        let address: Option<Address> = stream.header(&self.header).map(copy).transpose()?;
        if let Some(address) = address {
            stream.set_filter_state(ORIGINAL_DST_ADDRESS, address.as_str())?;
            stream.set_header(&self.header, None)?;
        }
        Ok(Flow::Continue)
    }
}
