//! What one configuration needs on one worker: the policy, and its decisions made ready to carry
//! out.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use super::host;
use super::metrics::Metrics;
use crate::config::Via;
use crate::decision::{Decision, Outcome};
use crate::memo::Memo;
use crate::policy::Policy;
use crate::question::Question;
use crate::request::Asked;
use crate::service::Protocol;

/// Decisions remembered at once; clusters are few.
const REMEMBERED: usize = 16 * 1024;

/// A compiled configuration on one worker.
pub struct Filter {
    pub policy: Rc<Policy>,
    pub metrics: Metrics,
    remembered: RefCell<Memo<Rc<Answers>>>,
}

/// The answers to one question.
pub struct Answers {
    /// As it is decided.
    pub decided: Ready,
    /// Where that holds only on a route that is marked to have a VIP route beside it: the one without.
    pub without_vip_route: Option<Ready>,
}

/// A decision with everything prepared that carrying it out takes.
pub struct Ready {
    pub outcome: Outcome,
    pub action: Action,
    /// `namespace/name`, or `-`.
    pub service: String,
    /// The line for the debug log; nothing in it is unescaped.
    pub log: String,
}

/// What is done to the request.
pub enum Action {
    /// Nothing: the route stands.
    Leave,
    /// The address goes into the filter state, and the route is resolved anew.
    FilterState { message: Vec<u8>, protocol: Protocol },
    /// The address goes into the header, and the route is resolved anew.
    Header { address: String, protocol: Protocol },
    /// The cluster's name goes into the header that the route follows, with an address where it is
    /// the waypoint cluster. Without a cluster the header goes, and nothing is routed.
    Cluster { message: Option<Vec<u8>>, cluster: Option<String> },
    /// The request is answered here.
    Refuse { details: String, body: String },
}

impl Filter {
    pub fn new(policy: Rc<Policy>, metrics: Metrics) -> Self {
        Self { policy, metrics, remembered: RefCell::new(Memo::new(REMEMBERED)) }
    }

    /// The answers to a question, found at most once for as long as they are remembered.
    pub fn answers<T: AsRef<[u8]>>(&self, asked: &Asked<T>) -> Rc<Answers> {
        let Some(key) = key(asked.question(&self.policy)) else { return self.find(asked) };
        if let Some(answers) = self.remembered.borrow().get(&key) {
            return Rc::clone(answers);
        }
        let answers = self.find(asked);
        self.remembered.borrow_mut().insert(&key, Rc::clone(&answers));
        answers
    }

    fn find<T: AsRef<[u8]>>(&self, asked: &Asked<T>) -> Rc<Answers> {
        let decision = self.policy.answer(asked);
        let needs_vip_route = self.policy.needs_vip_route(&decision);
        Rc::new(Answers {
            decided: self.ready(asked, &decision),
            without_vip_route: needs_vip_route
                .then(|| self.ready(asked, &decision.without_vip_route())),
        })
    }

    fn ready<T: AsRef<[u8]>>(&self, asked: &Asked<T>, decision: &Decision<'_>) -> Ready {
        let question = asked.question(&self.policy);
        Ready {
            outcome: decision.outcome,
            action: match (asked, decision.outcome) {
                // The route names its cluster and follows no header.
                (Asked::FixedCluster(_), Outcome::Direct(_)) => Action::Leave,
                _ => self.action(decision),
            },
            service: decision.service.map_or_else(|| "-".to_owned(), |service| service.to_string()),
            log: format!("{question}: {decision}"),
        }
    }

    fn action(&self, decision: &Decision<'_>) -> Action {
        let forward = self.policy.forward();
        match (decision.outcome, &forward.via) {
            (Outcome::Reject(reason), _) => Action::Refuse {
                details: format!("ingress_waypoint.{}", reason.as_str()),
                body: reason.body(decision.service),
            },
            (Outcome::Direct(_), Via::ClusterHeader { .. }) => Action::Cluster {
                message: None,
                cluster: self.policy.endpoint_cluster(decision).map(|cluster| cluster.to_string()),
            },
            (Outcome::Direct(_), _) => Action::Leave,
            (Outcome::Waypoint { destination, protocol }, via) => {
                let address = destination.to_string();
                match via {
                    Via::FilterState => Action::FilterState {
                        message: host::destination_message(&address),
                        protocol,
                    },
                    Via::OriginalDstHeader { .. } => Action::Header { address, protocol },
                    Via::ClusterHeader { .. } => Action::Cluster {
                        message: Some(host::destination_message(&address)),
                        cluster: Some(
                            self.policy.waypoint_cluster(decision.service, protocol).to_owned(),
                        ),
                    },
                }
            }
        }
    }
}

/// A question as the memo's key: with one mechanism all clusters are asked for in the same way. A cluster,
/// which most are, is its own name; a route begins with a NUL, which no cluster's name holds. An authority
/// is not remembered: a client could fill the memo, with names that collide.
fn key(question: Question<'_>) -> Option<Cow<'_, [u8]>> {
    Some(match question {
        Question::Cluster(name) => Cow::Borrowed(name),
        Question::Authority(_) => return None,
        Question::Route { service, port } => {
            let [high, low] = port.unwrap_or_default().to_be_bytes();
            let port = [u8::from(port.is_some()), high, low];
            Cow::Owned([b"\0r", port.as_slice(), service].concat())
        }
    })
}
