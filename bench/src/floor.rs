//! What Envoy's wasm filter costs with any module: two modules that do almost nothing.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// What Envoy needs of a module.
const MODULE: &str = r#"
(memory (export "memory") 2)
(func (export "proxy_abi_version_0_2_1"))
(func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 4096)
"#;

/// Asks for the name of the upstream cluster, which each filter must that is to know the service.
const ASKING: &str = r#"
(data (i32.const 16) "xds\00cluster_name")
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $get_property (i32.const 16) (i32.const 16) (i32.const 0) (i32.const 4)))
  i32.const 0)
"#;

const IMPORT: &str = r#"(import "env" "proxy_get_property" (func $get_property (param i32 i32 i32 i32) (result i32)))"#;

/// Writes a module that Envoy never enters for a request.
///
/// # Errors
/// If it cannot be written.
pub fn idle(folder: &Path) -> Result<PathBuf> {
    write(folder.join("idle.wasm"), &format!("(module {MODULE})"))
}

/// Writes a module that asks for the cluster and lets every request through.
///
/// # Errors
/// If it cannot be written.
pub fn asking(folder: &Path) -> Result<PathBuf> {
    write(folder.join("asking.wasm"), &format!("(module {IMPORT} {MODULE} {ASKING})"))
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf> {
    std::fs::write(&path, wat::parse_str(text)?)?;
    Ok(path)
}
