//! Any bytes as the name of an upstream cluster, of a service, or as an authority: the answer is the
//! same every time, and a request is only ever sent to an address and a port that the service it is
//! about really has.
#![no_main]

use std::sync::LazyLock;

use ingress_waypoint::{Outcome, Policy, Question};
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = include_bytes!("../../testdata/fuzz/policy.json");
    Policy::from_json(text, None).unwrap_or_else(|problems| panic!("policy.json: {problems}"))
});

fuzz_target!(|name: &[u8]| {
    let port = name.first().map(|byte| 9000 + u16::from(*byte));
    for question in [
        Question::Cluster(name),
        Question::Route { service: name, port },
        Question::Authority(name),
    ] {
        check(question);
    }
});

fn check(question: Question<'_>) {
    let decision = POLICY.decide(question);
    assert_eq!(decision, POLICY.decide(question));
    assert!(!question.to_string().contains(|c: char| c.is_control()));
    assert!(!decision.to_string().is_empty());

    if let Some(service) = decision.service.filter(|service| service.required()) {
        assert!(!matches!(decision.outcome, Outcome::Direct(_)), "{decision} of {service}");
    }
    if let Outcome::Waypoint { destination, protocol } = decision.outcome {
        let service = decision.service.expect("a destination belongs to a service");
        assert!(service.ingress_use_waypoint() && service.waypoint().is_some(), "{decision}");
        assert!(!service.outside_mesh(), "{decision}");
        assert!(service.vips().contains(&destination.ip()), "{decision}");
        let port = service.port(destination.port()).expect("the port is declared");
        assert_eq!(port.protocol, protocol, "{decision}");
    }
}
