//! The HTTP filter's. Nothing is kept for a stream, so that a stream's filter is its configuration.

use std::ffi::c_void;
use std::ptr;

use super::{HTTP_NEEDS, lacking};
use crate::abi::Theirs;
use crate::abi::{Flow, Level, Metrics, Stream, guard, log};
use crate::abi::{Handle, envoy};
use crate::filter::Filter;

/// `http_filter_config_new`: on the main thread. Null refuses the configuration.
///
/// # Safety
/// Called by Envoy: the handle and the buffers are valid.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    config: Handle, // filter_config_envoy_ptr
    name: Theirs,
    text: Theirs, // config
) -> *const c_void {
    let made = guard(|| {
        let (_, defining) = match &envoy().http {
            Ok(found) => found,
            Err(missing) => {
                log(Level::Error, format_args!("{}", lacking(HTTP_NEEDS, missing)));
                return None;
            }
        };
        // SAFETY: Envoy's buffers last as long as this hook. Metrics go with the filter, in the
        // destroy hook, while Envoy's configuration still stands.
        let (name, text, metrics) =
            unsafe { (name.bytes(), text.bytes(), Metrics::new(defining, config)) };
        Filter::new(name, text, metrics)
    });
    made.flatten().map_or(ptr::null(), |filter| Box::into_raw(Box::new(filter)).cast())
}

/// `http_filter_config_destroy`: no other hook runs on the configuration any more.
///
/// # Safety
/// Called by Envoy, once, with what the hook above gave.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(
    filter: *const c_void,
) {
    // SAFETY: made by `Box::into_raw`, and given back but once.
    let filter = unsafe { Box::from_raw(filter.cast_mut().cast::<Filter>()) };
    // The last use of a table drops it, which is work that a panic may not leave either.
    guard(move || filter.close());
}

/// `http_filter_new`: the stream's filter is the configuration itself, which outlives it.
#[unsafe(no_mangle)]
pub(super) extern "C" fn envoy_dynamic_module_on_http_filter_new(
    filter: *const c_void, // filter_config_module_ptr
    _: Handle,             // filter_envoy_ptr
) -> *const c_void {
    filter
}

/// `http_filter_request_headers`: on the stream's worker.
///
/// # Safety
/// Called by Envoy: the filter is alive, and the handle valid for this call.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    handle: Handle,        // filter_envoy_ptr
    filter: *const c_void, // filter_module_ptr
    _: bool,
) -> Flow {
    let Ok((functions, _)) = &envoy().http else { return Flow::Stop };
    // SAFETY: by the caller's promise; only ever shared between workers.
    let (filter, mut stream) =
        unsafe { (&*filter.cast::<Filter>(), Stream::new(functions, handle)) };
    guard(|| filter.on_request(&mut stream)).unwrap_or_else(|| {
        guard(|| filter.on_panic(&mut stream));
        Flow::Stop
    })
}

/// Hooks that Envoy looks for, and that have nothing to do here; 0 is to continue.
macro_rules! idle {
    ($($hook:ident($($argument:ty),*) $(-> $status:ty)?;)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $hook($(_: $argument),*) $(-> $status)? { $(0 as $status)? }
        )*
    };
}

idle! {
    envoy_dynamic_module_on_http_filter_request_body(Handle, *const c_void, bool) -> u32;
    envoy_dynamic_module_on_http_filter_request_trailers(Handle, *const c_void) -> u32;
    envoy_dynamic_module_on_http_filter_response_headers(Handle, *const c_void, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_body(Handle, *const c_void, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_trailers(Handle, *const c_void) -> u32;
    envoy_dynamic_module_on_http_filter_stream_complete(Handle, *const c_void);
    envoy_dynamic_module_on_http_filter_destroy(*const c_void);
    envoy_dynamic_module_on_http_filter_http_callout_done(
        Handle, *const c_void, u64, u32, *mut c_void, usize, *mut c_void, usize
    );
    envoy_dynamic_module_on_http_filter_http_stream_headers(
        Handle, *const c_void, u64, *mut c_void, usize, bool
    );
    envoy_dynamic_module_on_http_filter_http_stream_data(
        Handle, *const c_void, u64, *const c_void, usize, bool
    );
    envoy_dynamic_module_on_http_filter_http_stream_trailers(
        Handle, *const c_void, u64, *mut c_void, usize
    );
    envoy_dynamic_module_on_http_filter_http_stream_complete(Handle, *const c_void, u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(Handle, *const c_void, u64, u32);
    envoy_dynamic_module_on_http_filter_scheduled(Handle, *const c_void, u64);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(Handle, *const c_void);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(Handle, *const c_void);
}
