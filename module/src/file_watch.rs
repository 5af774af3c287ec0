//! Follows a file off the worker threads.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::abi::guard;

/// How often a file is looked at. Asking costs a microsecond, and works for a file that is moved into
/// place and for a ConfigMap, whose symlink changes two folders up, alike.
const INTERVAL: Duration = Duration::from_millis(250);

/// What tells one content of a file from the next: device, inode, length, and when it was changed, in
/// seconds and nanoseconds. Symlinks are followed.
pub type Stamp = (u64, u64, u64, i64, i64, i64, i64);

/// The file as it is now; `None` if there is none.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let of = fs::metadata(path).ok()?;
    Some((of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()))
}

/// Starts a thread that calls `reload` whenever the file changes; it ends with the source.
///
/// # Errors
/// There is no thread to be had.
pub fn start<S: Send + Sync + 'static>(
    path: PathBuf,
    mut seen: Option<Stamp>,
    source: Weak<S>,
    reload: fn(&Arc<S>, &Path),
) -> io::Result<()> {
    let work = move || {
        loop {
            thread::sleep(INTERVAL);
            let Some(source) = source.upgrade() else { return };
            // Taken before the file is read: a change in between is read again.
            let now = stamp(&path);
            if now != seen {
                seen = now;
                // Should it panic, later changes are followed all the same.
                guard(|| reload(&source, &path));
            }
        }
    };
    thread::Builder::new().name("ingress-waypoint".to_owned()).spawn(work).map(|_| ())
}
