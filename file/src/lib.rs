//! Opens and reads regular files that a configuration or a user names, up to a size, and never waits for one.
//! The crates that read files share it. What a file holds, and who names it, is not known here.
#![forbid(unsafe_code)]

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Opens a regular file for reading.
///
/// # Errors
/// If it cannot be opened, and for all that is not a regular file: a FIFO keeps its reader until it is written to,
/// and a device may give bytes without end.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened, which does something to some devices.
    check(&fs::metadata(path)?)?;
    // It may have been replaced since; this way the opening does not wait for a writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads all of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`], where it cannot be read, and where it is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut content = Vec::new();
    // Its length may be another's by the time that it is read: one byte more tells.
    let within = file.metadata()?.len() <= limit
        && file.take(limit.saturating_add(1)).read_to_end(&mut content)? as u64 <= limit;
    if !within {
        let reason = format!("is larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(content)
}

fn check(metadata: &Metadata) -> io::Result<()> {
    let Some(what) = irregular(metadata.file_type()) else { return Ok(()) };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("is {what}, not a regular file")))
}

/// What it is, if it is not a regular file.
pub fn irregular(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        return None;
    }
    Some(match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let at = |name: &str| folder.join(name);
        fs::write(at("file"), "content").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        std::os::unix::fs::symlink("fifo", at("link-to-fifo")).unwrap();
        let socket = UnixListener::bind(at("socket")).unwrap();

        assert_eq!(read(&at("file"), 7).unwrap(), b"content");
        assert_eq!(read(&at("link"), 100).unwrap(), b"content");
        assert_eq!(read(&at("file"), 6).unwrap_err().to_string(), "is larger than 6 bytes");
        let refused = |path: &Path| read(path, 100).unwrap_err().to_string();
        assert_eq!(refused(&at("fifo")), "is a FIFO, not a regular file");
        assert_eq!(refused(&at("link-to-fifo")), "is a FIFO, not a regular file");
        assert_eq!(refused(&at("socket")), "is a socket, not a regular file");
        assert_eq!(refused(folder), "is a directory, not a regular file");
        assert_eq!(refused(Path::new("/dev/zero")), "is a device, not a regular file");
        assert_eq!(read(&at("missing"), 100).unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(socket);
    }
}
