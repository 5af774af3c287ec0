//! The `ingress-waypoint` command: Kubernetes objects in, the filter's configuration and an answer
//! out.

mod object;
mod service_entry;

fn main() {}
