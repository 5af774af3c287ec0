//! The functions that Envoy calls. Each is `envoy_dynamic_module_on_…` of `abi.h`; what a parameter is
//! called there stands beside it.

#![allow(unsafe_code)]

mod http;
mod route;
#[cfg(test)]
mod tests;

use std::ffi::CStr;
use std::ptr;

use crate::abi::{Level, envoy, guard, log};

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
            eprintln!("ingress_waypoint: {}", lacking("the module needs Envoy 1.39", missing));
            return None;
        }
        if let (Err(http), Err(route)) = (&envoy.http, &envoy.route) {
            log(Level::Error, format_args!("{}", lacking(HTTP_NEEDS, http)));
            log(Level::Error, format_args!("{}", lacking(ROUTE_NEEDS, route)));
            return None;
        }
        Some(if envoy.route.is_ok() { ABI_1_40 } else { ABI_1_39 })
    });
    version.flatten().map_or(ptr::null(), CStr::as_ptr)
}

/// Which Envoy has what the entry points need.
const HTTP_NEEDS: &str = "the HTTP filters need Envoy 1.39";
const ROUTE_NEEDS: &str = "the route specifier needs Envoy 1.40";

fn lacking(needs: &str, missing: &[String]) -> String {
    format!("{needs} or later: the Envoy that is running lacks {}", missing.join(", "))
}
