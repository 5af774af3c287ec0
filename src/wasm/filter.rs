//! What one configuration needs on one worker: the policy, and its plans as host calls take them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use super::host::{self, MetadataPaths};
use super::metrics::Metrics;
use crate::decision::Outcome;
use crate::memo::Memo;
use crate::plan::{Answer, Edit, NAMESPACE, Plan, Value};
use crate::policy::Policy;
use crate::question::Question;
use crate::request::Asked;

/// Answers remembered at once; clusters are few.
const REMEMBERED: usize = 16 * 1024;

/// A compiled configuration on one worker.
pub struct Filter {
    pub policy: Rc<Policy>,
    pub metrics: Metrics,
    pub paths: MetadataPaths,
    remembered: RefCell<Memo<Rc<Answer<Ready>>>>,
}

/// A plan with every text of it made.
pub struct Ready {
    pub outcome: Outcome,
    /// Filter state for the access log, by its names; none if the configuration does not ask for it.
    pub annotations: Vec<(String, String)>,
    pub edits: Vec<Call>,
    pub refusal: Option<Refusal>,
    /// The line for the debug log; nothing in it is unescaped.
    pub log: String,
}

/// An edit as a host call takes it.
pub enum Call {
    SetDestination(Vec<u8>),
    SetHeader(String, String),
    RemoveHeader(String),
}

/// What [`host::refuse`] takes.
pub struct Refusal {
    pub details: String,
    pub body: String,
}

impl Filter {
    pub fn new(policy: Rc<Policy>, metrics: Metrics) -> Self {
        let (paths, remembered) = (MetadataPaths::new(), RefCell::new(Memo::new(REMEMBERED)));
        Self { policy, metrics, paths, remembered }
    }

    /// The answer to a question, found at most once for as long as it is remembered.
    pub fn answer<T: AsRef<[u8]>>(&self, asked: &Asked<T>) -> Rc<Answer<Ready>> {
        let question = asked.question(&self.policy);
        let find = || Rc::new(self.policy.answer(asked).map(|plan| Ready::new(question, &plan)));
        let Some(key) = key(question) else { return find() };
        if let Some(answer) = self.remembered.borrow().get(&key) {
            return Rc::clone(answer);
        }
        let answer = find();
        self.remembered.borrow_mut().insert(&key, Rc::clone(&answer));
        answer
    }
}

impl Ready {
    fn new(question: Question<'_>, plan: &Plan<'_>) -> Self {
        let named =
            |(key, value): (&str, Value<'_>)| (format!("{NAMESPACE}.{key}"), value.to_string());
        Self {
            outcome: plan.outcome,
            annotations: match plan.annotate {
                true => plan.all_annotations().map(named).collect(),
                false => Vec::new(),
            },
            edits: plan.edits().map(Call::new).collect(),
            refusal: plan.refusal().map(|refusal| Refusal {
                details: refusal.details().to_string(),
                body: refusal.to_string(),
            }),
            log: format!("{question}: {plan}"),
        }
    }
}

impl Call {
    fn new(edit: &Edit<'_>) -> Self {
        match *edit {
            Edit::Destination(address) => {
                Self::SetDestination(host::destination_message(&address.to_string()))
            }
            Edit::SetHeader(name, value) => Self::SetHeader(name.to_owned(), value.to_string()),
            Edit::RemoveHeader(name) => Self::RemoveHeader(name.to_owned()),
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
