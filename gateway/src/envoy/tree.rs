//! An Envoy configuration as Envoy reads it: keys in their order and with their spelling, values of the types that
//! Envoy's own readers give them.

use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as JSON writes it.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object.
    Map(Map),
    /// Protobuf that is copied as it is.
    Opaque(Vec<u8>),
}

/// An object, its keys in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map(Vec<(String, Node)>);

impl Node {
    /// The text, if it is one to Envoy, which reads a YAML number as text unless it is a whole one of 32 bits.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(text) if text.parse::<i32>().is_err() => Some(text),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn map_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn list(&self) -> Option<&[Node]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn list_mut(&mut self) -> Option<&mut Vec<Node>> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a field, if this is an object that has it.
    pub fn get(&self, field: &str) -> Option<&Node> {
        self.map()?.get(field)
    }

    /// The text of the field `name`.
    pub fn name(&self) -> Option<&str> {
        self.get("name")?.text()
    }
}

impl Map {
    /// The fields in their order.
    pub fn entries(&self) -> &[(String, Node)] {
        &self.0
    }

    /// The fields in their order.
    pub fn entries_mut(&mut self) -> &mut Vec<(String, Node)> {
        &mut self.0
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The position of a field. Envoy accepts `snake_case` and `lowerCamelCase`, and so does this.
    pub fn position(&self, field: &str) -> Option<usize> {
        self.0.iter().position(|(key, _)| same_field(key, field))
    }

    /// Whether there is a field other than these.
    pub fn has_others(&self, fields: &[&str]) -> bool {
        self.0.iter().any(|(key, _)| !fields.iter().any(|field| same_field(key, field)))
    }

    /// A field's value.
    pub fn get(&self, field: &str) -> Option<&Node> {
        self.0.get(self.position(field)?).map(|(_, value)| value)
    }

    /// The value of a key that is not a field of Envoy's but a name: it has one spelling.
    pub fn get_exactly(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A field's value.
    pub fn get_mut(&mut self, field: &str) -> Option<&mut Node> {
        let position = self.position(field)?;
        self.0.get_mut(position).map(|(_, value)| value)
    }

    /// Sets a field, in its place if it is there, else behind the others.
    pub fn set(&mut self, field: &str, value: Node) {
        match self.get_mut(field) {
            Some(place) => *place = value,
            None => self.0.push((field.to_owned(), value)),
        }
    }

    /// Removes a field.
    pub fn remove(&mut self, field: &str) -> Option<Node> {
        self.position(field).map(|position| self.0.remove(position).1)
    }

    /// Adds an item to a list, which is made if it is not there.
    pub fn push(&mut self, field: &str, item: Node) {
        match self.get_mut(field) {
            Some(Node::List(items)) => items.push(item),
            _ => self.set(field, Node::List(vec![item])),
        }
    }
}

/// Whether a key, in either spelling, is the field of that name (given in `snake_case`).
fn same_field(key: &str, field: &str) -> bool {
    if key == field {
        return true;
    }
    let mut key = key.chars();
    let mut field = field.chars();
    while let Some(wanted) = field.next() {
        let wanted = match wanted {
            '_' => match field.next() {
                Some(next) => next.to_ascii_uppercase(),
                None => return false,
            },
            other => other,
        };
        if key.next() != Some(wanted) {
            return false;
        }
    }
    key.next().is_none()
}

impl FromIterator<(String, Node)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Node)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(value) => Self::Number(value.to_string()),
            Value::String(value) => Self::Text(value.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let entry = |(key, value): (&String, _)| (key.clone(), Self::from(value));
                Self::Map(fields.iter().map(entry).collect())
            }
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl From<&str> for Node {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(text) => {
                let number: Number = text.parse().map_err(serde::ser::Error::custom)?;
                number.serialize(serializer)
            }
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(map) => serializer.collect_map(map.0.iter().map(|(key, value)| (key, value))),
            Self::Opaque(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}
