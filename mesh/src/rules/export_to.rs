//! `exportTo`: which namespaces are given an object, and so whether the ingress is.
//!
//! Istio's gateways go by it; the mesh itself (ztunnel) does not.

/// The annotation that says it of a Service.
pub const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// Whether the ingress knows an object. Of several of one host Istio's gateway takes the first in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Sight {
    /// It does: the object names its namespace, or is in it.
    Named,
    /// It does, as all do.
    #[default]
    Seen,
    /// Only one in the object's own namespace does, and where the ingress is was not said.
    Unsure,
    /// It does not.
    Hidden,
}

impl Sight {
    /// Of an object in the namespace `own`, for an ingress in that namespace where it is said. An
    /// empty list exports to all.
    pub fn of(export_to: &[String], own: &str, ingress: Option<&str>) -> Self {
        let has = |name: &str| export_to.iter().any(|it| it == name);
        if export_to.is_empty() || has("*") {
            return Self::Seen;
        }
        if has("~") {
            return Self::Hidden;
        }
        let mut names = export_to.iter().map(|name| if name == "." { own } else { name.as_str() });
        match ingress {
            Some(ingress) if names.any(|name| name == ingress) => Self::Named,
            Some(_) => Self::Hidden,
            None if names.any(|name| name != own) => Self::Seen,
            None => Self::Unsure,
        }
    }

    /// Of a Service's annotation.
    pub fn listed(annotation: &str) -> Vec<String> {
        let names = annotation.split(',').map(|name| name.trim().to_owned());
        names.filter(|name| !name.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_given_an_object() {
        use Sight::{Hidden, Named, Seen, Unsure};
        let cases: [(&str, Option<&str>, Sight); 13] = [
            ("", None, Seen),
            ("*", Some("gw"), Seen),
            (".", None, Unsure),
            ("own", None, Unsure),
            (".", Some("own"), Named),
            (".", Some("gw"), Hidden),
            ("~", None, Hidden),
            ("~, gw", Some("gw"), Hidden),
            ("~,*", Some("gw"), Seen),
            (".,gw", Some("gw"), Named),
            ("*,gw", Some("gw"), Seen),
            (".,other", None, Seen),
            ("other", Some("own"), Hidden),
        ];
        for (text, ingress, expected) in cases {
            assert_eq!(
                Sight::of(&Sight::listed(text), "own", ingress),
                expected,
                "{text} {ingress:?}"
            );
        }
    }
}
