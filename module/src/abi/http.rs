//! One request, as the HTTP filter sees it.

use std::marker::PhantomData;

use super::buffer::{Header, Ours, ask};
use super::refused::Refused;
use super::symbols::{Handle, Http as Functions};

/// What the filter chain does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Flow {
    /// `…_request_headers_status_Continue`
    Continue = 0,
    /// `…_request_headers_status_StopIteration`, for the request is answered.
    Stop = 1,
}

/// `envoy_dynamic_module_type_http_header_type_RequestHeader`
const REQUEST: u32 = 0;
/// `envoy_dynamic_module_type_metadata_source_Route`
const ROUTE: u32 = 1;

/// A request's stream, while its headers are handled.
pub struct Stream<'h> {
    functions: &'static Functions,
    handle: Handle,
    hook: PhantomData<&'h mut ()>,
}

impl Stream<'_> {
    /// # Safety
    /// `handle` is that of the hook that is running, and `'h` ends with it.
    pub(crate) unsafe fn new(functions: &'static Functions, handle: Handle) -> Self {
        Self { functions, handle, hook: PhantomData }
    }

    /// The upstream cluster of the route, which is resolved anew where that is due. `None` for a route
    /// without one, and for a cluster that Envoy does not know.
    pub fn cluster(&self) -> Option<&[u8]> {
        // SAFETY: the stream keeps its cluster until the route changes, which takes a setter.
        unsafe { ask(|out| (self.functions.get_cluster_name)(self.handle, out)) }
    }

    /// The first value of a request header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let name = Ours::new(name);
        let mut count = 0;
        // SAFETY: the headers stay as they are until a setter is called.
        unsafe {
            ask(|out| {
                let count = &raw mut count;
                (self.functions.get_header)(self.handle, REQUEST, name, out, 0, count)
            })
        }
    }

    /// A text of the metadata of the route as it was resolved last; [`Self::cluster`] resolves it anew.
    pub fn route_metadata(&self, namespace: &str, key: &str) -> Option<&[u8]> {
        let (namespace, key) = (Ours::new(namespace), Ours::new(key));
        // SAFETY: a stream keeps every route it ever had, those that were cleared too, until it ends.
        unsafe {
            ask(|out| (self.functions.get_metadata_string)(self.handle, ROUTE, namespace, key, out))
        }
    }

    /// A number of the route's metadata.
    pub fn route_number(&self, namespace: &str, key: &str) -> Option<f64> {
        let (namespace, key) = (Ours::new(namespace), Ours::new(key));
        let mut number = 0.0;
        // SAFETY: the hook is running; the number lives for the call.
        let found = unsafe {
            (self.functions.get_metadata_number)(
                self.handle,
                ROUTE,
                namespace,
                key,
                &raw mut number,
            )
        };
        found.then_some(number)
    }

    /// Whether a boolean of the route's metadata is true.
    pub fn route_flag(&self, namespace: &str, key: &str) -> bool {
        let (namespace, key) = (Ours::new(namespace), Ours::new(key));
        let mut flag = false;
        // SAFETY: the hook is running; the boolean lives for the call.
        let found = unsafe {
            (self.functions.get_metadata_bool)(self.handle, ROUTE, namespace, key, &raw mut flag)
        };
        found && flag
    }

    /// Sets or removes a request header.
    ///
    /// # Errors
    /// Envoy refuses.
    pub fn set_header(&mut self, name: &str, value: Option<&str>) -> Result<(), Refused> {
        let (name, value) = (Ours::new(name), value.map_or(Ours::NULL, Ours::new));
        // SAFETY: the hook is running, and Envoy copies both.
        let done = unsafe { (self.functions.set_header)(self.handle, REQUEST, name, value) };
        Refused::unless(done, "set_header")
    }

    /// Adds a text to the stream's dynamic metadata.
    pub fn set_metadata(&mut self, namespace: &str, key: &str, value: &str) {
        let [namespace, key, value] = [namespace, key, value].map(Ours::new);
        // SAFETY: the hook is running, and Envoy copies all three.
        unsafe {
            (self.functions.set_dynamic_metadata_string)(self.handle, namespace, key, value);
        }
    }

    /// Sets filter state that Envoy has an object factory for.
    ///
    /// # Errors
    /// Envoy has none, or cannot read the value.
    pub fn set_filter_state(&mut self, key: &str, value: &str) -> Result<(), Refused> {
        let (key, value) = (Ours::new(key), Ours::new(value));
        // SAFETY: the hook is running, and Envoy copies both.
        let done = unsafe { (self.functions.set_filter_state_typed)(self.handle, key, value) };
        Refused::unless(done, "set_filter_state_typed")
    }

    /// Has the route resolved anew.
    pub fn clear_route_cache(&mut self) {
        // SAFETY: the hook is running.
        unsafe { (self.functions.clear_route_cache)(self.handle) };
    }

    /// Answers the request; a gRPC client is told UNAVAILABLE. What is done to it afterwards has no
    /// effect.
    pub fn respond(&mut self, status: u32, details: &str, body: &str) {
        let (details, body) = (Ours::new(details), Ours::new(body));
        // Envoy's function leaves a gRPC client with status 0, which is OK.
        let is_grpc =
            self.header("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"));
        let unavailable = [Header(Ours::new("grpc-status"), Ours::new("14"))];
        let headers: &[Header<'_>] = if is_grpc { &unavailable } else { &[] };
        // SAFETY: the hook is running, and Envoy copies all of it.
        unsafe {
            (self.functions.send_response)(
                self.handle,
                status,
                headers.as_ptr(),
                headers.len(),
                body,
                details,
            );
        }
    }
}
