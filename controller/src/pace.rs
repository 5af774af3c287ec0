//! When to take in changes that keep coming: soon after one, and less often while many come.

use std::time::{Duration, Instant};

/// After this time without a change, the changes are taken in. It doubles with [`SHORTEST`].
const QUIET: Duration = Duration::from_millis(40);
/// The first time that changes that keep coming wait. It doubles each time, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(250);
/// The longest that a change waits.
const LONGEST: Duration = Duration::from_secs(1);
/// How often `SHORTEST` can be doubled, as a factor.
const SLOWEST: u32 = 4;

/// When the changes so far are to be taken in.
#[derive(Debug)]
pub struct Pace {
    first: Option<Instant>,
    last: Instant,
    /// Changes that were not taken in yet.
    changes: usize,
    /// By how much both times are longer now.
    slowness: u32,
}

impl Pace {
    /// Without a change.
    pub fn new(now: Instant) -> Self {
        Self { first: None, last: now, changes: 0, slowness: 1 }
    }

    /// Something changed.
    pub fn changed(&mut self, now: Instant) {
        if self.first.is_none() && now.saturating_duration_since(self.last) > LONGEST {
            self.slowness = 1;
        }
        self.first.get_or_insert(now);
        self.last = now;
        self.changes += 1;
    }

    /// When to take the changes in, if there are any.
    pub fn due(&self) -> Option<Instant> {
        let first = self.first?;
        Some((self.last + QUIET * self.slowness).min(first + SHORTEST * self.slowness))
    }

    /// They were taken in.
    pub fn taken(&mut self, now: Instant) {
        let waited = self.first.take().map(|first| now.saturating_duration_since(first));
        // An API server with much to do tells of a burst in pieces.
        let several = std::mem::take(&mut self.changes) > 1;
        let was_busy = several || waited.is_some_and(|it| it >= SHORTEST * self.slowness);
        self.slowness = if was_busy { (self.slowness * 2).min(SLOWEST) } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// When changes at these milliseconds are taken in.
    fn taken(changes: impl IntoIterator<Item = u32>) -> Vec<u128> {
        let start = Instant::now();
        let (mut pace, mut taken) = (Pace::new(start), Vec::new());
        let mut take = |pace: &mut Pace, until: Option<Instant>| {
            while let Some(due) = pace.due().filter(|due| until.is_none_or(|until| *due <= until)) {
                pace.taken(due);
                taken.push((due - start).as_millis());
            }
        };
        for change in changes {
            let now = start + MS * change;
            take(&mut pace, Some(now));
            pace.changed(now);
        }
        take(&mut pace, None);
        taken
    }

    #[test]
    fn one_change_is_taken_in_soon() {
        assert_eq!(taken([0]), [40]);
        assert_eq!(taken([0, 2000, 2100]), [40, 2040, 2140]);
    }

    #[test]
    fn changes_that_keep_coming_are_taken_in_less_and_less_often() {
        assert_eq!(taken((0..100).map(|i| i * 5)), [250, 575]);
        let burst = taken((0..1000).map(|i| i * 5));
        assert!(burst.len() <= 10, "{burst:?}");
        assert!(burst.windows(2).all(|pair| pair[1] - pair[0] <= 1100), "{burst:?}");
    }

    #[test]
    fn a_burst_that_comes_in_pieces_is_taken_in_as_seldom() {
        let pieces = taken((0..500).map(|i| i * 2 + i / 10 * 60));
        assert!(pieces.len() <= 10, "{pieces:?}");
    }

    #[test]
    fn after_a_burst_one_change_is_taken_in_soon() {
        let all = taken((0..1000).map(|i| i * 5).chain([20_000]));
        assert_eq!(all.last(), Some(&20_040));
    }
}
