//! Any serde format → `serde_json::Value`, with what a `Value` alone would hide (duplicate keys),
//! and with the items of a `List` handed over one at a time.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use yaml::{Fields, Key, Problem, Tree};

/// A value and what is wrong with its notation.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub value: Value,
    pub problems: Vec<Problem>,
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
        let mut outer = Fields::default();
        let (mut is_list, mut is_no_list) = (false, false);
        while let Some(key) = map.next_key()? {
            let kind = outer.map.get("kind");
            let may_be_list =
                kind.is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.ends_with("List")));
            if matches!(&key, Key::Name(name) if name == "items") && may_be_list {
                self.0.begin(&outer.map);
                let seed = ItemsSeed { items: &mut *self.0, first: 0 };
                if map.next_value_seed(seed)? { is_list = true } else { is_no_list = true }
            } else {
                tree.entry(key, &mut outer, &mut map)?;
            }
        }
        let kind = outer.map.get("kind").and_then(Value::as_str);
        if is_no_list && kind.is_some_and(|kind| kind.ends_with("List")) {
            let (field, message) = ("items".to_owned(), "is not a list".to_owned());
            tree.problems.push(Problem { field, message });
            is_list = true;
        }
        let node = Node { value: Value::Object(outer.map), problems: tree.problems };
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
