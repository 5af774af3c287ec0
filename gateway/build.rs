//! Compiles the part of Envoy's API that is edited as protobuf.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    #[cfg(feature = "proto")]
    compile()?;
    Ok(())
}

#[cfg(feature = "proto")]
fn compile() -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir("proto")? {
        files.push(entry?.path());
    }
    files.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).open_files(files)?;
    let target = Path::new(&env::var("OUT_DIR")?).join("envoy.binpb");
    Ok(fs::write(target, compiler.encode_file_descriptor_set())?)
}
