//! Any serde format → `serde_json::Value`, with what a `Value` alone would hide (duplicate keys),
//! and with the items of a `List` handed over one at a time.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value and what is wrong with its notation.
#[derive(Debug, Default)]
pub struct Node {
    pub value: Value,
    /// `path: reason`.
    pub problems: Vec<String>,
}

/// What a document is.
#[derive(Debug)]
pub enum Root {
    Empty,
    /// A scalar or a sequence, by name.
    NotObject(&'static str),
    Object(Node),
    /// What stands beside the `items` of a list.
    List(Node),
}

/// Takes the items of a list as they are read.
pub trait Items {
    /// The list begins; `outer` is what stood before its items.
    fn begin(&mut self, outer: &Map<String, Value>);
    /// One of its items.
    fn item(&mut self, index: usize, node: Node);
}

/// Reads a document.
pub struct RootSeed<'a>(pub &'a mut dyn Items);

impl<'de> DeserializeSeed<'de> for RootSeed<'_> {
    type Value = Root;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Root, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RootSeed<'_> {
    type Value = Root;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
        let mut tree = Tree::default();
        let mut outer = Map::new();
        let mut is_list = false;
        while let Some(key) = map.next_key::<String>()? {
            let may_be_list = outer
                .get("kind")
                .is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.ends_with("List")));
            if key == "items" && may_be_list {
                self.0.begin(&outer);
                is_list |= map.next_value_seed(ItemsSeed { items: &mut *self.0, first: 0 })?;
            } else {
                tree.entry(key, &mut outer, &mut map)?;
            }
        }
        let node = Node { value: Value::Object(outer), problems: tree.problems };
        Ok(if is_list { Root::List(node) } else { Root::Object(node) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Root, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Root::NotObject("a list"))
    }

    fn visit_unit<E: Error>(self) -> Result<Root, E> {
        Ok(Root::Empty)
    }

    fn visit_none<E: Error>(self) -> Result<Root, E> {
        Ok(Root::Empty)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Root, E> {
        Ok(Root::NotObject("a boolean"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Root, E> {
        Ok(Root::NotObject("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Root, E> {
        Ok(Root::NotObject("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Root, E> {
        Ok(Root::NotObject("a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Root, E> {
        Ok(Root::NotObject("a string"))
    }
}

/// Reads a sequence of items and hands each over, counting from `first`. Gives whether there was
/// a sequence at all: `items: null` is an empty list.
pub struct ItemsSeed<'a> {
    pub items: &'a mut dyn Items,
    pub first: usize,
}

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut index = self.first;
        loop {
            let mut tree = Tree::default();
            let Some(value) = seq.next_element_seed(&mut tree)? else { return Ok(true) };
            self.items.item(index, Node { value, problems: tree.problems });
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        Ok(true)
    }
}

/// Reads one value.
#[derive(Default)]
struct Tree {
    path: String,
    problems: Vec<String>,
}

impl Tree {
    fn entry<'de, A: MapAccess<'de>>(
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
