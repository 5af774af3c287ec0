//! Holds back the first table of a replica that started, if far fewer services are on their waypoints than before.
//!
//! A replica that starts has no table to compare with. The leader keeps at the Lease how many services are on their
//! waypoints, for each namespace with gateways. Once a first table has passed, [`crate::guard`] compares with it.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::guard::{Limits, id};
use crate::lease::{LeaseName, Recorded};

/// Compares the first table of a namespace's gateways with what was served before.
#[derive(Debug)]
pub struct FirstTable {
    namespace: String,
    limits: Limits,
    lease: LeaseName,
    recorded: Recorded,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    /// How many services were on their waypoints at that time.
    from: usize,
    /// `None` while the Lease is not read.
    shortfall: Option<Shortfall>,
}

/// A table with far fewer services on their waypoints than were served before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The namespace of the gateways; `""` for those outside the cluster.
    pub namespace: String,
    /// How many the Lease says.
    pub before: usize,
    /// How many the table has.
    pub now: usize,
    /// How many it had when it was held back: services that come or go one by one change nothing of it.
    pub from: usize,
}

impl Shortfall {
    /// What an annotation confirms it by: the same in every replica that saw as few at first, and as long as not many more
    /// are missing.
    pub fn id(&self) -> String {
        let Self { namespace, before, from, .. } = self;
        id(["first table", namespace, &before.to_string(), &from.to_string()])
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, before, now, .. } = self;
        write!(f, "{now} services are on their waypoints for the gateways ")?;
        match &**namespace {
            "" => write!(f, "outside the cluster")?,
            namespace => write!(f, "in {namespace}")?,
        }
        write!(f, ", and {before} were before this replica started")
    }
}

impl FirstTable {
    /// For the gateways in a namespace, or for those outside the cluster.
    pub fn new(namespace: Option<&str>, limits: Limits, lease: LeaseName) -> Self {
        let recorded = Recorded::Unread("there is no answer yet".to_owned());
        let namespace = namespace.unwrap_or_default().to_owned();
        Self { namespace, limits, lease, recorded, waiting: None }
    }

    /// Takes in what is known of the Lease. [`FirstTable::check`] says what follows.
    pub fn hear(&mut self, recorded: &Recorded) {
        self.recorded = recorded.clone();
    }

    /// Whether a table with so many services on their waypoints passes.
    ///
    /// # Errors
    /// Why it does not, or not yet.
    pub fn check(&mut self, on_waypoints: usize, now: Instant) -> Result<(), String> {
        let Limits { delay, .. } = self.limits;
        let mut shortfall = match &self.recorded {
            Recorded::Unread(_) => None,
            Recorded::Numbers(numbers) => {
                let before = numbers.get(&self.namespace).copied().unwrap_or_default();
                if !self.limits.forbid(before, on_waypoints) {
                    return Ok(());
                }
                let namespace = self.namespace.clone();
                Some(Shortfall { namespace, before, now: on_waypoints, from: on_waypoints })
            }
        };
        // If many more are missing than when it began, that has to last too.
        let goes_on = |waiting: &&Waiting| {
            waiting.shortfall.is_some() == shortfall.is_some()
                && !self.limits.forbid(waiting.from, on_waypoints)
        };
        let begun = self.waiting.as_ref().filter(goes_on).map(|it| (it.since, it.from));
        let (since, from) = begun.unwrap_or((now, on_waypoints));
        if let Some(shortfall) = &mut shortfall {
            shortfall.from = from;
        }
        let why = match (&self.recorded, &shortfall) {
            (_, Some(short)) => {
                let (delay, confirm) = (short_text(delay), self.lease.confirm(&short.id()));
                format!("{short}: held back for {delay}; to confirm it: {confirm}")
            }
            (Recorded::Unread(why), None) => format!(
                "the Lease {}, which says how many services were on their waypoints, was not read: {why}: waiting for it \
                 for {}",
                self.lease,
                short_text(delay)
            ),
            (Recorded::Numbers(_), None) => return Ok(()),
        };
        self.waiting = Some(Waiting { since, from, shortfall });
        Err(why)
    }

    /// Whether a table that is held back may pass, because it was held back for long enough or is confirmed by
    /// [`Shortfall::id`].
    pub fn is_released(&self, confirmed: Option<&str>, now: Instant) -> bool {
        let Some(waiting) = &self.waiting else { return false };
        let id = self.shortfall().map(Shortfall::id);
        (id.is_some() && id.as_deref() == confirmed)
            || now.saturating_duration_since(waiting.since) >= self.limits.delay
    }

    /// Holds a table that is held back as long as if it were new.
    pub fn restart(&mut self, now: Instant) {
        if let Some(waiting) = &mut self.waiting {
            waiting.since = now;
        }
    }

    /// What is held back and can be confirmed, if there is anything.
    pub fn shortfall(&self) -> Option<&Shortfall> {
        self.waiting.as_ref()?.shortfall.as_ref()
    }

    /// When [`FirstTable::is_released`] changes, if nothing else does before.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.as_ref()?.since.checked_add(self.limits.delay)
    }
}

