//! What a route does to requests, and what comes of it where two routes do it one after the other.

use serde_json::Value;

use crate::objects::route_reference::{Target, get, list, text};

/// Something that a route does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// Where it stands.
    pub field: String,
    /// What it does.
    pub does: Does,
}

/// What a setting does to requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Does {
    /// Of the request or the response; by its name in lower case.
    Header {
        response: bool,
        name: String,
        change: Change,
    },
    Rewrite(UrlPart),
    Retry {
        attempts: Option<i64>,
    },
    Timeout,
    Mirror(Target),
    Cors,
    Fault,
    /// Of the endpoints only those of this subset of a DestinationRule.
    Subset(String),
    /// A filter of the implementation: group, kind, name.
    Extension(String),
}

/// The part of the URL that a rewrite changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum UrlPart {
    Path,
    Hostname,
}

impl UrlPart {
    /// As the field of the filter is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Hostname => "hostname",
        }
    }
}

/// What is done to a header.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Change {
    Add,
    Set(String),
    Remove,
}

/// What the filters and fields of a rule, or of one of its backends, do.
pub fn read(field: &str, owner: &Value, namespace: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |field: &str, does| settings.push(Setting { field: field.to_owned(), does });
    for (i, filter) in list(owner, "filters").enumerate() {
        let field = format!("{field}.filters[{i}]");
        for (name, response) in [("requestHeaderModifier", false), ("responseHeaderModifier", true)]
        {
            let Some(modifier) = get(filter, name) else { continue };
            for (name, change) in headers(modifier) {
                add(&field, Does::Header { response, name, change });
            }
        }
        if let Some(rewrite) = get(filter, "urlRewrite") {
            for part in [UrlPart::Path, UrlPart::Hostname] {
                if get(rewrite, part.as_str()).is_some() {
                    add(&field, Does::Rewrite(part));
                }
            }
        }
        if let Some(target) = get(filter, "requestMirror").and_then(|m| get(m, "backendRef")) {
            add(&field, Does::Mirror(Target::read(target, namespace, "", "Service")));
        }
        if get(filter, "cors").is_some() {
            add(&field, Does::Cors);
        }
        if let Some(extension) = get(filter, "extensionRef") {
            let part = |field| text(extension, field).unwrap_or_default();
            let name = format!("{} {} ({})", part("kind"), part("name"), part("group"));
            add(&field, Does::Extension(name));
        }
    }
    if let Some(retry) = get(owner, "retry") {
        let attempts = get(retry, "attempts").and_then(Value::as_i64);
        add(&format!("{field}.retry"), Does::Retry { attempts });
    }
    if get(owner, "timeouts").is_some() {
        add(&format!("{field}.timeouts"), Does::Timeout);
    }
    settings
}

fn headers(modifier: &Value) -> impl Iterator<Item = (String, Change)> {
    let named = |header: &Value| Some(text(header, "name")?.to_ascii_lowercase());
    let set = list(modifier, "set").filter_map(move |header| {
        Some((named(header)?, Change::Set(text(header, "value").unwrap_or_default().to_owned())))
    });
    let add = list(modifier, "add").filter_map(move |header| Some((named(header)?, Change::Add)));
    let remove = list(modifier, "remove")
        .filter_map(|name| Some((name.as_str()?.to_ascii_lowercase(), Change::Remove)));
    set.chain(add).chain(remove)
}

impl Does {
    /// What comes of it that the gateway does the one and the waypoint the other; nothing where that
    /// is as good as once.
    pub fn twice(&self, waypoint: &Self) -> Option<String> {
        match (self, waypoint) {
            (
                Self::Header { response, name, change },
                Self::Header { response: r, name: n, change: c },
            ) if response == r && name == n => {
                let of = if *response { "response" } else { "request" };
                // The request passes the gateway first, the response the waypoint.
                let (first, then) = if *response { (c, change) } else { (change, c) };
                let message = match (first, then) {
                    (Change::Remove, Change::Remove) => return None,
                    (Change::Set(one), Change::Set(other)) if one == other => return None,
                    (Change::Add, Change::Add) => "is added twice",
                    (Change::Set(_), Change::Add) => "is set, then added to",
                    (_, Change::Set(_)) => "is set by both, and the later one wins",
                    (_, Change::Remove) => "is set, then removed",
                    (Change::Remove, Change::Add) => "is removed, then added",
                };
                Some(format!("the {of} header {name:?} {message}"))
            }
            (Self::Rewrite(one), Self::Rewrite(other)) if one == other => {
                let part = one.as_str();
                Some(format!("the {part} is rewritten, then what it was rewritten to is rewritten"))
            }
            (Self::Retry { attempts: one }, Self::Retry { attempts: other }) => {
                let count = |attempts: &Option<i64>| attempts.map(|n| n.saturating_add(1));
                Some(match (count(one), count(other)) {
                    (Some(one), Some(other)) => {
                        format!(
                            "retries multiply: up to {} tries a request",
                            one.saturating_mul(other)
                        )
                    }
                    _ => "retries multiply".to_owned(),
                })
            }
            (Self::Timeout, Self::Timeout) => {
                Some("the shorter of the two timeouts ends the request".to_owned())
            }
            (Self::Mirror(one), Self::Mirror(other)) if one == other => {
                Some("the request is mirrored twice to the same backend".to_owned())
            }
            (Self::Cors, Self::Cors) => Some("CORS is answered twice".to_owned()),
            (Self::Extension(one), Self::Extension(other)) if one == other => {
                Some(format!("{one} is applied twice"))
            }
            _ => None,
        }
    }
}
