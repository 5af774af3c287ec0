//! Reads typed values out of [`Json`], noting each problem with its path and going on.

use std::borrow::Cow;
use std::net::IpAddr;

use super::json::Json;
use super::problem::{Path, Problems};
use crate::escape::quote;
use crate::vip::read_vip;

/// An object's fields on their way out: those not taken are unknown.
pub(super) struct Fields<'a, 'de> {
    path: &'a Path<'a>,
    fields: Vec<(Cow<'de, str>, Json<'de>)>,
}

impl<'a, 'de> Fields<'a, 'de> {
    /// Takes an object apart; `None`, and a problem, for anything else.
    pub fn open(path: &'a Path<'a>, value: Json<'de>, problems: &mut Problems) -> Option<Self> {
        let Json::Object(fields) = value else {
            problems.add_value(path, value, "is not an object");
            return None;
        };
        for (i, (name, _)) in fields.iter().enumerate() {
            if fields.iter().take(i).any(|(earlier, _)| earlier == name) {
                problems.add(path.field(name), "is given twice");
            }
        }
        Some(Self { path, fields })
    }

    pub fn path(&self) -> &'a Path<'a> {
        self.path
    }

    /// Takes a field out; `null` counts as absent, as in Kubernetes.
    pub fn take(&mut self, name: &str) -> Option<Json<'de>> {
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        let (_, value) = self.fields.swap_remove(at);
        if value == Json::Null { None } else { Some(value) }
    }

    /// Reports what was not taken, and what could stand there instead.
    pub fn finish(self, known: &[&str], problems: &mut Problems) {
        for (name, _) in self.fields {
            // Given twice, and reported as such.
            if !known.contains(&&*name) {
                let reason = format!("is not a known field (known: {})", known.join(", "));
                problems.add(self.path.field(&name), reason);
            }
        }
    }

    pub fn bool(&mut self, name: &str, problems: &mut Problems) -> Option<bool> {
        match self.take(name)? {
            Json::Bool(value) => Some(value),
            other => {
                problems.add_value(self.path.field(name), other, "is not a boolean");
                None
            }
        }
    }

    pub fn string(&mut self, name: &str, problems: &mut Problems) -> Option<Cow<'de, str>> {
        let value = self.take(name)?;
        string(&self.path.field(name), value, problems)
    }

    /// A string out of a closed list.
    pub fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.string(name, problems)?;
        let found = choices.iter().find(|(choice, _)| *choice == text);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            let reason = format!("is none of {}", names.join(", "));
            problems.add_value(self.path.field(name), quote(&text), reason);
        }
        found.map(|(_, value)| *value)
    }

    /// A list, each item read by `read`; absent is empty.
    pub fn list<T>(
        &mut self,
        name: &str,
        problems: &mut Problems,
        read: impl Fn(&Path<'_>, Json<'de>, &mut Problems) -> Option<T>,
    ) -> Vec<T> {
        let path = self.path.field(name);
        match self.take(name) {
            None => Vec::new(),
            Some(Json::Array(items)) => items
                .into_iter()
                .enumerate()
                .filter_map(|(i, item)| read(&path.item(i), item, problems))
                .collect(),
            Some(other) => {
                problems.add_value(path, other, "is not a list");
                Vec::new()
            }
        }
    }
}

/// A string that is not empty.
pub(super) fn string<'de>(
    path: &Path<'_>,
    value: Json<'de>,
    problems: &mut Problems,
) -> Option<Cow<'de, str>> {
    match value {
        Json::String(text) if text.is_empty() => {
            problems.add_value(path, "\"\"", "is empty");
            None
        }
        Json::String(text) => Some(text),
        other => {
            problems.add_value(path, other, "is not a string");
            None
        }
    }
}

/// A port number from 1 to 65535.
pub(super) fn port(path: &Path<'_>, value: Json<'_>, problems: &mut Problems) -> Option<u16> {
    let number = match &value {
        // Control planes that keep the configuration as a protobuf Struct write 9080.0.
        Json::Number(n) => n.as_u64().or_else(|| n.as_f64().and_then(whole)),
        _ => None,
    };
    let port = number.and_then(|n| u16::try_from(n).ok()).filter(|port| *port != 0);
    if port.is_none() {
        problems.add_value(path, value, "is not a port from 1 to 65535");
    }
    port
}

fn whole(number: f64) -> Option<u64> {
    let in_range = number.fract() == 0.0 && (0.0..=65_536.0).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    in_range.then_some(number as u64)
}

/// A VIP. Whether a loopback address is one depends on `allowLoopback`, which is not known here.
pub(super) fn vip(path: &Path<'_>, value: Json<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let text = string(path, value, problems)?;
    read_vip(&text).map_err(|why| problems.add_value(path, quote(&text), why.to_string())).ok()
}

/// A name of Kubernetes; one that is none is noted, and given all the same.
pub(super) fn kubernetes_name<'de>(
    path: &Path<'_>,
    value: Json<'de>,
    problems: &mut Problems,
) -> Option<Cow<'de, str>> {
    let name = string(path, value, problems)?;
    if !is_kubernetes_name(&name) {
        problems.add_value(path, quote(&name), "is not a Kubernetes name");
    }
    Some(name)
}

/// A name as Kubernetes takes it for namespaces, Services and ServiceEntries (RFC 1123 subdomain).
pub(super) fn is_kubernetes_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
