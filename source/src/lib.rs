//! Kubernetes objects out of files, streams and the live cluster, one at a time.
//!
//! What is opened, listed and typed lives here; what objects mean is the mesh's. Nothing here prints, decides, or holds
//! a whole dump: a file is read document by document, a `List` item by item, the cluster page by page. An object that
//! cannot be used is a diagnostic and never hides another. [`watch`] goes on with the changes of a cluster.

#[cfg(feature = "cluster")]
mod client;
mod documents;
mod files;
#[cfg(feature = "cluster")]
mod item;
mod items;
mod kinds;
mod lines;
#[cfg(feature = "cluster")]
mod list;
pub mod open;
mod out;
mod read;
mod tree;
mod typed;
#[cfg(feature = "cluster")]
pub mod watch;

use yaml::Budget;

pub use kinds::{RESOURCES, Resource, Wanted};
pub use read::{Progress, Read, Source};

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
                list::read(context, pods.as_ref(), of_mesh, wanted, progress, sink)?;
            }
            #[cfg(not(feature = "cluster"))]
            Source::Cluster { .. } => anyhow::bail!("this program was built without `cluster`"),
            Source::Path(_) | Source::Stdin => {}
        }
    }
    Ok(())
}
