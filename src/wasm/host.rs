//! Calls to Envoy that the SDK has no function for.

use std::ptr;

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use crate::plan::{NAMESPACE, ORIGINAL_DST_ADDRESS, PORT, Refusal, SERVICE, VIP_ROUTE};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    // proxy-wasm ABI 0.2.1. The SDK's wrapper makes its path anew each time.
    fn proxy_get_property(
        path_data: *const u8,
        path_size: usize,
        return_value_data: *mut *mut u8,
        return_value_size: *mut usize,
    ) -> u32;

    // The SDK's wrapper leaves the details out.
    fn proxy_send_local_response(
        status_code: u32,
        details_data: *const u8,
        details_size: usize,
        body_data: *const u8,
        body_size: usize,
        headers_data: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// A status of the host, as a number: the SDK's type does not have all that there are.
fn status(number: u32) -> Status {
    match number {
        0 => Status::Ok,
        1 => Status::NotFound,
        _ => Status::InternalFailure,
    }
}

/// A property of the request, by its path with NULs between the parts.
pub fn property(path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the path comes with its length, and the host writes to both of the others.
    let answered =
        unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    match status(answered) {
        Status::NotFound => Ok(None),
        Status::Ok if data.is_null() => Ok(Some(Vec::new())),
        // SAFETY: the host has the SDK's `proxy_on_memory_allocate` allocate what it returns, which is a
        // slice of that size.
        Status::Ok => Ok(Some(unsafe { Vec::from_raw_parts(data, size, size) })),
        status => Err(status),
    }
}

/// The paths of what the filter reads in a route's metadata, made once.
pub struct MetadataPaths {
    pub service: Vec<u8>,
    pub port: Vec<u8>,
    pub vip_route: Vec<u8>,
}

impl MetadataPaths {
    pub fn new() -> Self {
        // Each part ends with a NUL, but for the last.
        let path = |key| format!("xds\0route_metadata\0filter_metadata\0{NAMESPACE}\0{key}").into();
        Self { service: path(SERVICE), port: path(PORT), vip_route: path(VIP_ROUTE) }
    }
}

/// Answers the request, with response-code details.
pub fn refuse(details: &str, body: &str) -> Result<(), Status> {
    // Envoy derives the gRPC status from the HTTP one.
    const NO_GRPC_STATUS: i32 = -1;
    // No headers: a list of length zero, little endian.
    const NO_HEADERS: [u8; 4] = [0; 4];
    // SAFETY: each pointer comes with the length of the borrowed buffer behind it, and the host
    // copies out of them before it returns.
    let answered = unsafe {
        proxy_send_local_response(
            Refusal::STATUS,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            NO_HEADERS.as_ptr(),
            NO_HEADERS.len(),
            NO_GRPC_STATUS,
        )
    };
    match status(answered) {
        Status::Ok => Ok(()),
        status => Err(status),
    }
}

/// Sets the destination of the request's ORIGINAL_DST cluster; see [`destination_message`].
pub fn set_destination(message: &[u8]) -> Result<(), Status> {
    hostcalls::call_foreign_function("set_envoy_filter_state", Some(message)).map(|_| ())
}

/// The argument of Envoy's foreign function `set_envoy_filter_state`: a protobuf message
/// `SetEnvoyFilterStateArguments` of path (1) and value (2). Its span (3) stays at the default, the
/// filter chain: an internal redirect starts without it and is decided anew.
pub fn destination_message(address: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(ORIGINAL_DST_ADDRESS.len() + address.len() + 4);
    for (field, text) in [(1_u8, ORIGINAL_DST_ADDRESS), (2, address)] {
        // Wire type 2, length-delimited. Both texts are far below the 128 bytes of a longer varint.
        message.push(field << 3 | 2);
        message.push(text.len() as u8);
        message.extend_from_slice(text.as_bytes());
    }
    message
}
