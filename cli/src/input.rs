//! Reads what the commands work on: the objects of the mesh, and files.

use std::path::Path;

use anyhow::Context as _;
use mesh::object::Read;
use mesh::{Rules, Severity, World};
use source::Wanted;

use crate::args::Input;
use crate::report::{self, Exit};

/// What is said where nothing was read.
pub const NO_OBJECTS: &str = "no objects of the mesh were read: there is nothing to work on";

/// Reads the world. What could not be used is said on standard error and makes the exit code 1:
/// a service that is not in the configuration is one that the filter does not know.
///
/// # Errors
/// For a source that cannot be read at all, and where there is no object in any: a pipe whose other
/// end failed would make a configuration that knows no service.
pub fn world(input: &Input) -> anyhow::Result<(World, Exit)> {
    let mut world = World::default();
    world.mesh_config = input.mesh_config.clone().unwrap_or_default();
    let mut exit = Exit::Done;
    let mut empty = true;
    source::read_wanted(&input.sources(None)?, Wanted::Mesh, &mut |read| match read {
        Read::Object(origin, object) => {
            empty &= !object.is_of_mesh();
            drop(world.add(origin, object));
        }
        Read::Broken(broken) => {
            exit = Exit::LookAt;
            let (origin, reason) = (broken.origin, broken.reason);
            report::message(Severity::Error, format_args!("{origin}: {reason}"));
        }
        Read::Warning(warning) => report::message(Severity::Warning, warning),
    })?;
    anyhow::ensure!(!empty, NO_OBJECTS);
    Ok((world, exit))
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
/// Where it cannot be read, with its name.
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
