//! The HTTP filters of the module, by their names.

use ingress_waypoint::plan::Refusal;

use crate::abi::{Flow, Level, Metrics, Stream, log};
use crate::apply::refuse_request;
use crate::ingress_filter::Ingress;
use crate::publisher::Publisher;
use crate::shared_table::refuse;
use crate::upstream_filter::Vip;

/// The configuration of one of the HTTP filters.
pub enum Filter {
    /// `ingress_waypoint`
    Ingress(Ingress),
    /// `ingress_waypoint_vip`
    Vip(Vip),
    /// `ingress_waypoint_table`
    Table(Publisher),
}

impl Filter {
    /// Reads the configuration; `None`, and lines in the log, if it is refused.
    pub fn new(name: &[u8], text: &[u8], metrics: Metrics) -> Option<Self> {
        let made = match name {
            b"ingress_waypoint" => Ingress::new(text, metrics).map(Self::Ingress),
            b"ingress_waypoint_vip" => Vip::new(text, metrics).map(Self::Vip),
            b"ingress_waypoint_table" => Publisher::new(text, metrics).map(Self::Table),
            name => Err(vec![format!(
                "filter_name: {:?} is none of \"ingress_waypoint\", \"ingress_waypoint_vip\" and \
                 \"ingress_waypoint_table\"",
                String::from_utf8_lossy(name)
            )]),
        };
        made.inspect_err(|problems| refuse(problems)).ok()
    }

    /// Ends the use of the counters.
    pub fn close(&self) {
        if let Self::Ingress(ingress) = self {
            ingress.close();
        }
    }

    /// Handles the headers of one request.
    pub fn on_request(&self, stream: &mut Stream<'_>) -> Flow {
        let handled = match self {
            Self::Ingress(ingress) => ingress.handle(stream),
            Self::Vip(vip) => vip.handle(stream),
            // Nobody can connect to where it belongs.
            Self::Table(_) => Ok(self.fail(stream, Refusal::Failed)),
        };
        handled.unwrap_or_else(|refused| {
            // A plan that is half applied may not go on to the endpoints.
            log(Level::Error, format_args!("refusing a request: Envoy refused {}", refused.0));
            self.fail(stream, Refusal::HostCallFailed)
        })
    }

    /// Refuses the request, for something here failed.
    pub fn on_panic(&self, stream: &mut Stream<'_>) {
        self.fail(stream, Refusal::Failed);
    }

    fn fail(&self, stream: &mut Stream<'_>, refusal: Refusal<'_>) -> Flow {
        match self {
            Self::Ingress(ingress) => ingress.count_failure(),
            Self::Vip(vip) => vip.count_failure(),
            Self::Table(publisher) => publisher.count_failure(),
        }
        refuse_request(refusal, stream)
    }
}
