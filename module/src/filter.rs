//! The two HTTP filters of the module, by their names.

use ingress_waypoint::plan::Refusal;

use crate::abi::{Flow, Level, Metrics, Stream, log};
use crate::apply::refuse_request;
use crate::ingress::Ingress;
use crate::source::refuse;
use crate::vip::Vip;

/// The configuration of one of the two HTTP filters.
pub enum Filter {
    /// `ingress_waypoint`
    Ingress(Ingress),
    /// `ingress_waypoint_vip`
    Vip(Vip),
}

impl Filter {
    /// Reads the configuration; `None`, and lines in the log, where it is refused.
    pub fn new(name: &[u8], text: &[u8], metrics: Metrics) -> Option<Self> {
        let made = match name {
            b"ingress_waypoint" => Ingress::new(text, metrics).map(Self::Ingress),
            b"ingress_waypoint_vip" => Vip::new(text, metrics).map(Self::Vip),
            name => Err(vec![format!(
                "filter_name: {:?} is neither \"ingress_waypoint\" nor \"ingress_waypoint_vip\"",
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
        }
        refuse_request(refusal, stream)
    }
}
