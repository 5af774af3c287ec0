//! A stand-in for Envoy, for unit tests and `make asan`: the same functions, on a value that notes the calls.
#![allow(clippy::undocumented_unsafe_blocks)]

mod log;
mod metrics;

use std::collections::BTreeMap;

use super::buffer::{Header, Ours, Theirs};
use super::http::Stream;
use super::route::Route;
use super::symbols::{Envoy, Handle, Http, Route as RouteFunctions, Unread};
pub use log::lines;
pub use metrics::{Values, configuration, metrics};

/// What the module finds in the process.
pub(super) fn envoy() -> Envoy {
    Envoy {
        common: Ok(log::COMMON),
        http: Ok((HTTP, metrics::DEFINING)),
        route: Ok((ROUTE, metrics::DEFINING)),
    }
}

/// A request and the route that was resolved for it.
#[derive(Default)]
pub struct Request {
    pub cluster: Option<Vec<u8>>,
    pub headers: BTreeMap<String, Vec<u8>>,
    pub metadata: BTreeMap<String, Vec<u8>>,
    /// Whether VIP routes are said to be beside the route.
    pub vip_route: bool,
    /// The cluster of the route that is found once the route cache is cleared, if that is another.
    pub next_cluster: Option<Vec<u8>>,
    /// Whether it is cleared.
    pub cleared: bool,
    /// The name of a function that is to fail.
    pub refuse: &'static str,
    /// Notes no calls, which would allocate.
    pub silent: bool,
    /// What was done, in order: `set_cluster_name waypoint_vip`.
    pub calls: Vec<String>,
}

impl Request {
    pub fn to(cluster: &str) -> Self {
        Self { cluster: Some(cluster.into()), ..Self::default() }
    }

    pub fn silent(cluster: &str) -> Self {
        Self { silent: true, ..Self::marked(cluster) }
    }

    /// On a route that is marked and has a VIP route for HTTP/1.1 beside it.
    pub fn marked(cluster: &str) -> Self {
        Self { vip_route: true, next_cluster: Some(b"waypoint_vip".into()), ..Self::to(cluster) }
    }

