//! Files of the workspace, and the comparison with those that hold what is expected.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A file's text; its path begins at the root of the workspace.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = workspace().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether files with what is expected are to be written (`UPDATE_GOLDEN`).
pub fn updates() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// Compares with a file, or writes it where that is asked for.
pub fn golden(path: &Path, actual: &str) {
    let full = workspace().join(path);
    if updates() {
        std::fs::write(&full, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&full).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs (UPDATE_GOLDEN=1 writes it anew); now:\n{actual}",
        path.display()
    );
}
