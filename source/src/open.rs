//! How files are opened that somebody names: nothing is waited for, and nothing read without end.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a regular file, or what the shell has opened for this process.
///
/// # Errors
/// If it cannot be opened, and for a FIFO, a device, a socket or a folder.
pub fn open(path: &Path) -> io::Result<File> {
    if is_descriptor(path) { File::open(path) } else { ingress_waypoint_file::open(path) }
}

/// What a configuration may have at most, in bytes: as much as the filter takes.
const LIMIT: u64 = 1 << 30;

/// Reads all of what [`open`] opens, which is a configuration.
///
/// # Errors
/// As [`open`], where it cannot be read, and where it is larger than 1 GiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !is_descriptor(path) {
        return ingress_waypoint_file::read(path, LIMIT);
    }
    let mut content = Vec::new();
    io::Read::read_to_end(&mut open(path)?, &mut content)?;
    Ok(content)
}

/// Whether a path names an open file of this process: `diff <(…)` gives `/dev/fd/63`. Its other end is the user's own,
/// as that of standard input is.
pub fn is_descriptor(path: &Path) -> bool {
    let Some(path) = path.to_str() else { return false };
    let number = ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|folder| path.strip_prefix(folder));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        || ["/dev/stdin", "/dev/stdout", "/dev/stderr"].contains(&path)
}

/// Whether it can be read but once.
pub fn is_stream(path: &Path) -> bool {
    is_descriptor(path) && fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}
