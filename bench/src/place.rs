//! Where a variant of the benchmark runs.

use std::net::SocketAddr;

use std::path::Path;

/// Where things are on this machine.
#[derive(Debug)]
pub struct Place<'a> {
    /// Where Envoy listens.
    pub listener: SocketAddr,
    /// Its admin interface.
    pub admin: SocketAddr,
    /// The external processor.
    pub ext_proc: SocketAddr,
    /// The services, in the file that the module reads.
    pub file: &'a Path,
}
