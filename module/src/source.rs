//! Where the services come from, and the one table that all workers and listeners share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::{ArcSwap, Guard};
use ingress_waypoint::config::Via;
use ingress_waypoint::switch::VARIABLE;
use ingress_waypoint::{Policy, report};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::abi::{Level, log};
use crate::counters::Counters;
use crate::watch;

/// What a followed file may have at most, in bytes: more than a million services, and no more memory than
/// Envoy can spare.
const FILE_LIMIT: u64 = 256 << 20;

/// Where services come from. Those with the same place share a table.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    /// A file, which is followed.
    File(PathBuf),
    /// The Envoy configuration itself.
    Text(Box<[u8]>),
}

/// The entry point that uses a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Specifier,
    Filter,
}

/// A user of a table: told when it changes.
struct User {
    role: Role,
    counters: Arc<Counters>,
}

/// The services, as they are now.
pub struct Source {
    place: Place,
    policy: ArcSwap<Policy>,
    users: Mutex<Vec<User>>,
}

/// Every source in use. It is locked while a configuration is created, never for a request.
static SOURCES: Mutex<Option<HashMap<Place, Weak<Source>>>> = Mutex::new(None);

impl Source {
    /// Opens what a configuration says: `{"file": PATH}`, or the services themselves. A place that is in
    /// use already is shared.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn open(
        text: &[u8],
        role: Role,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>, Vec<String>> {
        let place = place(text).map_err(|problem| vec![problem])?;
        let mut sources = lock(&SOURCES);
        let sources = sources.get_or_insert_default();
        sources.retain(|_, source| source.strong_count() > 0);
        let source = match sources.get(&place).and_then(Weak::upgrade) {
            Some(source) => source,
            None => Self::load(place, role)?,
        };
        {
            // Held all along, so that no table comes in between that this user can't take.
            let mut users = lock(&source.users);
            let policy = source.policy.load_full();
            check(&policy, role).map_err(|problem| vec![problem])?;
            counters.show(policy.summary());
            users.push(User { role, counters });
        }
        sources.insert(source.place.clone(), Arc::downgrade(&source));
        Ok(source)
    }

    fn load(place: Place, role: Role) -> Result<Arc<Self>, Vec<String>> {
        let stamp = match &place {
            Place::File(path) => watch::stamp(path),
            Place::Text(_) => None,
        };
        let policy = read(&place, None)?;
        check(&policy, role).map_err(|problem| vec![problem])?;
        report(&place, &policy);
        let policy = ArcSwap::new(policy);
        let source = Arc::new(Self { place, policy, users: Mutex::default() });
        if let Place::File(path) = &source.place {
            watch::start(path.clone(), stamp, Arc::downgrade(&source), Self::reload)
                .map_err(|error| vec![format!("no thread to watch {}: {error}", path.display())])?;
        }
        Ok(source)
    }

    /// The services now. Neither locks nor allocates.
    pub fn policy(&self) -> Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// Ends a use: from here on the counters are left alone.
    pub fn close(&self, counters: &Arc<Counters>) {
        lock(&self.users).retain(|user| !Arc::ptr_eq(&user.counters, counters));
    }

    /// Reads the place again. What is read is taken in whole or not at all; the table it takes the place
    /// of is given back, unless nothing changed.
    fn reload(&self) -> Option<Arc<Policy>> {
        let read = read(&self.place, Some(self.policy.load_full()));
        let users = lock(&self.users);
        let checked = read.and_then(|policy| {
            let problems: Vec<_> =
                users.iter().filter_map(|user| check(&policy, user.role).err()).take(1).collect();
            if problems.is_empty() { Ok(policy) } else { Err(problems) }
        });
        for user in users.iter() {
            user.counters.count_reload(checked.is_ok());
            if let Ok(policy) = &checked {
                user.counters.show(policy.summary());
            }
        }
        match checked {
            Ok(policy) => {
                report(&self.place, &policy);
                // The same table again where the text is the same: that one is still in use.
                let old = self.policy.swap(Arc::clone(&policy));
                (!Arc::ptr_eq(&old, &policy)).then_some(old)
            }
            Err(problems) => {
                refuse(&problems);
                None
            }
        }
    }
}

/// Writes what is wrong with a configuration to the log.
pub fn refuse(problems: &[String]) {
    for line in report::problems(problems) {
        log(Level::Error, format_args!("{line}"));
    }
}

fn place(text: &[u8]) -> Result<Place, String> {
    // Values are skipped: the services may be many, and are read but once.
    let fields: HashMap<String, IgnoredAny> = serde_json::from_slice(text).unwrap_or_default();
    if !fields.contains_key("file") {
        return Ok(Place::Text(text.into()));
    }
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    match value.get("file").and_then(Value::as_str) {
        _ if fields.len() > 1 => {
            Err("file: no other field is allowed, because the file holds them".to_owned())
        }
        Some(path) if Path::new(path).is_absolute() => Ok(Place::File(path.into())),
        _ => Err(format!("file: {} is not an absolute path", value.get("file").unwrap_or(&value))),
    }
}

/// Reads a place. If its text is that of `current`, the result is `current`: an update that changes nothing
/// costs a comparison.
fn read(place: &Place, current: Option<Arc<Policy>>) -> Result<Arc<Policy>, Vec<String>> {
    let text = match place {
        Place::Text(text) => text.to_vec(),
        Place::File(path) => ingress_waypoint_file::read(path, FILE_LIMIT)
            .map_err(|error| vec![format!("cannot read {}: {error}", path.display())])?,
    };
    if let Some(current) = current.filter(|current| current.is_from(&text)) {
        return Ok(current);
    }
    let variable = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    Policy::from_json(text, variable.as_deref())
        .map(Arc::new)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// Refuses a policy that one of its users cannot apply.
fn check(policy: &Policy, role: Role) -> Result<(), String> {
    match (role, &policy.forward().via) {
        (Role::Specifier, Via::ClusterHeader { .. }) => {
            Err("forward.via: \"cluster-header\" is not for the route specifier, \
                 which replaces the cluster of any route"
                .to_owned())
        }
        _ => Ok(()),
    }
}

fn report(place: &Place, policy: &Policy) {
    let from = match place {
        Place::File(path) => format!("{}: ", path.display()),
        Place::Text(_) => String::new(),
    };
    log(Level::Info, format_args!("{from}{}", policy.headline()));
    for line in report::warnings(policy) {
        log(Level::Warn, format_args!("{line}"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind the locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
