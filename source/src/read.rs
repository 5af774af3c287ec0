//! What is read, and what reading yields.

use std::path::PathBuf;

use mesh::object::{Object, Origin};
use mesh::{Code, Diagnostic, Selector, Severity};

/// Where objects come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, or a folder with its `*.yaml`, `*.yml` and `*.json`.
    Path(PathBuf),
    /// Standard input (`-`).
    Stdin,
    /// The live cluster.
    Cluster {
        /// The kubeconfig's context, if not its current one.
        context: Option<String>,
        /// The ingress's pods, if no label of theirs names a Gateway: no others are listed.
        pods: Option<Selector>,
        /// The namespace of the mesh configuration, if it is not Istio's own.
        mesh_config: Option<String>,
    },
}

impl Source {
    /// What the argument of `-f` means.
    pub fn from_argument(argument: &str) -> Self {
        if argument == "-" { Self::Stdin } else { Self::Path(PathBuf::from(argument)) }
    }
}

/// What reading yields, one at a time.
#[derive(Debug)]
pub enum Read {
    /// A usable object.
    Object(Origin, Object),
    /// An error: something that cannot be used, and that never hides other objects. Or a warning, such as a kind that
    /// the cluster does not serve.
    Diagnostic(Option<Origin>, Diagnostic),
}

/// How far the reading is.
#[derive(Debug)]
pub enum Progress {
    /// Files begin: so many bytes, if that is known.
    Files(Option<u64>),
    /// So many bytes were read.
    Bytes(usize),
    /// The cluster's lists begin.
    Cluster,
    /// It is asked for this kind, as `kubectl` names it.
    Kind(String),
    /// One object of that kind was read.
    Object,
}

/// A warning about a source as a whole.
pub fn warning(message: String) -> Read {
    let diagnostic = Diagnostic::new(Severity::Warning, Code::SourceIncomplete, None, message);
    Read::Diagnostic(None, diagnostic)
}
