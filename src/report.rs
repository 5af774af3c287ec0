//! What the log of a proxy says of a configuration.

use std::fmt::Display;

use crate::policy::Policy;

/// Problems and warnings are shown up to this number. The others are counted.
const SHOWN: usize = 50;

/// The warnings about a configuration that is in use.
pub fn warnings(policy: &Policy) -> Vec<String> {
    shortened(policy.warnings(), |more| {
        format!("and {more} more services whose requests do not reach their waypoint")
    })
}

/// The problems of a configuration that is refused.
pub fn problems(problems: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    let lines = problems.into_iter().map(|problem| format!("configuration refused: {problem}"));
    shortened(lines, |more| format!("configuration refused: and {more} more problems"))
}

fn shortened(
    mut lines: impl Iterator<Item = String>,
    others: impl FnOnce(usize) -> String,
) -> Vec<String> {
    let mut shown: Vec<_> = lines.by_ref().take(SHOWN).collect();
    match lines.count() {
        0 => {}
        more => shown.push(others(more)),
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_first_are_shown_and_the_others_counted() {
        assert_eq!(problems(["a"]), ["configuration refused: a"]);
        assert_eq!(problems(0..50).len(), 50);
        let lines = problems(0..53);
        assert_eq!(
            lines[49..],
            ["configuration refused: 49", "configuration refused: and 3 more problems",]
        );
    }
}
