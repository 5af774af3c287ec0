//! Files that are written: moved into place as a whole.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::Path;

use source::open::{self, is_descriptor};

/// Moves a file into place as a whole, which is what Envoy watches for: it never sees half of it.
/// Where the file is as it should be, nothing is done. Returns whether anything was.
///
/// # Errors
/// Where the folder cannot be written, and where something else than a regular file has the name, which it would lose:
/// a device, or standard output.
pub fn write_atomically(path: &Path, content: &str) -> io::Result<bool> {
    let found = fs::metadata(path)
        .ok()
        .and_then(|found| ingress_waypoint_file::irregular(found.file_type()));
    let found = found.or(is_descriptor(path).then_some("an open file of this process"));
    if let Some(what) = found {
        let reason = format!("is {what}, and a regular file would be moved into its place");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    if open::read(path).is_ok_and(|old| old == content.as_bytes()) {
        return Ok(false);
    }
    // A move is atomic only within one file system, so the new file is made in the same folder.
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(".ingress-waypoint-").tempfile_in(folder)?;
    file.write_all(content.as_bytes())?;
    file.as_file().set_permissions(permissions(path)?)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()?;
    Ok(true)
}

/// Those of the file that is replaced; of a new one, what lets an Envoy of another user read it.
fn permissions(path: &Path) -> io::Result<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    match fs::metadata(path) {
        Ok(old) => Ok(old.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Permissions::from_mode(0o644)),
        Err(error) => Err(error),
    }
}
