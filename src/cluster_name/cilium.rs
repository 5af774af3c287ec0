//! Cilium: `[NS/NAME/]NS:NAME:PORT`, the part in front naming a CiliumEnvoyConfig.

use super::named::{Named, is_name};
use crate::host::parse_port;

pub(super) fn read(cluster: &str) -> Option<Named<'_>> {
    let backend = match cluster.rsplit_once('/') {
        Some((config, backend)) => {
            let (namespace, name) = config.split_once('/')?;
            (is_name(namespace) && is_name(name)).then_some(backend)?
        }
        None => cluster,
    };
    let mut parts = backend.split(':');
    let (namespace, name) = (parts.next()?, parts.next()?);
    let port = parse_port(parts.next()?)?;
    let valid = parts.next().is_none() && is_name(namespace) && is_name(name);
    valid.then_some(Named::Service { namespace, name, port })
}
