//! The answers: for a service out of objects, and for a question to a configuration.

use std::collections::BTreeSet;

use ingress_waypoint::cluster_name::{Named, readings};
use ingress_waypoint::{Decision, Outcome, Policy, Question, Reject};
use serde::Serialize;

use crate::report::{Page, Tone, Words, decision_and_reason, destination};
use clap::ValueEnum;
use gateway::table::Compiled;
use mesh::object::Kind;
use mesh::{Diagnostic, Diagnostics, ObjectRef, Resolved, Step, World};

/// What the subject of `explain --config` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AskedAs {
    /// The name of an upstream cluster
    Cluster,
    /// NAMESPACE/NAME, as in a route's metadata
    Service,
    /// The authority of a request
    Authority,
}

/// Where requests for one service go, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The object.
    pub object: ObjectRef,
    /// Its hosts; if it has none of its own, those that other objects have.
    pub hosts: Vec<String>,
    /// The place it was read from.
    pub origin: String,
    /// The chain of rules.
    pub steps: Vec<Step>,
    /// The filter's decision for each port.
    pub decisions: Vec<Answer>,
    /// Rules that Envoy Gateway sends to the ClusterIP itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routed: Vec<String>,
    /// The global switch.
    pub switch: String,
    /// What the rules found about it. It goes to standard error.
    #[serde(skip)]
    pub diagnostics: Vec<Diagnostic>,
}

/// A question to the filter, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The question: `cluster "outbound|…"`.
    pub question: String,
    /// The decision and its reason.
    #[serde(flatten, serialize_with = "decision_and_reason")]
    pub outcome: Outcome,
    /// The service, if the filter knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The VIP and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The protocol to the VIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
}

impl Answer {
    /// Asks the filter's core.
    pub fn to(policy: &Policy, question: Question<'_>) -> Self {
        let Decision { service, outcome, .. } = policy.decide(question);
        let (destination, protocol) = destination(outcome).unzip();
        Self {
            question: question.to_string(),
            outcome,
            service: service.map(|service| service.to_string()),
            destination,
            protocol,
        }
    }

    /// `waypoint (labelled), to 10.96.0.10:9080 over http`.
    pub fn words(&self) -> Words {
        let (decision, reason) = self.outcome.label();
        let words = Words::new(Tone::of_decision(self.outcome), decision)
            .plain(format_args!(" ({reason})"));
        match (&self.destination, self.protocol) {
            (Some(destination), Some(protocol)) => {
                words.plain(format_args!(", to {destination} over {protocol}"))
            }
            _ => words,
        }
    }
}

/// Every service that the subject means; empty if no object has the name.
pub fn explain(world: &World, compiled: &Compiled, subject: &str) -> Vec<Explanation> {
    let services = &compiled.resolution.services;
    let named: Vec<_> = services.iter().filter(|resolved| is_named(resolved, subject)).collect();
    if !named.is_empty() {
        return named.into_iter().map(|found| one(world, compiled, found, None)).collect();
    }
    let cluster = Question::Cluster(subject.as_bytes());
    let questions = [cluster, Question::Authority(subject.as_bytes())];
    if compiled.policy.decide(cluster).outcome == Outcome::Reject(Reject::AmbiguousService) {
        let claim = |host: &str| readings(subject).any(|named| is_host(named, host));
        let claims = |it: &&Resolved| it.shadowed.iter().any(|(host, _)| claim(host));
        let found = services.iter().filter(claims);
        return found.map(|found| one(world, compiled, found, Some(cluster))).collect();
    }
    for question in questions {
        let Some(service) = compiled.policy.decide(question).service else { continue };
        let service = service.to_service();
        let found = services.iter().filter(|resolved| resolved.service.as_ref() == Some(&service));
        let asked = (question == cluster).then_some(question);
        return found.map(|found| one(world, compiled, found, asked)).collect();
    }
    Vec::new()
}

/// Whether a person means this service: by name, `namespace/name`, a host, or the start of a
/// Service's host.
fn is_named(resolved: &Resolved, subject: &str) -> bool {
    let ObjectRef { kind, namespace, name } = &resolved.object;
    let namespace = namespace.as_deref().unwrap_or_default();
    let short = [format!("{name}.{namespace}"), format!("{name}.{namespace}.svc")];
    let host = ingress_waypoint::host::normalise(subject);
    subject == name
        || subject.split_once('/') == Some((namespace, name))
        || (*kind == Kind::Service && short.iter().any(|short| short == subject))
        || host.is_some_and(|host| {
            // An ambiguous host means all objects that claim it.
            let claimed = resolved.shadowed.iter().filter(|_| resolved.is_ambiguous);
            resolved.hosts.iter().chain(claimed.map(|(host, _)| host)).any(|known| *known == host)
        })
}

fn is_host(named: Named<'_>, host: &str) -> bool {
    let named = match named {
        Named::Host { host, .. } => host,
        _ => return false,
    };
    ingress_waypoint::host::normalise(named).is_some_and(|named| named == host)
}

