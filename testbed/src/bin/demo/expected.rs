//! The expected rows: request, where it goes, the waypoint's policy, decision and reason.

/// One row.
pub type Row = [&'static str; 5];

const ROWS: usize = 13;

/// With the filter off everything goes to the endpoints.
#[rustfmt::skip]
pub const OFF: [Row; ROWS] = [
    ["reviews.example.com/",                  "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["reviews.example.com/admin",             "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["ratings.example.com/",                  "endpoint", "not asked for", "direct", "globally-disabled"],
    ["ratings.example.com/admin",             "endpoint", "not asked for", "direct", "globally-disabled"],
    ["billing.example.com/",                  "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["billing.example.com/admin",             "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["payments.example.com/",                 "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["payments.example.com/admin",            "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["greeter.example.com gRPC health check", "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["shop.example.com/ to ratings",          "endpoint", "not asked for", "direct", "globally-disabled"],
    ["shop.example.com/ to reviews",          "endpoint", "skipped!",      "direct", "globally-disabled"],
    ["shop.example.com/admin to ratings",     "endpoint", "not asked for", "direct", "globally-disabled"],
    ["shop.example.com/admin to reviews",     "endpoint", "skipped!",      "direct", "globally-disabled"],
];

/// With the filter on, services that ask for their waypoint go to the VIP. `billing` requires the
/// waypoint and has no VIP; `ratings` asks for nothing.
#[rustfmt::skip]
pub const ON: [Row; ROWS] = [
    ["reviews.example.com/",                  "VIP",      "allowed",             "waypoint", "labelled"],
    ["reviews.example.com/admin",             "VIP",      "denied /admin (403)", "waypoint", "labelled"],
    ["ratings.example.com/",                  "endpoint", "not asked for",       "direct",   "not-labelled"],
    ["ratings.example.com/admin",             "endpoint", "not asked for",       "direct",   "not-labelled"],
    ["billing.example.com/",                  "refused",  "-",                   "reject",   "no-vip"],
    ["billing.example.com/admin",             "refused",  "-",                   "reject",   "no-vip"],
    ["payments.example.com/",                 "VIP",      "allowed",             "waypoint", "labelled"],
    ["payments.example.com/admin",            "VIP",      "denied /admin (403)", "waypoint", "labelled"],
    ["greeter.example.com gRPC health check", "VIP",      "allowed",             "waypoint", "labelled"],
    ["shop.example.com/ to ratings",          "endpoint", "not asked for",       "direct",   "not-labelled"],
    ["shop.example.com/ to reviews",          "VIP",      "allowed",             "waypoint", "labelled"],
    ["shop.example.com/admin to ratings",     "endpoint", "not asked for",       "direct",   "not-labelled"],
    ["shop.example.com/admin to reviews",     "VIP",      "denied /admin (403)", "waypoint", "labelled"],
];
