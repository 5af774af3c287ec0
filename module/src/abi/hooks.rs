//! The functions that Envoy calls. Each is `envoy_dynamic_module_on_…` of `abi.h`; what a parameter is
//! called there stands beside it.

mod http;
mod route;

use std::ffi::CStr;
use std::ptr;

use super::symbols::envoy;
use super::{Level, guard, log};

/// The ABI of Envoy 1.40, which has the route specifier, and the one of 1.39, which has not.
/// The functions of the HTTP filter are the same in both.
const ABI_1_40: &CStr = c"v0.2.0";
const ABI_1_39: &CStr = c"v0.1.0";

/// `program_init`: once, when the module is loaded. Null refuses.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const std::ffi::c_char {
    let version = guard(|| {
        let envoy = envoy();
        if let Err(missing) = &envoy.common {
            // No function to log with is among them.
            eprintln!("ingress_waypoint: {}", needs("Envoy 1.39 or later", missing));
            return None;
        }
        if envoy.http.is_err() && envoy.route.is_err() {
            for missing in [envoy.http.as_ref().err(), envoy.route.as_ref().err()] {
                let missing = missing.map(Vec::as_slice).unwrap_or_default();
                log(Level::Error, format_args!("{}", needs("Envoy 1.39 or later", missing)));
            }
            return None;
        }
        Some(if envoy.route.is_ok() { ABI_1_40 } else { ABI_1_39 })
    });
    version.flatten().map_or(ptr::null(), CStr::as_ptr)
}

fn needs(what: &str, missing: &[String]) -> String {
    format!("this needs {what}: the Envoy that is running lacks {}", missing.join(", "))
}
