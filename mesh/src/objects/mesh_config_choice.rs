//! Which mesh configuration counts, if several were read.

use crate::objects::key::Key;
use crate::objects::mesh_config::MeshConfig;
use crate::objects::name_syntax::{is_label, is_name};

/// Which mesh configuration counts.
#[derive(Debug, Clone, Default)]
pub enum MeshConfigChoice {
    /// That of the ConfigMap `istio` in `istio-system`, else of a revision there; none where there is none.
    #[default]
    Found,
    /// That of this ConfigMap.
    Named(Key),
    /// This one, of this file.
    Given(String, Box<MeshConfig>),
}

impl MeshConfigChoice {
    /// The ConfigMap `NAMESPACE/NAME`, if `text` can be one.
    pub fn named(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let is_key = is_label(namespace) && is_name(name);
        is_key.then(|| Self::Named(Key { namespace: namespace.to_owned(), name: name.to_owned() }))
    }

    /// The content of the file `name`.
    ///
    /// # Errors
    /// What is wrong with it, with the field.
    pub fn given(name: &str, content: &[u8]) -> Result<Self, String> {
        Ok(Self::Given(name.to_owned(), Box::new(MeshConfig::from_file(content)?)))
    }
}
