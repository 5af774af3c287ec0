//! The HTTP filter `ingress_waypoint`: what the wasm form does, and after the specifier what it chose.

use std::convert::Infallible;
use std::sync::Arc;

use ingress_waypoint::Request;
use ingress_waypoint::plan::{Choice, FilterPlan, NAMESPACE, PORT, SERVICE, VIP_ROUTE};

use crate::abi::{Flow, Level, Metrics, Refused, Stream, log};
use crate::apply::{edit_request, finish_request};
use crate::counters::Counters;
use crate::shared_table::{Role, Source};
use crate::text::{Name, copy};

/// The filter among those of the listener.
pub struct Ingress {
    source: Arc<Source>,
    counters: Arc<Counters>,
}

impl Ingress {
    pub fn new(text: &[u8], metrics: Metrics) -> Result<Self, Vec<String>> {
        let counters = Counters::define(metrics)
            .map(Arc::new)
            .map_err(|refused| vec![format!("Envoy refused {}", refused.0)])?;
        let source = Source::open(text, Role::Filter, Arc::clone(&counters))?;
        Ok(Self { source, counters })
    }

    /// Ends the use of the counters.
    pub fn close(&self) {
        self.source.close(&self.counters);
    }

    /// Counts a request that something failed for.
    pub fn count_failure(&self) {
        self.counters.count_failure();
    }

    /// The table, for tests of who shares it.
    #[cfg(test)]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub fn handle(&self, stream: &mut Stream<'_>) -> Result<Flow, Refused> {
        let policy = self.source.policy();
        if policy.is_none() {
            self.source.report_missing();
        }
        // Asking for the cluster resolves the route where a filter in front has cleared it; asking for
        // metadata does not, and would find what an earlier route was given.
        stream.cluster();
        let metadata = |key: &str| stream.route_metadata(NAMESPACE, key);
        let choice = Choice::read(metadata).map_err(|_| Refused("an address of its own"))?;
        let service: Option<Name> = choice.and_then(|_| metadata(SERVICE)).map(copy).transpose()?;
        let service = service.as_ref().map(Name::as_str);
        let Ok(first) = FilterPlan::new(policy.as_deref(), choice, service, &Current(stream));
        edit_request(&first.plan, stream)?;
        // Resolved here for the router as well, which then finds it.
        let instead = first.check(|| stream.cluster().unwrap_or_default());
        if let Some(instead) = &instead {
            edit_request(instead, stream)?;
        }
        let plan = instead.unwrap_or(first.plan);
        log(Level::Debug, format_args!("{plan}"));
        let flow = finish_request(&plan, stream)?;
        if first.count {
            self.counters.count(plan.outcome);
        }
        Ok(flow)
    }
}

/// What the filter reads of the request.
struct Current<'s>(&'s Stream<'s>);

impl<'s> Request for Current<'s> {
    type Text = &'s [u8];
    type Error = Infallible;

    fn cluster(&self) -> Result<&'s [u8], Infallible> {
        Ok(self.0.cluster().unwrap_or_default())
    }

    fn header(&self, name: &str) -> Result<Option<&'s [u8]>, Infallible> {
        Ok(self.0.header(name))
    }

    fn route_service(&self) -> Result<Option<&'s [u8]>, Infallible> {
        Ok(self.0.route_metadata(NAMESPACE, SERVICE))
    }

    fn route_port(&self) -> Result<Option<f64>, Infallible> {
        Ok(self.0.route_number(NAMESPACE, PORT))
    }

    fn has_vip_route(&self) -> Result<bool, Infallible> {
        Ok(self.0.route_flag(NAMESPACE, VIP_ROUTE))
    }
}
