//! Kubernetes objects out of files, streams and the live cluster, one at a time.
//!
//! What is opened, listed and typed lives here; what objects mean is the mesh's. Nothing here prints, decides, or holds
//! a whole dump: a file is read document by document, a `List` item by item, the cluster page by page. An object that
//! cannot be used is a diagnostic and never hides another.

#[cfg(feature = "cluster")]
mod client;
#[cfg(feature = "cluster")]
mod cluster;
mod documents;
mod files;
mod items;
mod kinds;
mod lines;
pub mod open;
mod out;
mod tree;
mod typed;

use std::path::PathBuf;

use mesh::object::{Object, Origin};
use mesh::{Code, Diagnostic, Selector, Severity};
use yaml::Budget;

pub use kinds::{Kind, RESOURCES, Resource, Wanted};

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
        /// The ingress's pods, where no label of theirs names a Gateway: no others are listed.
        pods: Option<Selector>,
        /// The namespace of the mesh configuration, where it is not Istio's own.
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
    /// Files begin: so many bytes, where that is known.
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
fn warning(message: String) -> Read {
    let diagnostic = Diagnostic::new(Severity::Warning, Code::SourceIncomplete, None, message);
    Read::Diagnostic(None, diagnostic)
}

/// Reads every kind of object, as [`read_wanted`] does.
///
/// # Errors
/// As [`read_wanted`].
pub fn read(sources: &[Source], sink: &mut dyn FnMut(Read)) -> anyhow::Result<()> {
    read_wanted(sources, Wanted::Checks, &|_| {}, sink)
}

/// Reads the sources in the order given and hands what they hold to `sink`, one at a time.
///
/// # Errors
/// For a source that cannot be read at all: a path that does not exist, a cluster that does not
/// answer or that refuses. An object that cannot be used is not one: it is a
/// [`Read::Diagnostic`].
pub fn read_wanted(
    sources: &[Source],
    wanted: Wanted,
    progress: &dyn Fn(Progress),
    sink: &mut dyn FnMut(Read),
) -> anyhow::Result<()> {
    let files = files::find(sources, sink)?;
    if !files.is_empty() {
        progress(Progress::Files(files.iter().map(|file| file.size).sum()));
    }
    let budget = Budget::default();
    for file in &files {
        file.read(progress, wanted, &budget, sink)?;
    }
    for source in sources {
        match source {
            #[cfg(feature = "cluster")]
            Source::Cluster { context, pods, mesh_config } => {
                let (context, of_mesh) = (context.as_deref(), mesh_config.as_deref());
                cluster::read(context, pods.as_ref(), of_mesh, wanted, progress, sink)?;
            }
            #[cfg(not(feature = "cluster"))]
            Source::Cluster { .. } => anyhow::bail!("this program was built without `cluster`"),
            Source::Path(_) | Source::Stdin => {}
        }
    }
    Ok(())
}
