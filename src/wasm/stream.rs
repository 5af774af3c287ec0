//! One request: asks the filter and carries the answer out.

use std::rc::Rc;

use log::{debug, error};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action as Flow, MapType, Status};

use super::filter::{Action, Filter, Ready};
use super::host;
use crate::config::{PROTOCOL_HEADER, Via};
use crate::request::Request;
use crate::service::Protocol;

/// Filter state (behind Envoy's prefix `wasm.`) for the access log, where `annotate` is on.
const DECISION: &str = "ingress_waypoint.decision";
const REASON: &str = "ingress_waypoint.reason";
const SERVICE: &str = "ingress_waypoint.service";

/// The context of one request.
pub struct Stream {
    /// `None` if the plugin has no configuration. Envoy then sends it no requests.
    pub filter: Option<Rc<Filter>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Flow {
        let Some(filter) = &self.filter else {
            error!("refusing a request: its plugin has no configuration");
            return refuse("ingress_waypoint.failed", "failed\n");
        };
        decide_and_carry_out(filter).unwrap_or_else(|status| {
            // Half carried out is not carried out: nothing may go on to the endpoints.
            error!("refusing a request: Envoy answered a host call with {status:?}");
            refuse("ingress_waypoint.host-call-failed", "host-call-failed\n")
        })
    }
}

fn refuse(details: &str, body: &str) -> Flow {
    if host::refuse(details, body).is_err() {
        // A request held for ever would be no answer: leave it to the failure policy.
        std::process::abort();
    }
    Flow::Pause
}

/// What the filter reads of the request that is handled.
struct Current;

impl Request for Current {
    type Text = Vec<u8>;
    type Error = Status;

    fn cluster(&self) -> Result<Vec<u8>, Status> {
        Ok(host::property(b"xds\0cluster_name")?.unwrap_or_default())
    }

    fn header(&self, name: &str) -> Result<Option<Vec<u8>>, Status> {
        hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name)
    }

    fn route_service(&self) -> Result<Option<Vec<u8>>, Status> {
        host::property(b"xds\0route_metadata\0filter_metadata\0ingress_waypoint\0service")
    }

    fn route_port(&self) -> Result<Option<f64>, Status> {
        let port = host::property(b"xds\0route_metadata\0filter_metadata\0ingress_waypoint\0port")?;
        // Envoy gives a number as eight bytes; anything else is no port.
        let number = |bytes: Vec<u8>| <[u8; 8]>::try_from(bytes).map_or(0.0, f64::from_le_bytes);
        Ok(port.map(number))
    }

    fn has_vip_route(&self) -> Result<bool, Status> {
        let mark =
            host::property(b"xds\0route_metadata\0filter_metadata\0ingress_waypoint\0vip_route")?;
        // Envoy gives a boolean as one byte.
        Ok(mark.as_deref() == Some(&[1]))
    }
}

fn carry_out(filter: &Filter, ready: &Ready) -> Result<Flow, Status> {
    match (&ready.action, &filter.policy.forward().via) {
        (Action::Leave, _) => {}
        (Action::FilterState { message, protocol }, _) => {
            host::set_destination(message)?;
            choose_protocol(*protocol)?;
        }
        (Action::Header { address, protocol }, Via::OriginalDstHeader { header }) => {
            set_header(header, Some(address))?;
            choose_protocol(*protocol)?;
        }
        (Action::Cluster { message, cluster }, Via::ClusterHeader { header }) => {
            if let Some(message) = message {
                host::set_destination(message)?;
            }
            set_header(header, cluster.as_deref())?;
        }
        (Action::Refuse { details, body }, _) => {
            host::refuse(details, body)?;
            return Ok(Flow::Pause);
        }
        // The filter makes actions for its own mechanism only.
        (Action::Header { .. } | Action::Cluster { .. }, _) => {
            return Err(Status::InternalFailure);
        }
    }
    Ok(Flow::Continue)
}

fn annotate(ready: &Ready) -> Result<(), Status> {
    let (decision, reason) = ready.outcome.label();
    for (name, value) in [(DECISION, decision), (REASON, reason), (SERVICE, &*ready.service)] {
        hostcalls::set_property(vec![name], Some(value.as_bytes()))?;
    }
    Ok(())
}

fn decide_and_carry_out(filter: &Filter) -> Result<Flow, Status> {
    let answers = filter.answers(&filter.policy.ask(&Current)?);
    let ready = match &answers.without_vip_route {
        Some(without) if !Current.has_vip_route()? => without,
        _ => &answers.decided,
    };
    debug!("{}", ready.log);
    if filter.policy.annotate() {
        annotate(ready)?;
    }
    let flow = carry_out(filter, ready)?;
    filter.metrics.count(ready.outcome);
    Ok(flow)
}

/// Chooses between the two waypoint clusters. Either edit makes Envoy resolve the route anew, which
/// has to happen after the destination is set; a client's own header is overwritten or removed.
fn choose_protocol(protocol: Protocol) -> Result<(), Status> {
    match protocol {
        Protocol::Http => set_header(PROTOCOL_HEADER, None),
        Protocol::Http2 => set_header(PROTOCOL_HEADER, Some(protocol.as_str())),
    }
}

fn set_header(name: &str, value: Option<&str>) -> Result<(), Status> {
    match value {
        Some(value) => hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(value)),
        None => hostcalls::remove_map_value(MapType::HttpRequestHeaders, name),
    }
}
