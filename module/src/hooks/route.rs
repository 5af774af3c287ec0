//! The route specifier's.

use std::ffi::c_void;
use std::ptr;

use super::{ROUTE_NEEDS, lacking};
use crate::abi::Theirs;
use crate::abi::{Handle, envoy};
use crate::abi::{Level, Metrics, Route, Status, guard, log};
use crate::specifier::Specifier;

/// `route_specifier_config_new`: on the main thread. Null refuses the configuration.
///
/// # Safety
/// Called by Envoy: the handle and the buffers are valid.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn envoy_dynamic_module_on_route_specifier_config_new(
    config: Handle, // config_envoy_ptr
    name: Theirs,
    text: Theirs, // config
) -> *const c_void {
    let made = guard(|| {
        let (_, defining) = match &envoy().route {
            Ok(found) => found,
            Err(missing) => {
                log(Level::Error, format_args!("{}", lacking(ROUTE_NEEDS, missing)));
                return None;
            }
        };
        // SAFETY: Envoy's buffers last as long as this hook. Metrics go with the specifier, in the
        // destroy hook, while Envoy's configuration still stands.
        let (name, text, metrics) =
            unsafe { (name.bytes(), text.bytes(), Metrics::new(defining, config)) };
        Specifier::new(name, text, metrics)
    });
    made.flatten().map_or(ptr::null(), |specifier| Box::into_raw(Box::new(specifier)).cast())
}

/// `route_specifier_config_destroy`: no other hook runs on the configuration any more.
///
/// # Safety
/// Called by Envoy, once, with what the hook above gave.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn envoy_dynamic_module_on_route_specifier_config_destroy(
    specifier: *const c_void, // config_module_ptr
) {
    // SAFETY: made by `Box::into_raw`, and given back but once.
    let specifier = unsafe { Box::from_raw(specifier.cast_mut().cast::<Specifier>()) };
    // The last use of a table drops it, which is work that a panic may not leave either.
    guard(move || specifier.close());
}

/// `route_specifier_on_route`: on a worker, for each resolution of a route.
///
/// # Safety
/// Called by Envoy: the specifier is alive, and the handle valid for this call.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn envoy_dynamic_module_on_route_specifier_on_route(
    specifier: *const c_void, // config_module_ptr
    handle: Handle,           // context_envoy_ptr
) -> Status {
    let Ok((functions, _)) = &envoy().route else { return Status::Stop };
    // SAFETY: by the caller's promise; only ever shared between workers.
    let (specifier, mut route) =
        unsafe { (&*specifier.cast::<Specifier>(), Route::new(functions, handle)) };
    guard(|| specifier.on_route(&mut route)).unwrap_or_else(|| {
        guard(|| specifier.on_panic(&mut route)).unwrap_or_else(|| {
            route.fail();
            Status::Stop
        })
    })
}

/// `route_specifier_route_destroy`: for routes with user data. This module sets none.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_route_specifier_route_destroy(_: *const c_void, _: u64) {}
