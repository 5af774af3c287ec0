//! Services that changed and are looked at once they had time to settle.
//!
//! While a waypoint starts or an address is allocated, a service asks in vain for some seconds, and nobody is to be told.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use mesh::ObjectRef;

/// Services that wait, in the order in which they changed, each once.
#[derive(Debug)]
pub struct Settling {
    time: Duration,
    queue: VecDeque<(Instant, Vec<ObjectRef>)>,
    /// Those in the queue, which bounds it: services change while others wait to be told.
    waiting: HashSet<ObjectRef>,
}

impl Settling {
    /// Each waits for that time.
    pub fn new(time: Duration) -> Self {
        Self { time, queue: VecDeque::new(), waiting: HashSet::new() }
    }

    /// These changed, or could not be told. One that waits already is looked at when it is due.
    pub fn add(&mut self, mut services: Vec<ObjectRef>, now: Instant) {
        services.retain(|service| self.waiting.insert(service.clone()));
        if !services.is_empty() {
            self.queue.push_back((now + self.time, services));
        }
    }

    /// When the next ones are to be looked at.
    pub fn next(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// Those that are to be looked at now.
    pub fn due(&mut self, now: Instant) -> Vec<ObjectRef> {
        let due = self.queue.partition_point(|(due, _)| *due <= now);
        let services: Vec<_> = self.queue.drain(..due).flat_map(|(_, services)| services).collect();
        for service in &services {
            self.waiting.remove(service);
        }
        services
    }
}

#[cfg(test)]
mod tests {
    use mesh::Key;
    use mesh::object::Kind;

    use super::*;

    #[test]
    fn services_wait_and_come_in_order() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let service = |name: &str| {
            let key = Key { namespace: "shop".to_owned(), name: name.to_owned() };
            ObjectRef::namespaced(Kind::Service, &key)
        };
        let mut settling = Settling::new(Duration::from_secs(10));
        settling.add(Vec::new(), at(0));
        assert_eq!(settling.next(), None);
        settling.add(vec![service("a"), service("b")], at(0));
        settling.add(vec![service("b"), service("c")], at(5));
        assert_eq!((settling.next(), settling.due(at(9))), (Some(at(10)), Vec::new()));
        assert_eq!(settling.due(at(10)), [service("a"), service("b")]);
        assert_eq!((settling.next(), settling.due(at(20))), (Some(at(15)), vec![service("c")]));
        assert_eq!(settling.next(), None);
        settling.add(vec![service("b")], at(20));
        assert_eq!(settling.due(at(30)), [service("b")]);
    }
}
