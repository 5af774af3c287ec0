//! A table → the resources of its gateways.

use std::sync::Arc;

use bytes::Bytes;
use gateway::objects::discovered;
use sha2::{Digest as _, Sha256};

use crate::node::Node;
use crate::xds::{Answer, Directory, Resource, Resources};

/// Takes a configuration, for instance into a file.
pub type Write = Box<dyn FnMut(&str) -> anyhow::Result<()> + Send>;

/// This release.
const RELEASE: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();

/// Makes the resources of gateways.
pub struct Publisher {
    /// Where they are served.
    pub resources: Arc<Resources>,
    /// The wasm module, if the wasm form is served.
    pub wasm: Option<Module>,
    /// Takes each configuration too.
    pub write: Option<Write>,
    /// The version that it took last.
    pub written: Option<String>,
}

/// The wasm module.
pub struct Module {
    bytes: Bytes,
    hash: String,
}

impl Module {
    /// Of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { hash: hash([&bytes]), bytes: bytes.into() }
    }
}

impl Publisher {
    /// Serves a configuration of that version, which is JSON, to these gateways, in each form.
    pub fn publish<'n>(
        &self,
        config: &Bytes,
        version: &str,
        nodes: impl IntoIterator<Item = &'n Node>,
    ) {
        let wasm = self.wasm.as_ref().map(|Module { bytes, hash: module }| {
            (hash([version.as_bytes(), module.as_bytes()]), discovered::wasm(config, bytes))
        });
        for Node { name, .. } in nodes {
            let table = discovered::table(config, name);
            self.resources.insert(Resource::new(discovered::table_name(name), version, table));
            if let Some((version, wasm)) = &wasm {
                let name = discovered::wasm_name(name);
                self.resources.insert(Resource::new(name, version, wasm.clone()));
            }
        }
    }

    /// Hands the configuration of that version over to [`Publisher::write`], once.
    ///
    /// # Errors
    /// It was not taken.
    pub fn write(&mut self, config: &str, version: &str) -> anyhow::Result<()> {
        if let Some(write) =
            self.write.as_mut().filter(|_| self.written.as_deref() != Some(version))
        {
            // What is there if this fails is not known.
            self.written = None;
            write(config)?;
            self.written = Some(version.to_owned());
        }
        Ok(())
    }
}

/// The version of a configuration. Equal texts have one version, in every replica of one release: what a resource holds
/// around the text may change with the next.
pub fn version(config: &str) -> String {
    hash([RELEASE, config.as_bytes()])
}

fn hash<const N: usize>(parts: [&[u8]; N]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The names that are served.
#[derive(Debug)]
pub struct Names {
    /// The gateways.
    pub nodes: Vec<Node>,
    /// Whether the wasm form is served.
    pub wasm: bool,
}

impl Directory for Names {
    fn subscribed(&self, name: &str, _: &str) -> Answer {
        let is_served = |node: &Node| {
            name == discovered::table_name(&node.name)
                || (self.wasm && name == discovered::wasm_name(&node.name))
        };
        if self.nodes.iter().any(is_served) { Answer::Served } else { Answer::Unknown }
    }
}
