//! What a request costs: no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::{BILLING, GREETER, RATINGS, REVIEWS, config, filter, specifier};
use crate::abi::fake::Request;

/// Counts the allocations of each thread.
struct Counting;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

#[allow(unsafe_code)]
// SAFETY: the system's allocator, and a counter beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_request_allocates_nothing() {
    let (specifier, _) = specifier(&config("original-dst-header"));
    let (filter, _) = filter(&config("filter-state"));
    for cluster in [REVIEWS, GREETER, RATINGS, BILLING, "nobody", "default/reviews/9080/da39a3ee5e"]
    {
        for _ in 0..2 {
            let mut request = Request::silent(cluster);
            let before = ALLOCATIONS.get();
            request.route(|route| specifier.on_route(route));
            request.stream(|stream| filter.on_request(stream));
            assert_eq!(ALLOCATIONS.get() - before, 0, "{cluster}");
        }
    }
}
