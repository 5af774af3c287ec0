//! Reads what the commands work on: the objects of the mesh, and files.

use std::path::Path;

use anyhow::Context as _;
use mesh::object::{Object, Origin};
use mesh::{Rules, Severity, World};
use source::{Read, Source, Wanted};

use crate::args::Input;
use crate::report::progress::shown;
use crate::report::{self, Exit};

/// Reads the world. What could not be used is said on standard error and makes the exit code 1:
/// a service that is not in the configuration is one that the filter does not know.
///
/// # Errors
/// For a source that cannot be read at all, and where there is no object in any: a pipe whose other
/// end failed would make a configuration that knows no service.
pub fn world(input: &Input, wanted: Wanted) -> anyhow::Result<(World, Exit)> {
    let mut world = World::default();
    world.mesh_config = input.mesh_config.clone().unwrap_or_default();
    let unusable = objects(&input.sources(None)?, wanted, &mut |origin, object| {
        drop(world.add(origin, object));
    })?;
    Ok((world, if unusable > 0 { Exit::LookAt } else { Exit::Done }))
}

/// Hands the objects of the sources to `take`. Returns how many errors there were about the others, which are printed to
/// standard error.
///
/// # Errors
/// If a source cannot be read at all, or there is no object of the mesh in any.
pub fn objects(
    sources: &[Source],
    wanted: Wanted,
    take: &mut dyn FnMut(Origin, Object),
) -> anyhow::Result<usize> {
    let (mut unusable, mut empty) = (0, true);
    let mut sink = |read| match read {
        Read::Object(origin, object) => {
            empty &= !object.is_of_mesh();
            take(origin, object);
        }
        Read::Diagnostic(origin, diagnostic) => {
            unusable += usize::from(diagnostic.severity == Severity::Error);
            report::diagnostic(origin.as_ref(), &diagnostic);
        }
    };
    shown(|progress| source::read_wanted(sources, wanted, progress, &mut sink))?;
    anyhow::ensure!(!empty, "no objects of the mesh were read: there is nothing to work on");
    Ok(unusable)
}

/// A selector that selects nothing is misspelt, or the service that it is for is not there.
pub fn warn_of_unmatched(world: &World, rules: &Rules) {
    let Some(selector) = &rules.required else { return };
    let services = world.services.values().map(|service| &service.meta);
    let mut all = services.chain(world.entries.values().map(|entry| &entry.meta));
    if !all.any(|meta| selector.matches(&meta.labels)) {
        let text = format!("--required {selector}: no service has these labels: it requires none");
        report::message(Severity::Warning, text);
    }
}

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// If it cannot be read, with its name.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text).map(drop)
    } else {
        source::open::read(path).map(|read| text = read)
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
