//! Envoy's functions, and how to find them in a process.

use std::ffi::{CString, c_void};
use std::mem::transmute;

use super::buffer::{Header, Ours, Theirs};

/// What Envoy hands out for a configuration, a request's stream, or one resolution of a route.
pub(crate) type Handle = *mut c_void;

/// Room for a struct of Envoy's that is not looked at: `…_route_specifier_input_route` has 136 bytes.
#[repr(C, align(16))]
pub(crate) struct Unread(pub [u64; 64]);

/// What all symbols below begin with.
const PREFIX: &str = "envoy_dynamic_module_callback_";

/// Declares a table of functions, each by the end of its symbol in `abi.h`, and how to find them.
macro_rules! functions {
    ($(#[$about:meta])* $table:ident {
        $($name:ident ($($argument:ty),*) $(-> $result:ty)?;)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy)]
        pub(crate) struct $table {
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl $table {
            /// All of them, their symbols beginning with `prefix`, or the symbols that are missing.
            fn find(prefix: &str) -> Result<Self, Vec<String>> {
                let mut missing = Vec::new();
                $(let $name = find(format!("{PREFIX}{prefix}{}", stringify!($name)), &mut missing);)*
                if !missing.is_empty() {
                    return Err(missing);
                }
                Ok(Self {
                    // SAFETY: not null, for nothing is missing; and Envoy's function of that symbol
                    // has this signature.
                    $($name: unsafe {
                        transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>($name)
                    },)*
                })
            }
        }
    };
}

functions! {
    /// Common callbacks.
    Common {
        // level, message
        log(u32, Ours<'_>);
        // level
        log_enabled(u32) -> bool;
    }
}

functions! {
    /// Metrics of a configuration; the HTTP filter's and the route specifier's are alike.
    Defining {
        // configuration, name, label names, how many, id out
        define_counter(Handle, Ours<'_>, *mut c_void, usize, *mut usize) -> u32;
        // configuration, id, label values, how many, by
        increment_counter(Handle, usize, *mut c_void, usize, u64) -> u32;
        define_gauge(Handle, Ours<'_>, *mut c_void, usize, *mut usize) -> u32;
        // configuration, id, label values, how many, value
        set_gauge(Handle, usize, *mut c_void, usize, u64) -> u32;
    }
}

functions! {
    /// The HTTP filter.
    Http {
        get_cluster_name(Handle, *mut Theirs) -> bool;
        // stream, which headers, name, value out, index, count out
        get_header(Handle, u32, Ours<'_>, *mut Theirs, usize, *mut usize) -> bool;
        // stream, which headers, name, value
        set_header(Handle, u32, Ours<'_>, Ours<'_>) -> bool;
        // stream, where, namespace, key, value out
        get_metadata_string(Handle, u32, Ours<'_>, Ours<'_>, *mut Theirs) -> bool;
        get_metadata_number(Handle, u32, Ours<'_>, Ours<'_>, *mut f64) -> bool;
        get_metadata_bool(Handle, u32, Ours<'_>, Ours<'_>, *mut bool) -> bool;
        // stream, namespace, key, value
        set_dynamic_metadata_string(Handle, Ours<'_>, Ours<'_>, Ours<'_>);
        // stream, key, value
        set_filter_state_typed(Handle, Ours<'_>, Ours<'_>) -> bool;
        clear_route_cache(Handle);
        // stream, status, headers, how many, body, details
        send_response(Handle, u32, *const Header<'_>, usize, Ours<'_>, Ours<'_>);
    }
}

functions! {
    /// The route specifier, of Envoy 1.40 on.
    Route {
        get_input_route_cluster_name(Handle, *mut Theirs) -> bool;
        // resolution, namespace, key, value out
        get_input_route_metadata(Handle, Ours<'_>, Ours<'_>, *mut Theirs) -> bool;
        // resolution, the route before it out
        get_previous_route(Handle, *mut Unread) -> bool;
        set_cluster_name(Handle, Ours<'_>) -> bool;
        set_cluster_not_found_response_code(Handle, u32) -> bool;
        // resolution, namespace, key, value
        set_route_metadata_string(Handle, Ours<'_>, Ours<'_>, Ours<'_>);
        // resolution, name, value, how
        add_request_header(Handle, Ours<'_>, Ours<'_>, u32) -> bool;
        add_response_header(Handle, Ours<'_>, Ours<'_>, u32) -> bool;
        set_decision(Handle, u32);
    }
}

/// Functions that an entry point needs together, or the symbols this Envoy lacks.
type Found<T> = Result<T, Vec<String>>;

/// All there is.
pub(crate) struct Envoy {
    pub common: Found<Common>,
    pub http: Found<(Http, Defining)>,
    pub route: Found<(Route, Defining)>,
}

impl Envoy {
    /// What the process has.
    pub fn find() -> Self {
        Self {
            common: Common::find(""),
            http: pair(Http::find("http_"), Defining::find("http_filter_config_")),
            route: pair(Route::find("route_specifier_"), Defining::find("route_specifier_config_")),
        }
    }
}

fn pair<A, B>(first: Found<A>, second: Found<B>) -> Found<(A, B)> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (first, second) => {
            Err([first.err(), second.err()].into_iter().flatten().flatten().collect())
        }
    }
}

fn find(symbol: String, missing: &mut Vec<String>) -> *mut c_void {
    let found = CString::new(symbol.as_str()).map_or(std::ptr::null_mut(), |name| {
        // SAFETY: a NUL-terminated name; RTLD_DEFAULT is not a handle that could be closed.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
    });
    if found.is_null() {
        missing.push(symbol);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This process is not an Envoy.
    #[test]
    fn every_symbol_that_is_missing_is_named() {
        let Envoy { common, http, route } = Envoy::find();
        let missing = common.err().unwrap();
        let names = ["log", "log_enabled"].map(|name| format!("{PREFIX}{name}"));
        assert_eq!(missing, names);
        let (http, route) = (http.err().unwrap(), route.err().unwrap());
        assert_eq!((http.len(), route.len()), (14, 13));
        assert!(http.contains(&format!("{PREFIX}http_filter_config_set_gauge")));
        assert!(route.contains(&format!("{PREFIX}route_specifier_set_cluster_name")));
    }
}
