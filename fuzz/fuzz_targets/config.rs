//! Any bytes as a configuration: either a policy that can be asked, or problems that can be read;
//! never a panic.
#![no_main]

use ingress_waypoint::global_switch::Source;
use ingress_waypoint::{Policy, Question};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for variable in [None, Some("true"), Some("maybe")] {
        match Policy::from_json(text, variable) {
            Ok(policy) => {
                // The variable counts only where the configuration does not have the switch.
                if variable == Some("maybe") {
                    assert_eq!(policy.switch().source, Source::Configuration);
                }
                let decision = policy.decide(Question::Cluster(b"kube_default_reviews_9080"));
                assert!(!decision.to_string().is_empty());
            }
            Err(problems) => {
                assert!(!problems.is_empty());
                assert!(problems.iter().all(|problem| !problem.reason.is_empty()));
                assert!(!problems.to_string().is_empty());
            }
        }
    }
});
