//! The Kubernetes objects that matter here, each typed, with where it was read.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use gateway_api::apis::experimental::grpcroutes::GrpcRoute;
use gateway_api::apis::experimental::httproutes::HttpRoute;
use gateway_api::apis::standard::gatewayclasses::GatewayClass;
use gateway_api::apis::standard::gateways::Gateway;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};

use crate::service_entry::ServiceEntry;

/// An object of one of the kinds that are read.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Object {
    Service(Box<Service>),
    Namespace(Box<Namespace>),
    ServiceEntry(Box<ServiceEntry>),
    Gateway(Box<Gateway>),
    GatewayClass(Box<GatewayClass>),
    HttpRoute(Box<HttpRoute>),
    GrpcRoute(Box<GrpcRoute>),
    Pod(Box<Pod>),
}

impl Object {
    /// Whether it is one of those that the mesh's rules are about: of routes and pods alone nothing is made.
    pub fn is_of_mesh(&self) -> bool {
        !matches!(self, Self::HttpRoute(_) | Self::GrpcRoute(_) | Self::Pod(_))
    }
}

/// Where an object was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file, or standard input (`-`).
    File {
        /// Its path as the user gave it.
        path: Rc<PathBuf>,
        /// The document in it, from 1.
        document: usize,
        /// The item of a `List`, from 0.
        item: Option<usize>,
    },
    /// The live cluster.
    Cluster,
}

/// Something that was found and could not be used: it never hides what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Where.
    pub origin: Origin,
    /// What was wrong: `Service default/reviews: spec.ports[0].port: …`.
    pub reason: String,
}

/// What reading objects yields, one at a time.
#[derive(Debug)]
pub enum Read {
    /// A usable object.
    Object(Origin, Object),
    /// One that was not.
    Broken(Broken),
    /// Something about the source as a whole, such as a kind that the cluster does not serve.
    Warning(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, document, item } => {
                write!(f, "{}, document {document}", path.display())?;
                match item {
                    Some(item) => write!(f, ", item {item}"),
                    None => Ok(()),
                }
            }
            Self::Cluster => f.write_str("the cluster"),
        }
    }
}
