//! One request: reads what the core asks for, and applies the plan.

use std::rc::Rc;

use log::{debug, error};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType, Status};

use super::filter::{Call, Filter, Ready};
use super::host::{self, MetadataPaths};
use crate::plan::Refusal;
use crate::request::Request;

/// The context of one request.
pub struct Stream {
    /// `None` if the plugin has no configuration. Envoy then sends it no requests.
    pub filter: Option<Rc<Filter>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let Some(filter) = &self.filter else {
            error!("refusing a request: its plugin has no configuration");
            return refuse(Refusal::Failed);
        };
        handle(filter).unwrap_or_else(|status| {
            // A plan that is half applied may not go on to the endpoints.
            error!("refusing a request: Envoy answered a host call with {status:?}");
            refuse(Refusal::HostCallFailed)
        })
    }
}

fn handle(filter: &Filter) -> Result<Action, Status> {
    let request = Current(&filter.paths);
    let answer = filter.answer(&filter.policy.ask(&request)?);
    let ready = answer.choose(&request)?;
    debug!("{}", ready.log);
    let action = apply(ready)?;
    filter.metrics.count(ready.outcome);
    Ok(action)
}

/// Envoy resolves the route anew at each change of a header, which is the last edit of a plan that wants it.
fn apply(ready: &Ready) -> Result<Action, Status> {
    for (name, value) in &ready.annotations {
        hostcalls::set_property(vec![name], Some(value.as_bytes()))?;
    }
    for edit in &ready.edits {
        let headers = MapType::HttpRequestHeaders;
        match edit {
            Call::SetDestination(message) => host::set_destination(message)?,
            Call::SetHeader(name, value) => hostcalls::set_map_value(headers, name, Some(value))?,
            Call::RemoveHeader(name) => hostcalls::remove_map_value(headers, name)?,
        }
    }
    match &ready.refusal {
        Some(refusal) => host::refuse(&refusal.details, &refusal.body).map(|()| Action::Pause),
        None => Ok(Action::Continue),
    }
}

fn refuse(refusal: Refusal<'_>) -> Action {
    if host::refuse(&refusal.details().to_string(), &refusal.to_string()).is_err() {
        // Envoy would hold the request for ever. The failure policy ends it.
        std::process::abort();
    }
    Action::Pause
}

/// The request whose callback is running.
struct Current<'f>(&'f MetadataPaths);

impl Request for Current<'_> {
    type Text = Vec<u8>;
    type Error = Status;

    fn cluster(&self) -> Result<Vec<u8>, Status> {
        Ok(host::property(b"xds\0cluster_name")?.unwrap_or_default())
    }

    fn header(&self, name: &str) -> Result<Option<Vec<u8>>, Status> {
        hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name)
    }

    fn route_service(&self) -> Result<Option<Vec<u8>>, Status> {
        host::property(&self.0.service)
    }

    fn route_port(&self) -> Result<Option<f64>, Status> {
        // Envoy gives a number as eight bytes; anything else is not a port.
        let number = |bytes: Vec<u8>| <[u8; 8]>::try_from(bytes).map_or(0.0, f64::from_le_bytes);
        Ok(host::property(&self.0.port)?.map(number))
    }

    fn has_vip_route(&self) -> Result<bool, Status> {
        // Envoy gives a boolean as one byte.
        Ok(host::property(&self.0.vip_route)?.as_deref() == Some(&[1]))
    }
}
