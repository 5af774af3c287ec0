//! An Envoy configuration as a tree that loses nothing Envoy would see: keys in their order, and
//! of each scalar whether it is text or, like `1.10` and `on`, something a reader may take for a
//! number or a boolean. Envoy decides that by the field, so such a scalar is kept as it was written.

use serde_json::Value;

use super::scalar::is_text_to_envoy;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A number or a boolean, or what some reader takes for one, as it was written.
    Plain(String),
    /// Text, however it was quoted.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object.
    Map(Map),
}

/// An object, its keys in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map(Vec<Entry>);

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Whether the key has the tag `!ignore`, with which Envoy passes it over: a place for anchors.
    pub ignored: bool,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The text, if it is one to Envoy.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Plain(text) if is_text_to_envoy(text) => Some(text),
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
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The fields in their order.
    pub fn entries_mut(&mut self) -> &mut Vec<Entry> {
        &mut self.0
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a field is. Envoy takes `snake_case` and `lowerCamelCase` alike, so this does too.
    pub fn position(&self, field: &str) -> Option<usize> {
        self.0.iter().position(|entry| !entry.ignored && same_field(&entry.key, field))
    }

    /// Whether there is a field that is none of these.
    pub fn has_others(&self, fields: &[&str]) -> bool {
        let other = |entry: &Entry| !fields.iter().any(|field| same_field(&entry.key, field));
        self.0.iter().any(|entry| !entry.ignored && other(entry))
    }

    /// A field's value.
    pub fn get(&self, field: &str) -> Option<&Node> {
        self.0.get(self.position(field)?).map(|entry| &entry.value)
    }

    /// The value of a key that is no field of Envoy's, but a name: it has one spelling.
    pub fn get_exactly(&self, key: &str) -> Option<&Node> {
        let entry = self.0.iter().find(|entry| !entry.ignored && entry.key == key);
        entry.map(|entry| &entry.value)
    }

    /// A field's value.
    pub fn get_mut(&mut self, field: &str) -> Option<&mut Node> {
        let position = self.position(field)?;
        self.0.get_mut(position).map(|entry| &mut entry.value)
    }

    /// Sets a field, in its place if it is there, else behind the others.
    pub fn set(&mut self, field: &str, value: Node) {
        match self.get_mut(field) {
            Some(place) => *place = value,
            None => self.0.push(Entry { key: field.to_owned(), ignored: false, value }),
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: &str) -> Option<Node> {
        self.position(field).map(|position| self.0.remove(position).value)
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

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Plain(value.to_string()),
            Value::Number(value) => Self::Plain(value.to_string()),
            Value::String(value) => Self::Text(value.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => Self::Map(Map(fields
                .iter()
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    ignored: false,
                    value: Self::from(value),
                })
                .collect())),
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
