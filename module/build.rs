//! Tells the linker that the module, once loaded, stays: the thread that watches a file runs its code.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
