//! kgateway: `kube_NS_NAME_PORT`, `istio-se_NS_NAME_HOST_PORT`. Nothing is escaped, but Kubernetes
//! names hold no underscore, so the parts are found from both ends.

use super::named::{Named, is_name};
use crate::host::parse_port;

pub(super) fn read(cluster: &str) -> Option<Named<'_>> {
    if let Some(rest) = cluster.strip_prefix("kube_") {
        let (namespace, rest) = rest.split_once('_')?;
        let (name, port) = rest.rsplit_once('_')?;
        let port = parse_port(port)?;
        let valid = is_name(namespace) && is_name(name);
        return valid.then_some(Named::Service { namespace, name, port });
    }
    let rest = cluster.strip_prefix("istio-se_")?;
    let (namespace, rest) = rest.split_once('_')?;
    let (name, rest) = rest.split_once('_')?;
    let (host, port) = rest.rsplit_once('_')?;
    let port = parse_port(port)?;
    let valid = is_name(namespace) && is_name(name) && !host.is_empty();
    valid.then_some(Named::ServiceEntry { namespace, name, host, port })
}
