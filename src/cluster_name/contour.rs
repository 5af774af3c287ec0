//! Contour: `NS/NAME/PORT/HASH`, the hash of ten hex digits. From 60 characters on Contour cuts the
//! parts and hashes what it cut; such a name fits no service and has to be listed in `clusters`.

use super::named::{Named, is_name};
use crate::host::parse_port;

pub(super) fn read(cluster: &str) -> Option<Named<'_>> {
    let mut parts = cluster.split('/');
    let (namespace, name) = (parts.next()?, parts.next()?);
    let port = parse_port(parts.next()?)?;
    let hash = parts.next()?;
    let hash = hash.len() == 10 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let valid = hash && parts.next().is_none() && is_name(namespace) && is_name(name);
    valid.then_some(Named::Service { namespace, name, port })
}
