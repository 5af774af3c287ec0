//! One value of any serde format → `serde_json::Value`, with what that alone would hide.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one value.
#[derive(Default)]
pub struct Tree {
    path: String,
    /// `path: reason`.
    pub problems: Vec<String>,
}

impl Tree {
    /// Reads the value of a key into a map.
    pub fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: String,
        into: &mut Map<String, Value>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        // Bulky, and of no use here.
        if key == "managedFields" && self.path == "metadata" {
            return map.next_value::<IgnoredAny>().map(drop);
        }
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(&key);
        if into.contains_key(&key) {
            self.problems.push(format!("{}: duplicate key", self.path));
        }
        let value = map.next_value_seed(&mut *self)?;
        self.path.truncate(length);
        // Kubernetes reads null as absent, but as "" in a map of strings: a label without a value
        // is a label.
        if !value.is_null() {
            into.insert(key, value);
        } else if ["metadata.labels", "metadata.annotations"].iter().any(|m| self.path.ends_with(m))
        {
            into.insert(key, Value::String(String::new()));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.entry(key, &mut object, &mut map)?;
        }
        Ok(Value::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        let length = self.path.len();
        loop {
            self.path.push_str(&format!("[{}]", array.len()));
            let element = seq.next_element_seed(&mut *self)?;
            self.path.truncate(length);
            match element {
                Some(element) => array.push(element),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no such number, so no API server takes it.
        Ok(Number::from_f64(value).map_or_else(
            || {
                self.problems.push(format!("{}: {value} is no number that JSON knows", self.path));
                Value::Null
            },
            Value::Number,
        ))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
}