/// `5m`
fn short_text(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| "ever".to_owned(), |it| format!("{it:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Numbers;

    const DELAY: u64 = 300;

    struct Held {
        first: FirstTable,
        start: Instant,
    }

    impl Held {
        fn new() -> Self {
            let limits = Limits { delay: Duration::from_secs(DELAY), ..Limits::default() };
            let lease = LeaseName { namespace: "home".to_owned(), name: "lease".to_owned() };
            Self { first: FirstTable::new(Some("ingress"), limits, lease), start: Instant::now() }
        }

        fn of(before: usize) -> Self {
            let mut held = Self::new();
            held.hear(before);
            held
        }

        fn hear(&mut self, before: usize) {
            let numbers = Numbers::from([("ingress".to_owned(), before), ("other".to_owned(), 99)]);
            self.first.hear(&Recorded::Numbers(numbers));
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn check(&mut self, on_waypoints: usize, seconds: u64) -> Result<(), String> {
            self.first.check(on_waypoints, self.at(seconds))
        }

        fn is_released(&self, confirmed: Option<&str>, seconds: u64) -> bool {
            self.first.is_released(confirmed, self.at(seconds))
        }
    }

    #[test]
    fn only_far_fewer_than_before_are_held_back() {
        for (before, now) in [(0, 0), (0, 9), (100, 100), (100, 80), (4, 0), (20, 16)] {
            assert_eq!(Held::of(before).check(now, 0), Ok(()), "{before} -> {now}");
        }
        for (before, now) in [(100, 79), (100, 0), (5, 0), (20, 15)] {
            assert!(Held::of(before).check(now, 0).is_err(), "{before} -> {now}");
        }
        // Nothing was served in this namespace.
        let mut held = Held::new();
        held.first.hear(&Recorded::Numbers(Numbers::from([("other".to_owned(), 99)])));
        assert_eq!(held.check(0, 0), Ok(()));
    }

    #[test]
    fn it_passes_after_the_delay_or_when_there_is_no_shortfall_any_more() {
        let mut held = Held::of(100);
        assert!(held.check(10, 7).is_err());
        assert_eq!(held.first.next(), Some(held.at(7 + DELAY)));
        assert!(!held.is_released(None, 6 + DELAY));
        assert!(held.is_released(None, 7 + DELAY));
        assert_eq!(held.check(95, 20), Ok(()), "the mistake is undone");
        held.hear(11);
        assert_eq!(held.check(10, 20), Ok(()), "another replica serves as few");
    }

    #[test]
    fn the_delay_begins_again_after_an_outage_and_when_many_more_are_missing() {
        let mut held = Held::of(100);
        assert!(held.check(60, 0).is_err());
        assert!(held.check(55, 100).is_err());
        assert!(held.is_released(None, DELAY), "few more are missing");
        assert!(held.check(10, 200).is_err());
        assert!(!held.is_released(None, 199 + DELAY) && held.is_released(None, 200 + DELAY));
        held.first.restart(held.at(250));
        assert!(!held.is_released(None, 249 + DELAY) && held.is_released(None, 250 + DELAY));
    }

    #[test]
    fn a_confirmation_is_of_one_shortfall() {
        let mut held = Held::of(100);
        assert!(!held.is_released(None, DELAY), "nothing is held back");
        let why = held.check(10, 0).unwrap_err();
        let shortfall = held.first.shortfall().unwrap().clone();
        let id = shortfall.id();
        assert_eq!(
            why,
            format!(
                "10 services are on their waypoints for the gateways in ingress, and 100 were before this replica \
                 started: held back for 5m; to confirm it: kubectl annotate lease -n home lease \
                 ingress-waypoint/confirm-withdrawal={id} --overwrite"
            )
        );
        assert!(held.is_released(Some(&id), 0) && !held.is_released(Some("0123456789ab"), 0));
        let others = [
            Shortfall { namespace: String::new(), ..shortfall.clone() },
            Shortfall { before: 101, ..shortfall.clone() },
            Shortfall { from: 1, ..shortfall },
        ];
        assert!(others.iter().all(|other| !held.is_released(Some(&other.id()), 0)));
        // Services that come and go do not make the command wrong; many that go do.
        assert!(held.check(9, 0).is_err());
        assert!(held.is_released(Some(&id), 0));
        assert!(held.check(2, 0).is_err());
        assert!(!held.is_released(Some(&id), 0));
    }

    #[test]
    fn a_lease_that_cannot_be_read_is_waited_for() {
        let mut held = Held::new();
        held.first.hear(&Recorded::Unread("403: no right".to_owned()));
        let why = held.check(10, 0).unwrap_err();
        assert!(
            why.contains("home/lease") && why.ends_with("403: no right: waiting for it for 5m")
        );
        assert_eq!(held.first.shortfall(), None);
        assert!(!held.is_released(None, DELAY - 1) && held.is_released(None, DELAY));
        // As soon as it says that fewer are on their waypoints, that has to last.
        held.hear(100);
        assert!(held.check(10, 200).is_err());
        assert!(!held.is_released(None, 199 + DELAY) && held.is_released(None, 200 + DELAY));
        held.hear(10);
        assert_eq!(held.check(10, 0), Ok(()));
    }
}