fn one(
    world: &World,
    compiled: &Compiled,
    resolved: &Resolved,
    asked: Option<Question<'_>>,
) -> Explanation {
    let policy = &compiled.policy;
    let decisions = match asked {
        Some(question) => vec![Answer::to(policy, question)],
        None => {
            let kept = resolved.ports.kept.iter().map(|kept| kept.port.number);
            let left_out = resolved.ports.left_out.iter();
            let left_out = left_out.filter_map(|port| u16::try_from(port.number).ok());
            let mut ports: Vec<_> = kept.chain(left_out).collect();
            if ports.is_empty() {
                // Any port: the service does not declare it.
                ports.push(80);
            }
            // DNS has its port twice, for TCP and UDP.
            let mut seen = BTreeSet::new();
            ports.retain(|port| seen.insert(*port));
            let ask = |port| {
                let cluster = resolved.cluster(port);
                Answer::to(policy, Question::Cluster(cluster.as_bytes()))
            };
            ports.into_iter().map(ask).collect()
        }
    };
    Explanation {
        object: resolved.object.clone(),
        hosts: if resolved.hosts.is_empty() {
            resolved.shadowed.iter().map(|(host, _)| host.clone()).collect()
        } else {
            resolved.hosts.clone()
        },
        origin: resolved.origin.to_string(),
        steps: compiled.steps(world, resolved),
        decisions,
        routed: compiled
            .routed
            .iter()
            .filter(|it| it.service == resolved.object)
            .map(ToString::to_string)
            .collect(),
        switch: switch(policy),
        diagnostics: diagnostics(world, compiled, resolved),
    }
}

fn diagnostics(world: &World, compiled: &Compiled, resolved: &Resolved) -> Vec<Diagnostic> {
    let all = compiled.resolution.diagnostics.iter();
    let of_object = all.filter(|it| it.object.as_ref() == Some(&resolved.object)).cloned();
    // Those of its namespace concern it alone here.
    let of_service = resolved.diagnostics(world).into_iter();
    of_object.chain(of_service).collect::<Diagnostics>().into_list()
}

fn switch(policy: &Policy) -> String {
    use ingress_waypoint::global_switch::{Source, VARIABLE};
    let switch = policy.switch();
    match (switch.source, switch.on) {
        (Source::Configuration, true) => "on, by the configuration".to_owned(),
        (Source::Configuration, false) => "off, by the configuration".to_owned(),
        _ => format!("assumed to be on; the proxy's {VARIABLE} decides (unset: off)"),
    }
}

impl Explanation {
    /// The explanation as text.
    pub fn text(&self) -> Page {
        let mut page = Page::default();
        let is_sent = |answer: &Answer| matches!(answer.outcome, Outcome::Waypoint { .. });
        let sent = self.decisions.iter().any(is_sent);
        let hosts = self.hosts.join(", ");
        let title = Words::new(Tone::Strong, &self.object);
        page.line(0, &title.plain(format_args!("  {hosts}  ({})", self.origin)));
        for answer in &self.decisions {
            let question = Words::default().plain(format_args!("{}: ", answer.question));
            page.line(1, &question.and(&answer.words()));
        }
        for routed in &self.routed {
            page.line(1, &Words::default().plain(routed));
        }
        page.line(1, &Words::new(Tone::Faint, format_args!("global switch: {}", self.switch)));
        for step in &self.steps {
            let (tone, mark) = if step.holds { (Tone::Good, "yes") } else { (Tone::Bad, "no ") };
            let words = Words::new(tone, mark).plain(" ").tone(Tone::Strong, step.rule);
            page.blank();
            page.line(1, &words.plain(format_args!(": {}", step.message)));
            let value = step.value.as_ref().map_or("-".to_owned(), |value| format!("{value:?}"));
            let place = format!("{}  {}: {value}", step.object, step.field);
            page.line(3, &Words::default().plain(place));
            // What would bring about the other result.
            if let Some(change) = step.change.as_ref().filter(|_| step.holds == sent) {
                let other =
                    if sent { "to send it to its endpoints" } else { "to send it to its waypoint" };
                page.line(3, &Words::new(Tone::Faint, format_args!("{other}: {change}")));
            }
        }
        page
    }
}

/// The filter's answer out of its configuration. Without `asked_as`, the subject is the first of cluster, service and
/// authority by which the filter knows a service, else a cluster.
pub fn ask(policy: &Policy, subject: &str, asked_as: Option<AskedAs>) -> Answer {
    let (cluster, authority) =
        (Question::Cluster(subject.as_bytes()), Question::Authority(subject.as_bytes()));
    let (name, port) = match subject.rsplit_once(':') {
        Some((name, port)) => (name, ingress_waypoint::host::parse_port(port)),
        None => (subject, None),
    };
    let service =
        Question::Route { service: if port.is_some() { name } else { subject }.as_bytes(), port };
    let question = match asked_as {
        Some(AskedAs::Cluster) => cluster,
        Some(AskedAs::Service) => service,
        Some(AskedAs::Authority) => authority,
        None => {
            let known = |question: &Question<'_>| {
                let decision = policy.decide(*question);
                decision.service.is_some()
                    || decision.outcome == Outcome::Reject(Reject::ForgedDestination)
            };
            [cluster, service, authority].into_iter().find(known).unwrap_or(cluster)
        }
    };
    Answer::to(policy, question)
}
