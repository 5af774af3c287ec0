//! Envoy Gateway with `mergeBackends`: `service/NS/NAME/PORT[/PROTOCOL]`. Without it a cluster is
//! named after the route, which says nothing about the service.

use super::named::{Named, is_name};
use crate::host::parse_port;

pub(super) fn read(cluster: &str) -> Option<Named<'_>> {
    let mut parts = cluster.strip_prefix("service/")?.split('/');
    let (namespace, name) = (parts.next()?, parts.next()?);
    let port = parse_port(parts.next()?)?;
    let _protocol = parts.next();
    let valid = parts.next().is_none() && is_name(namespace) && is_name(name);
    valid.then_some(Named::Service { namespace, name, port })
}
