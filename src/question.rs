//! What a proxy knows of a request's destination when it asks.

use std::fmt;

use crate::escape::quote;

/// How a request names its service. The bytes may come from a client: they are read with care and
/// shown escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// The name of the upstream cluster that the route selected.
    Cluster(&'a [u8]),
    /// What the route's metadata names.
    Route {
        /// `namespace/name`.
        service: &'a [u8],
        /// The service port; may be left out where the service has only one.
        port: Option<u16>,
    },
    /// The authority of the request. A port in it is the service port; without one it is the
    /// service's only port, else 80.
    Authority(&'a [u8]),
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes| quote(&String::from_utf8_lossy(bytes));
        match self {
            Self::Cluster(name) => write!(f, "cluster {}", text(name)),
            Self::Route { service, port: None } => write!(f, "route to {}", text(service)),
            Self::Route { service, port: Some(port) } => {
                write!(f, "route to {} port {port}", text(service))
            }
            Self::Authority(authority) => write!(f, "authority {}", text(authority)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn bytes_of_a_client_are_escaped_and_cut() {
        let shown = Question::Authority(b"a\n[critical] \x1b[31m\xff\"").to_string();
        assert_eq!(shown, "authority \"a\\n[critical] \\u{1b}[31m\u{fffd}\\\"\"");
        assert!(Question::Cluster(&[b'a'; 60 * 1024]).to_string().len() < 120);
    }
}