    pub fn route<T>(&mut self, work: impl FnOnce(&mut Route<'_>) -> T) -> T {
        // SAFETY: the functions below take what this points to, which outlives the call.
        work(&mut unsafe { Route::new(&ROUTE, self.handle()) })
    }

    /// What the hooks get of it.
    pub(crate) fn handle(&mut self) -> Handle {
        (&raw mut *self).cast()
    }

    pub fn stream<T>(&mut self, work: impl FnOnce(&mut Stream<'_>) -> T) -> T {
        self.cleared = false;
        // SAFETY: as above.
        work(&mut unsafe { Stream::new(&HTTP, self.handle()) })
    }

    fn note(&mut self, name: &str, arguments: &[Ours<'_>]) -> bool {
        if self.silent {
            return true;
        }
        let arguments: Vec<_> =
            arguments.iter().map(|a| String::from_utf8_lossy(a.bytes())).collect();
        self.calls.push(format!("{name} {}", arguments.join(" ")).trim_end().to_owned());
        self.refuse != name
    }
}

unsafe fn request<'a>(handle: Handle) -> &'a mut Request {
    // SAFETY: made in `route` or `stream`, which hold the only other reference, and wait.
    unsafe { &mut *handle.cast::<Request>() }
}

unsafe fn give(out: *mut Theirs, bytes: Option<&Vec<u8>>) -> bool {
    let Some(bytes) = bytes else { return false };
    // SAFETY: an out parameter; and the bytes stay until a setter changes them.
    unsafe { *out = Theirs::of(std::slice::from_raw_parts(bytes.as_ptr(), bytes.len())) };
    true
}

unsafe extern "C" fn cluster(handle: Handle, out: *mut Theirs) -> bool {
    let request = unsafe { request(handle) };
    let next = request.next_cluster.as_ref().filter(|_| request.cleared);
    unsafe { give(out, next.or(request.cluster.as_ref())) }
}

unsafe extern "C" fn route_metadata(
    h: Handle,
    _: Ours<'_>,
    key: Ours<'_>,
    out: *mut Theirs,
) -> bool {
    let key = String::from_utf8_lossy(key.bytes());
    unsafe { give(out, request(h).metadata.get(&*key)) }
}

unsafe extern "C" fn stream_metadata(
    handle: Handle,
    _: u32,
    namespace: Ours<'_>,
    key: Ours<'_>,
    out: *mut Theirs,
) -> bool {
    unsafe { route_metadata(handle, namespace, key, out) }
}

unsafe extern "C" fn number(_: Handle, _: u32, _: Ours<'_>, _: Ours<'_>, _: *mut f64) -> bool {
    false
}

unsafe extern "C" fn flag(
    handle: Handle,
    _: u32,
    _: Ours<'_>,
    _: Ours<'_>,
    out: *mut bool,
) -> bool {
    unsafe { *out = request(handle).vip_route };
    true
}

unsafe extern "C" fn header(
    handle: Handle,
    _: u32,
    name: Ours<'_>,
    out: *mut Theirs,
    _: usize,
    _: *mut usize,
) -> bool {
    let name = String::from_utf8_lossy(name.bytes());
    unsafe { give(out, request(handle).headers.get(&*name)) }
}

static ROUTE: RouteFunctions = RouteFunctions {
    get_input_route_cluster_name: cluster,
    get_input_route_metadata: route_metadata,
    get_previous_route: {
        unsafe extern "C" fn none(_: Handle, _: *mut Unread) -> bool {
            false
        }
        none
    },
    set_cluster_name: {
        unsafe extern "C" fn set(handle: Handle, name: Ours<'_>) -> bool {
            unsafe { request(handle).note("set_cluster_name", &[name]) }
        }
        set
    },
    set_cluster_not_found_response_code: {
        unsafe extern "C" fn set(handle: Handle, status: u32) -> bool {
            if unsafe { request(handle).silent } {
                return true;
            }
            unsafe { request(handle).note("status", &[Ours::new(&status.to_string())]) }
        }
        set
    },
    set_route_metadata_string: {
        unsafe extern "C" fn set(handle: Handle, _: Ours<'_>, key: Ours<'_>, value: Ours<'_>) {
            unsafe { request(handle).note("metadata", &[key, value]) };
        }
        set
    },
    add_request_header: {
        unsafe extern "C" fn set(h: Handle, name: Ours<'_>, value: Ours<'_>, _: u32) -> bool {
            unsafe { request(h).note("add_request_header", &[name, value]) }
        }
        set
    },
    add_response_header: {
        unsafe extern "C" fn set(h: Handle, name: Ours<'_>, value: Ours<'_>, _: u32) -> bool {
            unsafe { request(h).note("add_response_header", &[name, value]) }
        }
        set
    },
    set_decision: {
        unsafe extern "C" fn set(handle: Handle, decision: u32) {
            unsafe { request(handle).note("set_decision", &[Ours::new(&decision.to_string())]) };
        }
        set
    },
};

static HTTP: Http = Http {
    get_cluster_name: cluster,
    get_header: header,
    set_header: {
        unsafe extern "C" fn set(h: Handle, _: u32, name: Ours<'_>, value: Ours<'_>) -> bool {
            unsafe { request(h).note("set_header", &[name, value]) }
        }
        set
    },
    get_metadata_string: stream_metadata,
    get_metadata_number: number,
    get_metadata_bool: flag,
    set_dynamic_metadata_string: {
        unsafe extern "C" fn set(handle: Handle, _: Ours<'_>, key: Ours<'_>, value: Ours<'_>) {
            unsafe { request(handle).note("metadata", &[key, value]) };
        }
        set
    },
    set_filter_state_typed: {
        unsafe extern "C" fn set(handle: Handle, key: Ours<'_>, value: Ours<'_>) -> bool {
            unsafe { request(handle).note("set_filter_state_typed", &[key, value]) }
        }
        set
    },
    clear_route_cache: {
        unsafe extern "C" fn clear(handle: Handle) {
            let request = unsafe { request(handle) };
            request.cleared = true;
            request.note("clear_route_cache", &[]);
        }
        clear
    },
    send_response: {
        unsafe extern "C" fn send(
            handle: Handle,
            status: u32,
            headers: *const Header<'_>,
            count: usize,
            body: Ours<'_>,
            details: Ours<'_>,
        ) {
            if unsafe { request(handle).silent } {
                return;
            }
            let status = status.to_string();
            let mut all = vec![Ours::new(&status), details, body];
            for at in 0..count {
                unsafe { all.extend([(*headers.add(at)).0, (*headers.add(at)).1]) };
            }
            unsafe { request(handle).note("respond", &all) };
        }
        send
    },
};
