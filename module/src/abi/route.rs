//! One resolution of a route, as the route specifier sees it.

use std::marker::PhantomData;

use super::buffer::{Ours, ask};
use super::refused::Refused;
use super::symbols::{Handle, Route as Functions, Unread};

/// `envoy_dynamic_module_type_route_specifier_on_route_status`; what is used of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The next specifier, if there is one, gets the route that came out.
    Continue = 0,
    /// The route that came out is final.
    Stop = 1,
}

/// `…_header_append_action_OverwriteIfExistsOrAdd`
const OVERWRITE: u32 = 2;
/// `envoy_dynamic_module_type_route_specifier_decision_Error`
const ERROR: u32 = 3;

/// The route that Envoy resolved, and what is to be changed of it.
pub struct Route<'h> {
    functions: &'static Functions,
    handle: Handle,
    hook: PhantomData<&'h mut ()>,
}

impl Route<'_> {
    /// # Safety
    /// `handle` is that of the hook that is running, and `'h` ends with it.
    pub(crate) unsafe fn new(functions: &'static Functions, handle: Handle) -> Self {
        Self { functions, handle, hook: PhantomData }
    }

    /// The upstream cluster; `None` for a redirect, a direct response, or no route.
    pub fn cluster(&self) -> Option<&[u8]> {
        // SAFETY: the route keeps its name until the hook ends.
        unsafe { ask(|out| (self.functions.get_input_route_cluster_name)(self.handle, out)) }
    }

    /// A text of the route's metadata.
    pub fn metadata(&self, namespace: &str, key: &str) -> Option<&[u8]> {
        let (namespace, key) = (Ours::new(namespace), Ours::new(key));
        // SAFETY: the route keeps its metadata until the hook ends.
        unsafe {
            ask(|out| (self.functions.get_input_route_metadata)(self.handle, namespace, key, out))
        }
    }

    /// Whether the stream had no route before: its first resolution, or the first after an internal
    /// redirect.
    pub fn is_first(&self) -> bool {
        let mut unread = Unread([0; 64]);
        // SAFETY: the hook is running, and there is room for what Envoy writes.
        !unsafe { (self.functions.get_previous_route)(self.handle, &raw mut unread) }
    }

    /// Names another upstream cluster.
    ///
    /// # Errors
    /// Envoy takes it for no name.
    pub fn set_cluster(&mut self, name: &str) -> Result<(), Refused> {
        // SAFETY: the hook is running, and Envoy copies the name.
        let done = unsafe { (self.functions.set_cluster_name)(self.handle, Ours::new(name)) };
        Refused::unless(done, "set_cluster_name")
    }

    /// Names a cluster that there is none of, and what Envoy then answers with.
    ///
    /// # Errors
    /// Envoy takes it for no name, or for no status.
    pub fn set_missing_cluster(&mut self, name: &str, status: u32) -> Result<(), Refused> {
        self.set_cluster(name)?;
        // SAFETY: the hook is running.
        let done =
            unsafe { (self.functions.set_cluster_not_found_response_code)(self.handle, status) };
        Refused::unless(done, "set_cluster_not_found_response_code")
    }

    /// Sets a request header, in place of any value that a client sent.
    ///
    /// # Errors
    /// Envoy takes it for no header.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), Refused> {
        let (name, value) = (Ours::new(name), Ours::new(value));
        // SAFETY: the hook is running, and Envoy copies both.
        let done =
            unsafe { (self.functions.add_request_header)(self.handle, name, value, OVERWRITE) };
        Refused::unless(done, "add_request_header")
    }

    /// Sets a header of the response.
    ///
    /// # Errors
    /// Envoy takes it for no header.
    pub fn set_response_header(&mut self, name: &str, value: &str) -> Result<(), Refused> {
        let (name, value) = (Ours::new(name), Ours::new(value));
        // SAFETY: the hook is running, and Envoy copies both.
        let done =
            unsafe { (self.functions.add_response_header)(self.handle, name, value, OVERWRITE) };
        Refused::unless(done, "add_response_header")
    }

    /// Adds a text to the route's metadata.
    pub fn set_metadata(&mut self, namespace: &str, key: &str, value: &str) {
        let [namespace, key, value] = [namespace, key, value].map(Ours::new);
        // SAFETY: the hook is running, and Envoy copies all three.
        unsafe {
            (self.functions.set_route_metadata_string)(self.handle, namespace, key, value);
        }
    }

    /// Leaves the request to the `failure_policy` of the Envoy configuration.
    pub fn fail(&mut self) {
        // SAFETY: the hook is running.
        unsafe { (self.functions.set_decision)(self.handle, ERROR) };
    }
}
