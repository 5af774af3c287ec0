//! A table → the resources of its gateways.

use std::sync::Arc;

use anyhow::Context as _;
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
    pub wasm: Option<Bytes>,
    /// Takes each configuration too.
    pub write: Option<Write>,
    /// The version that it took last.
    pub written: Option<String>,
}

impl Publisher {
    /// Serves a configuration of that version to these gateways, in each form.
    ///
    /// # Errors
    /// The configuration is not JSON.
    pub fn publish<'n>(
        &self,
        config: &str,
        version: &str,
        nodes: impl IntoIterator<Item = &'n Node>,
    ) -> anyhow::Result<()> {
        let wasm = self
            .wasm
            .as_ref()
            .map(|module| (hash([version.as_bytes(), module]), discovered::wasm(config, module)));
        for Node { name, .. } in nodes {
            let table = discovered::table(config, name).context("the configuration is not JSON")?;
            self.resources.insert(Resource::new(discovered::table_name(name), version, table));
            if let Some((version, wasm)) = &wasm {
                let name = discovered::wasm_name(name);
                self.resources.insert(Resource::new(name, version, wasm.clone()));
            }
        }
        Ok(())
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
