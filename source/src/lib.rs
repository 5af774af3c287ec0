//! Kubernetes objects out of files, standard input or the live cluster, one at a time.
//!
//! Nothing here holds a whole dump: a file is read document by document, a `List` item by item,
//! the cluster page by page. What cannot be used is said and never hides what stands beside it.

mod client;
mod cluster;
mod documents;
mod files;
mod items;
mod kinds;
mod lines;
pub mod open;
mod out;
mod progress;
mod tree;
mod typed;

use std::path::PathBuf;

use mesh::Selector;
use mesh::object::Read;
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

/// Reads every kind of object, as [`read_wanted`] does.
///
/// # Errors
/// As [`read_wanted`].
pub fn read(sources: &[Source], sink: &mut dyn FnMut(Read)) -> anyhow::Result<()> {
    read_wanted(sources, Wanted::Checks, sink)
}

/// Reads the sources in the order given and hands what they hold to `sink`, one at a time.
///
/// # Errors
/// For a source that cannot be read at all: a path that does not exist, a cluster that does not
/// answer or that refuses. Objects that cannot be used are no error, but [`Read::Broken`].
pub fn read_wanted(
    sources: &[Source],
    wanted: Wanted,
    sink: &mut dyn FnMut(Read),
) -> anyhow::Result<()> {
    let files = files::find(sources, sink)?;
    let progress = progress::Progress::of_bytes(files.iter().map(|f| f.size).sum::<Option<u64>>());
    let budget = Budget::default();
    for file in &files {
        file.read(&progress, wanted, &budget, sink)?;
    }
    progress.finish();
    for source in sources {
        if let Source::Cluster { context, pods, mesh_config } = source {
            let of_mesh = mesh_config.as_deref();
            cluster::read(context.as_deref(), pods.as_ref(), of_mesh, wanted, sink)?;
        }
    }
    Ok(())
}
