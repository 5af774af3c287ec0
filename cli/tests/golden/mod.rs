//! Files of the workspace, and the comparison with those that hold what is expected.
#![allow(dead_code)]

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

/// What is in a folder, sorted; its path begins at the root of the workspace.
pub fn entries(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join(folder)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// The names of what is in a folder, sorted.
pub fn names(folder: &str) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries(folder).iter().map(name).collect()
}

/// Whether files with what is expected are to be written (`UPDATE_GOLDEN`).
pub fn updates() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// Compares with a file, or writes it where `UPDATE_GOLDEN` is set. No file is like an empty one.
pub fn golden(path: &Path, actual: &str) {
    if let Some(difference) = difference(path, actual) {
        panic!("{difference}");
    }
}

/// The same, but returns the difference.
pub fn difference(path: &Path, actual: &str) -> Option<String> {
    let full = workspace().join(path);
    let expected = std::fs::read_to_string(&full).unwrap_or_default();
    if expected == actual {
        return None;
    }
    if !updates() {
        let path = path.display();
        return Some(format!("{path} differs (UPDATE_GOLDEN=1 writes it anew); now:\n{actual}"));
    }
    match actual {
        "" => std::fs::remove_file(&full).unwrap(),
        _ => std::fs::write(&full, actual).unwrap(),
    }
    None
}
