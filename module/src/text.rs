//! Texts of a request, without an allocation.

use std::fmt::Display;

use ingress_waypoint::Text;
use ingress_waypoint::plan::Value;

use crate::abi::Refused;

/// `IP:port`; the longest is 47 bytes.
pub type Address = Text<64>;
/// `namespace/name`, of names of up to 253 bytes each, or a cluster's name.
pub type Name = Text<512>;
/// What a refused client is told.
pub type Line = Text<1024>;

/// A copy of text of Envoy's, which would be gone at the next change.
pub fn copy<const N: usize>(bytes: &[u8]) -> Result<Text<N>, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refused("its own text"))?;
    show(text)
}

/// Something short as text.
pub fn show<const N: usize>(shown: impl Display) -> Result<Text<N>, Refused> {
    Text::of(shown).map_err(|_| Refused("a text that long"))
}

/// Does something with a value of a plan.
pub fn with<T>(value: Value<'_>, work: impl FnOnce(&str) -> T) -> Result<T, Refused> {
    match value {
        Value::Text(text) => Ok(work(text)),
        value => show::<512>(value).map(|text| work(text.as_str())),
    }
}
