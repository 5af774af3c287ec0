//! The pages as HTML. All texts are escaped by the templates.

use askama::Template;
use axum::http::StatusCode;
use ingress_waypoint::Outcome;
use mesh::Diagnostic;

use super::params::{Params, link};
use super::proxies::ProxyStatus;
use crate::moment::Moment;
use crate::report::{List, Service};
use crate::status::{DecisionCount, Gateway, KindStatus, Status};

const NO_TEXT: &str = "";

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    current: &'a str,
    problems: Vec<String>,
    gateways: &'a [Gateway],
    kinds: Vec<KindStatus>,
}

#[derive(Template)]
#[template(path = "services.html")]
struct Services<'a> {
    current: &'a str,
    problems: Vec<String>,
    gateways: Vec<String>,
    params: &'a Params,
    list: &'a List<Service>,
    reasons: Vec<&'static str>,
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Findings<'a> {
    current: &'a str,
    problems: Vec<String>,
    gateways: Vec<String>,
    params: &'a Params,
    list: &'a List<Diagnostic>,
    gateway: String,
    in_vain: Vec<DecisionCount>,
}

#[derive(Template)]
#[template(path = "proxies.html")]
struct Proxies<'a> {
    current: &'a str,
    problems: Vec<String>,
    params: &'a Params,
    list: &'a List<ProxyStatus>,
}

#[derive(Template)]
#[template(path = "failure.html")]
struct Failure<'a> {
    current: &'a str,
    problems: Vec<String>,
    title: &'a str,
    text: &'a str,
}

pub fn overview(status: &Status, gateways: &[Gateway]) -> askama::Result<String> {
    let (problems, kinds) = (status.problems(), status.kinds());
    Overview { current: "/", problems, gateways, kinds }.render()
}

pub fn services(status: &Status, params: &Params, list: &List<Service>) -> askama::Result<String> {
    let mut reasons = Outcome::LABELS.map(|(_, reason)| reason).to_vec();
    reasons.sort_unstable();
    reasons.dedup();
    let (problems, gateways) = (status.problems(), names(status));
    Services { current: "/services", problems, gateways, params, list, reasons }.render()
}

pub fn findings(
    status: &Status,
    params: &Params,
    list: &List<Diagnostic>,
) -> askama::Result<String> {
    let all = status.gateways();
    let chosen = params.get("gateway");
    let gateway = all.iter().find(|gateway| chosen.is_none_or(|name| gateway.name == name));
    let in_vain = gateway.map(Gateway::in_vain).unwrap_or_default();
    let gateway = gateway.map(|gateway| gateway.name.clone()).unwrap_or_default();
    let (problems, gateways) = (status.problems(), names(status));
    Findings { current: "/findings", problems, gateways, params, list, gateway, in_vain }.render()
}

pub fn proxies(
    status: &Status,
    params: &Params,
    list: &List<ProxyStatus>,
) -> askama::Result<String> {
    Proxies { current: "/proxies", problems: status.problems(), params, list }.render()
}

pub fn failure(code: StatusCode, text: &str, problems: Vec<String>) -> askama::Result<String> {
    let title = code.canonical_reason().unwrap_or("Error");
    Failure { current: NO_TEXT, problems, title, text }.render()
}

fn names(status: &Status) -> Vec<String> {
    status.gateways().into_iter().map(|gateway| gateway.name).collect()
}

/// A link to the services of a gateway with one decision.
fn of_decision(gateway: &str, decision: &str, reason: &str) -> String {
    link("/services", &[("gateway", gateway), ("decision", decision), ("reason", reason)])
}

/// A link to the services of a gateway that the guard holds.
fn of_held(gateway: &str) -> String {
    link("/services", &[("gateway", gateway), ("held", "true")])
}

/// A number with a space between thousands.
fn number(number: &usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
