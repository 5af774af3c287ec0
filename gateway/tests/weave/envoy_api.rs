//! Envoy's whole API, by which fixtures become protobuf and results are compared. `envoy-types` has its descriptors in
//! its sources.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use gateway::envoy::protobuf::messages;
use prost_reflect::prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use serde_json::Value as Json;

pub const LISTENER: &str = "envoy.config.listener.v3.Listener";
pub const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
pub const ROUTES: &str = "envoy.config.route.v3.RouteConfiguration";

/// The files of `gateway/proto` that `envoy-types` does not have.
pub const MISSING: [&str; 3] = [
    "envoy.extensions.router.route_specifiers.dynamic_modules.v3.proto",
    "udpa.type.v1.proto",
    "xds.type.v3.proto",
];

pub static API: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let cargo =
        Command::new(env!("CARGO")).args(["metadata", "--format-version=1", "--locked"]).output();
    let metadata: Json = serde_json::from_slice(&cargo.unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "envoy-types").unwrap();
    let sources = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
    let file = std::fs::read(sources.join("src/generated/types.bin")).unwrap();
    let mut pool = DescriptorPool::decode(file.as_slice()).unwrap();
    for name in MISSING {
        let mut file = messages().get_file_by_name(name).unwrap().file_descriptor_proto().clone();
        for import in &mut file.dependency {
            let imported = messages().get_file_by_name(import).unwrap();
            let message = imported.messages().next().unwrap();
            *import = pool
                .get_message_by_name(message.full_name())
                .unwrap()
                .parent_file()
                .name()
                .to_owned();
        }
        pool.add_file_descriptor_proto(file).unwrap();
    }
    pool
});

pub fn descriptor(name: &str) -> MessageDescriptor {
    API.get_message_by_name(name).unwrap_or_else(|| panic!("{name}"))
}

pub fn from_json(name: &str, json: &Json) -> DynamicMessage {
    DynamicMessage::deserialize(descriptor(name), json)
        .unwrap_or_else(|error| panic!("{error}\n{json:#}"))
}

pub fn from_bytes(name: &str, bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(descriptor(name), bytes).unwrap()
}

/// The message in an `Any`.
fn held(message: &DynamicMessage) -> Option<DynamicMessage> {
    if message.descriptor().full_name() != "google.protobuf.Any" {
        return None;
    }
    let url = message.get_field_by_name("type_url")?.as_str()?.to_owned();
    let value = message.get_field_by_name("value")?.as_bytes()?.clone();
    let descriptor = API.get_message_by_name(url.rsplit('/').next()?)?;
    Some(DynamicMessage::decode(descriptor, value).unwrap())
}

/// All that a message holds, in one order.
pub fn canonical(message: &DynamicMessage) -> String {
    let value = |value: &Value| match value {
        Value::Message(message) => canonical(message),
        other => format!("{other:?}"),
    };
    if let Some(held) = held(message) {
        return format!("{}{}", held.descriptor().full_name(), canonical(&held));
    }
    let mut text = String::from("{\n");
    for (field, content) in message.fields() {
        text += &match content {
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(value).collect();
                format!("{}: [{}]\n", field.name(), items.join(", "))
            }
            Value::Map(entries) => {
                let entries: BTreeMap<String, String> =
                    entries.iter().map(|(key, item)| (format!("{key:?}"), value(item))).collect();
                format!("{}: {entries:#?}\n", field.name())
            }
            other => format!("{}: {}\n", field.name(), value(other)),
        };
    }
    for unknown in message.unknown_fields() {
        text += &format!("{}: {unknown:?}\n", unknown.number());
    }
    text + "}"
}

/// Gives every message in a message, those in an `Any` included, a field that Envoy's API does not have. Each has
/// a value of its own.
pub fn sprinkle(message: &mut DynamicMessage, next: &mut u64) {
    if let Some(mut held) = held(message) {
        sprinkle(&mut held, next);
        message.set_field_by_name("value", Value::Bytes(held.encode_to_vec().into()));
        // An `Any` with a field of its own is kept as it is, unread.
        return;
    }
    let fields: Vec<_> = message.fields().map(|(field, _)| field).collect();
    for field in fields {
        match message.get_field_mut(&field) {
            Value::Message(inner) => sprinkle(inner, next),
            Value::List(items) => {
                items
                    .iter_mut()
                    .filter_map(Value::as_message_mut)
                    .for_each(|it| sprinkle(it, next));
            }
            Value::Map(entries) => {
                let mut keys: Vec<MapKey> = entries.keys().cloned().collect();
                keys.sort_by_key(|key| format!("{key:?}"));
                for key in keys {
                    if let Some(Value::Message(inner)) = entries.get_mut(&key) {
                        sprinkle(inner, next);
                    }
                }
            }
            _ => {}
        }
    }
    *next += 1;
    let mut unknown = Vec::new();
    prost_reflect::prost::encoding::uint64::encode(50_000, next, &mut unknown);
    message.merge(unknown.as_slice()).unwrap();
}

/// The values of all these fields.
pub fn sprinkled(message: &DynamicMessage, found: &mut Vec<u64>) {
    if let Some(held) = held(message) {
        sprinkled(&held, found);
    }
    for (_, content) in message.fields() {
        match content {
            Value::Message(inner) => sprinkled(inner, found),
            Value::List(items) => {
                items.iter().filter_map(Value::as_message).for_each(|it| sprinkled(it, found));
            }
            Value::Map(entries) => {
                entries.values().filter_map(Value::as_message).for_each(|it| sprinkled(it, found));
            }
            _ => {}
        }
    }
    for unknown in message.unknown_fields().filter(|field| field.number() == 50_000) {
        let mut bytes = Vec::new();
        unknown.encode(&mut bytes);
        let mut bytes = bytes.as_slice();
        prost_reflect::prost::encoding::decode_key(&mut bytes).unwrap();
        found.push(prost_reflect::prost::encoding::decode_varint(&mut bytes).unwrap());
    }
}
