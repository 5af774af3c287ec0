//! The callbacks that Envoy makes.
//!
//! The SDK has them too, for filters of any kind: an object for each stream, and a look-up of it in every
//! callback, which cost a request more than its decision. A request of this filter is over with its headers,
//! so that nothing but its root has to be known. These stand beside the SDK's under names of their own, and
//! `make wasm` gives them the names of the ABI.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::{Action as Flow, LogLevel};

use super::filter::Filter;
use super::request;
use super::root::Root;

struct Contexts {
    /// The plugins of this VM: one for each configuration that is in use. There are few.
    roots: Vec<(u32, Root)>,
    /// Streams that are still to show their headers, each with its filter. Envoy creates a stream's context
    /// right before it shows the headers, so that there is hardly ever more than one.
    streams: Vec<(u32, Rc<Filter>)>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> =
        const { RefCell::new(Contexts { roots: Vec::new(), streams: Vec::new() }) };
}

impl Contexts {
    fn root(&mut self, id: u32) -> Option<&mut Root> {
        self.roots.iter_mut().find(|(known, _)| *known == id).map(|(_, root)| root)
    }

    /// The filter that a stream belongs to, which it asks for once.
    fn take_filter(&mut self, stream: u32) -> Option<Rc<Filter>> {
        let at = self.streams.iter().rposition(|(known, _)| *known == stream)?;
        Some(self.streams.swap_remove(at).1)
    }
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// As cargo builds it the module has the SDK's callbacks, without a filter behind them: it would let every
/// request through. So it must not start.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    std::process::abort();
}

/// `_initialize`
#[unsafe(no_mangle)]
extern "C" fn ingress_waypoint_initialize() {
    // SAFETY: the linker's function, called once and ahead of all else.
    unsafe { __wasm_call_ctors() };
    // The logger, and a panic's last words.
    proxy_wasm::set_log_level(LogLevel::Info);
}

/// `proxy_on_context_create`: of a root where `root` is 0, else of a stream.
#[unsafe(no_mangle)]
extern "C" fn ingress_waypoint_on_context_create(id: u32, root: u32) {
    CONTEXTS.with_borrow_mut(|contexts| {
        if root == 0 && contexts.root(id).is_none() {
            contexts.roots.push((id, Root::default()));
        } else if let Some(filter) = contexts.root(root).and_then(|root| root.filter()) {
            contexts.streams.push((id, filter));
        }
    });
}

/// `proxy_on_configure`: whether the configuration is taken.
#[unsafe(no_mangle)]
extern "C" fn ingress_waypoint_on_configure(root: u32, _size: usize) -> bool {
    CONTEXTS.with_borrow_mut(|contexts| contexts.root(root).is_some_and(Root::configure))
}

/// `proxy_on_request_headers`
#[unsafe(no_mangle)]
extern "C" fn ingress_waypoint_on_request_headers(stream: u32, _count: usize, _end: bool) -> Flow {
    let filter = CONTEXTS.with_borrow_mut(|contexts| contexts.take_filter(stream));
    request::handle(filter.as_deref())
}

/// `proxy_on_tick`
#[unsafe(no_mangle)]
extern "C" fn ingress_waypoint_on_tick(root: u32) {
    CONTEXTS.with_borrow_mut(|contexts| {
        if let Some(root) = contexts.root(root) {
            root.tick();
        }
    });
}

/// `proxy_on_delete`: of a root with its configuration, or of a stream.
#[unsafe(no_mangle)]
extern "C" fn ingress_waypoint_on_delete(id: u32) {
    CONTEXTS.with_borrow_mut(|contexts| {
        contexts.streams.retain(|(stream, _)| *stream != id);
        contexts.roots.retain(|(root, _)| *root != id);
    });
}
