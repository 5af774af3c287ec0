//! What a request costs: no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use serde_json::json;

use super::{BILLING, GREETER, RATINGS, REVIEWS, config, filter, specifier, vip};
use crate::abi::fake::{Request, metrics};
use crate::filter::Filter;

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

/// The allocations of a request that is asked about twice: no answer may be dear the first time.
fn of<T>(mut work: impl FnMut() -> Request, mut run: impl FnMut(&mut Request) -> T) -> u64 {
    (0..2)
        .map(|_| {
            let mut request = work();
            let before = ALLOCATIONS.get();
            let _ = run(&mut request);
            ALLOCATIONS.get() - before
        })
        .sum()
}

#[test]
fn a_request_allocates_nothing() {
    for annotate in [false, true] {
        let via = |via| {
            let mut config = config(via);
            config["annotate"] = json!(annotate);
            config["services"][0]["clusters"] = json!(["reviews-of-my-own"]);
            config
        };
        let (specifier, _) = specifier(&via("original-dst-header"));
        let (filter_state, _) = filter(&via("filter-state"));
        let (header, _) = filter(&via("original-dst-header"));
        for cluster in [
            REVIEWS,
            GREETER,
            RATINGS,
            BILLING,
            "nobody",
            "waypoint_vip",
            "reviews-of-my-own",
            "outbound_.9080_.v1_.reviews.default.svc.cluster.local",
            "service/default/reviews/9080/http",
            "default/reviews/9080/da39a3ee5e",
            "default/cilium-gateway-my-gw/default:reviews:9080",
        ] {
            let request = || Request::silent(cluster);
            assert_eq!(of(request, |r| r.route(|r| specifier.on_route(r))), 0, "{cluster}");
            for filter in [&filter_state, &header] {
                let asked = of(request, |r| r.stream(|s| filter.on_request(s)));
                assert_eq!(asked, 0, "{cluster}");
            }
        }
    }
}

/// Nor does a table that is published, nor the refusal as long as there is none.
#[test]
fn nor_does_a_table() {
    let named = json!({"table": "allocations"});
    let (specifier, _) = specifier(&named);
    let (filter, _) = filter(&named);
    let request = || Request::silent(REVIEWS);
    let ask = || {
        of(request, |r| r.route(|r| specifier.on_route(r)))
            + of(request, |r| r.stream(|s| filter.on_request(s)))
    };
    // The first one is logged.
    ask();
    assert_eq!(ask(), 0, "before");
    let text = json!({"publish": "allocations", "config": config("filter-state")}).to_string();
    let (metrics, _) = metrics();
    let _publisher = Filter::new(b"ingress_waypoint_table", text.as_bytes(), metrics).unwrap();
    assert_eq!(ask(), 0, "after");
}

/// Nor does what follows on a decision that was made elsewhere, or without a cluster.
#[test]
fn nor_does_any_other_way() {
    let with = |headers: &[(&str, &str)], metadata: &[(&str, &str)]| {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect()
        };
        let (headers, metadata) = (pairs(headers), pairs(metadata));
        Request { cluster: None, headers, metadata, ..Request::silent("") }
    };
    let (behind, _) = filter(&config("filter-state"));
    let (vip, _) = vip();
    let mut by_header = config("cluster-header");
    by_header["services"][2]["clusters"] = json!(["ratings-of-my-own"]);
    let (by_header, _) = filter(&by_header);
    let address = "10.96.0.10:9080";
    let service = ("service", "default/reviews");
    for (what, filter, headers, metadata) in [
        ("chosen", &behind, vec![], vec![("destination", address), service]),
        ("refused", &behind, vec![], vec![("decision", "reject"), ("reason", "no-vip"), service]),
        ("at the VIP", &vip, vec![("x-envoy-original-dst-host", address)], vec![]),
        ("to the VIP", &by_header, vec![], vec![service]),
        ("listed", &by_header, vec![], vec![("service", "default/ratings")]),
        ("none", &by_header, vec![], vec![("service", "default/nobody")]),
        (
            "by host",
            &by_header,
            vec![(":authority", "greeter.default.svc.cluster.local:50051")],
            vec![],
        ),
    ] {
        let asked = of(|| with(&headers, &metadata), |r| r.stream(|s| filter.on_request(s)));
        assert_eq!(asked, 0, "{what}");
    }
    // The endpoints' cluster that nobody listed has a name that is put together.
    let (by_header, _) = filter(&config("cluster-header"));
    let asked = of(
        || with(&[], &[("service", "default/ratings")]),
        |r| r.stream(|s| by_header.on_request(s)),
    );
    assert_eq!(asked, 0);
}
