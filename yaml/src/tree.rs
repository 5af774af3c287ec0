//! One value of any serde format → `serde_json::Value`, with what that alone would hide.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// So many problems of one object are noted, and cut to so many bytes: each holds a path, which may be long.
const MAX_PROBLEMS: usize = 10;
const MAX_PATH: usize = 200;

/// Reads one value.
#[derive(Default)]
pub struct Tree {
    path: String,
    /// What a value alone would hide.
    pub problems: Vec<Problem>,
}

/// What is wrong with the notation of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `spec.clusterIP`.
    pub field: String,
    /// To be read after the field.
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.message)
    }
}

/// An object in the making.
#[derive(Default)]
pub struct Fields {
    /// Its fields.
    pub map: Map<String, Value>,
    /// Those that `<<` put there, which others may take the place of.
    merged: BTreeSet<String>,
}

/// A field's name.
pub enum Key {
    /// A name.
    Name(String),
    /// YAML's `<<`: the value's fields are the object's.
    Merge,
}

impl Tree {
    /// Notes what is wrong at the path.
    fn problem(&mut self, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let end = self.path.floor_char_boundary(MAX_PATH);
            let (path, more) = (
                self.path.get(..end).unwrap_or_default(),
                if end < self.path.len() { "…" } else { "" },
            );
            self.problems.push(Problem { field: format!("{path}{more}"), message: message.into() });
        }
    }

    /// Reads the value of a key into an object.
    pub fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: Key,
        into: &mut Fields,
        access: &mut A,
    ) -> Result<(), A::Error> {
        let Key::Name(key) = key else {
            let value = access.next_value_seed(&mut *self)?;
            return self.merge(value, into);
        };
        // Bulky, and of no use here.
        if key == "managedFields" && self.path == "metadata" {
            return access.next_value::<IgnoredAny>().map(drop);
        }
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(&key);
        let was_merged = into.merged.remove(&key);
        if into.map.contains_key(&key) && !was_merged {
            self.problem("is a duplicate key");
        }
        let value = access.next_value_seed(&mut *self)?;
        self.path.truncate(length);
        // Kubernetes reads null as absent, but as "" in a map of strings: a label without a value
        // is a label.
        if !value.is_null() {
            into.map.insert(key, value);
        } else if ["metadata.labels", "metadata.annotations"].iter().any(|m| self.path.ends_with(m))
        {
            into.map.insert(key, Value::String(String::new()));
        } else if was_merged {
            into.map.shift_remove(&key);
        }
        Ok(())
    }

    /// As Go's YAML merges: over what stands before it, and of several objects the first wins.
    fn merge<E: Error>(&mut self, value: Value, into: &mut Fields) -> Result<(), E> {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values.into_iter().rev() {
            let Value::Object(fields) = value else {
                return Err(E::custom("<<: expected an object, or a list of objects"));
            };
            into.merged.extend(fields.keys().cloned());
            into.map.extend(fields);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
                Ok(Key::Name(name.to_owned()))
            }

            fn visit_unit<E: Error>(self) -> Result<Key, E> {
                Ok(Key::Merge)
            }
        }

        deserializer.deserialize_any(KeyVisitor)
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
        let mut fields = Fields::default();
        while let Some(key) = map.next_key()? {
            self.entry(key, &mut fields, &mut map)?;
        }
        Ok(Value::Object(fields.map))
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

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // Go writes 80.0 as 80 into its JSON.
        #[expect(clippy::cast_possible_truncation, reason = "compared")]
        let whole = value as i64;
        #[expect(clippy::cast_precision_loss, reason = "compared")]
        if whole as f64 == value && whole != i64::MAX {
            return Ok(Value::from(whole));
        }
        // JSON has no such number, so no API server takes it.
        Ok(Number::from_f64(value).map_or_else(
            || {
                self.problem(format!("is {value}, which is not a number in JSON"));
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
