//! The fields of a configuration's outermost object, of which only some are looked into.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Names and the text of their values. A field that comes twice is here twice.
pub struct Fields<'t>(pub Vec<(String, &'t RawValue)>);

impl<'t> Fields<'t> {
    /// Reads an object.
    ///
    /// # Errors
    /// It is none, or not JSON at all.
    pub fn read(text: &'t [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }
}

impl<'t> Deserialize<'t> for Fields<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'t> Visitor<'t> for FieldsVisitor {
    type Value = Fields<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Fields<'t>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}
