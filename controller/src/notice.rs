//! What people are told of: services that ask for their waypoint in vain, and withdrawals that are held back.

use std::fmt::Write as _;

use mesh::{Code, InVain, ObjectRef};

use crate::first::Shortfall;
use crate::guard::Withdrawal;
use crate::lease::LeaseName;

/// What an Event's message may have.
const LONGEST: usize = 1000;

/// Something to tell, with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about; `None` for the replicas' Lease.
    pub object: Option<ObjectRef>,
    /// `WaypointNotReady`.
    pub reason: String,
    /// What a person reads.
    pub text: String,
}

/// By which two are the same.
pub type Key = (Option<ObjectRef>, String);

impl Notice {
    /// By which it is the same as another.
    pub fn key(&self) -> Key {
        (self.object.clone(), self.reason.clone())
    }

    /// A service that asks for its waypoint in vain.
    pub fn in_vain(object: ObjectRef, why: &InVain) -> Self {
        let InVain { code, step, is_refused } = why;
        let fate = if *is_refused { "are refused" } else { "go to the endpoints" };
        let mut text = format!(
            "Requests do not go to the waypoint that is asked for, they {fate}: {}: {}",
            step.object, step.field
        );
        // Writing to a string cannot fail.
        if let Some(value) = &step.value {
            let _ = write!(text, " {value:?}");
        }
        let _ = write!(text, ": {}", step.message);
        if let Some(change) = &step.change {
            let _ = write!(text, ". To change that: {change}");
        }
        Self { object: Some(object), reason: camel_case(code.as_str()), text: cut(text) }
    }

    /// A Gateway whose proxy cannot be given what it needs.
    pub fn refused(gateway: ObjectRef, code: Code, problems: &str) -> Self {
        let text = format!(
            "The filter could not be put in: Envoy Gateway publishes no changes for this Gateway until this is mended: {problems}"
        );
        Self { object: Some(gateway), reason: camel_case(code.as_str()), text: cut(text) }
    }

    /// A withdrawal that is held back, with the command that confirms it.
    pub fn held(withdrawal: &Withdrawal, lease: &LeaseName) -> Self {
        let (services, confirm) = (withdrawal.services.len(), lease.confirm(&withdrawal.id()));
        let text = format!(
            "{services} services that would leave their waypoints at once are held back. If that is intended: {confirm} \
             -- {withdrawal}"
        );
        Self { object: None, reason: "WithdrawalHeld".to_owned(), text: cut(text) }
    }

    /// A first table that is held back, with the command that confirms it.
    pub fn short(shortfall: &Shortfall, lease: &LeaseName) -> Self {
        let confirm = lease.confirm(&shortfall.id());
        let text = format!("{shortfall}. Its table is held back. If that is intended: {confirm}");
        Self { object: None, reason: "FirstTableHeld".to_owned(), text: cut(text) }
    }
}

/// `WaypointNotReady` for `waypoint-not-ready`.
fn camel_case(name: &str) -> String {
    let upper = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    };
    name.split('-').map(|word| -> String { upper(word) }).collect()
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let end = text.floor_char_boundary(LONGEST);
    text.get(..end).map(|start| format!("{start}…")).unwrap_or_default()
}
