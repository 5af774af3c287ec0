//! The one table of services that all workers and listeners share, and who uses it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::{ArcSwapOption, Guard};
use ingress_waypoint::global_switch::VARIABLE;
use ingress_waypoint::{Policy, report};

use crate::abi::{Level, log};
use crate::counters::Counters;
use crate::place::Place;
use crate::{file_watch, replaced};

/// What a followed file may have at most, in bytes: more than a million services, and no more memory than
/// Envoy can spare.
const FILE_LIMIT: u64 = 256 << 20;

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
    /// `None` only for a table that is not published yet.
    policy: ArcSwapOption<Policy>,
    users: Mutex<Vec<User>>,
    /// Whether each of these was logged, which happens once.
    missing_logged: AtomicBool,
    conflict_logged: AtomicBool,
}

/// Every source in use. It is locked while a configuration is created, never for a request.
static SOURCES: Mutex<Option<Sources>> = Mutex::new(None);

#[derive(Default)]
struct Sources {
    all: HashMap<Place, Weak<Source>>,
    /// Those of tables, which stay for as long as the process lives. They are few: the static configuration
    /// of a gateway names them.
    tables: Vec<Arc<Source>>,
}

impl Sources {
    fn find(&mut self, place: &Place) -> Option<Arc<Source>> {
        self.all.retain(|_, source| source.strong_count() > 0);
        self.all.get(place).and_then(Weak::upgrade)
    }

    fn insert(&mut self, source: &Arc<Source>) {
        let known = self.all.insert(source.place.clone(), Arc::downgrade(source));
        if known.is_none() && matches!(source.place, Place::Table(_)) {
            self.tables.push(Arc::clone(source));
        }
    }
}

impl Source {
    /// Opens what a configuration says: a file, a table, or the services themselves. A place that is in
    /// use already is shared.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn open(
        text: &[u8],
        role: Role,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>, Vec<String>> {
        let place = Place::read(text).map_err(|problem| vec![problem])?;
        let mut sources = lock(&SOURCES);
        let sources = sources.get_or_insert_default();
        let source = match sources.find(&place) {
            Some(source) => source,
            None => Self::load(place, role)?,
        };
        {
            // Held all along, so that no table comes in between that this user can't take.
            let mut users = lock(&source.users);
            if let Some(policy) = source.policy.load_full() {
                check(&policy, role).map_err(|problem| vec![problem])?;
                counters.show(policy.summary());
            } else {
                let place = &source.place;
                log(Level::Info, format_args!("{place}requests are refused until it is published"));
            }
            users.push(User { role, counters });
        }
        sources.insert(&source);
        Ok(source)
    }

    fn load(place: Place, role: Role) -> Result<Arc<Self>, Vec<String>> {
        let (policy, watched) = match &place {
            Place::Table(_) => return Ok(Arc::new(Self::new(place, None))),
            Place::Text(text) => (compile(text.to_vec())?, None),
            Place::File(path) => {
                let stamp = file_watch::stamp(path);
                (compile(read(path)?)?, Some((path.clone(), stamp)))
            }
        };
        check(&policy, role).map_err(|problem| vec![problem])?;
        report(&place, &policy);
        let source = Arc::new(Self::new(place, Some(policy)));
        if let Some((path, stamp)) = watched {
            let named = path.display().to_string();
            file_watch::start(path, stamp, Arc::downgrade(&source), Self::reload)
                .map_err(|error| vec![format!("no thread to watch {named}: {error}")])?;
        }
        Ok(source)
    }

    fn new(place: Place, policy: Option<Arc<Policy>>) -> Self {
        Self {
            place,
            policy: ArcSwapOption::new(policy),
            users: Mutex::default(),
            missing_logged: AtomicBool::new(false),
            conflict_logged: AtomicBool::new(false),
        }
    }

    /// Publishes services as the table of that name, and returns the table. A publisher holds it for as long
    /// as its configuration lives. If it still does so long after another table replaced it, there are two
    /// publishers, and the log says so.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn publish(name: String, services: &[u8]) -> Result<Arc<Policy>, Vec<String>> {
        let place = Place::Table(name);
        let source = {
            let mut sources = lock(&SOURCES);
            let sources = sources.get_or_insert_default();
            sources.find(&place).unwrap_or_else(|| {
                let source = Arc::new(Self::new(place, None));
                sources.insert(&source);
                source
            })
        };
        match source.policy.load_full() {
            // Another listener's, or that of a listener that was updated.
            Some(current) if current.is_from(services) => Ok(current),
            _ => source.replace(compile(services.to_vec())),
        }
    }

    /// The services now, or `None` for a table that is not published yet. Neither locks nor allocates.
    pub fn policy(&self) -> Guard<Option<Arc<Policy>>> {
        self.policy.load()
    }

    /// Logs, once, that requests are refused because there is no table.
    pub fn report_missing(&self) {
        if !self.missing_logged.swap(true, Ordering::Relaxed) {
            let place = &self.place;
            log(
                Level::Warn,
                format_args!("{place}not published, so requests are refused (no-table)"),
            );
        }
    }

    /// Counts that two configurations publish the table, and logs it once.
    fn report_conflict(&self) {
        let Place::Table(_) = &self.place else { return };
        for user in lock(&self.users).iter() {
            user.counters.count_conflict();
        }
        if !self.conflict_logged.swap(true, Ordering::Relaxed) {
            let place = &self.place;
            log(
                Level::Warn,
                format_args!(
                    "{place}published by two configurations, with different services: the newest holds"
                ),
            );
        }
    }

    /// Ends a use: from here on the counters are left alone.
    pub fn close(&self, counters: &Arc<Counters>) {
        lock(&self.users).retain(|user| !Arc::ptr_eq(&user.counters, counters));
    }

    /// Reads the file again.
    fn reload(self: &Arc<Self>, path: &Path) {
        let read = read(path).and_then(|text| match self.policy.load_full() {
            Some(current) if current.is_from(&text) => Ok(current),
            _ => compile(text),
        });
        if let Err(problems) = self.replace(read) {
            refuse(&problems);
        }
    }

    /// Takes what was read, in whole or not at all, and counts which.
    fn replace(
        self: &Arc<Self>,
        read: Result<Arc<Policy>, Vec<String>>,
    ) -> Result<Arc<Policy>, Vec<String>> {
        let users = lock(&self.users);
        let checked = read.and_then(|policy| {
            let check = users.iter().try_for_each(|user| check(&policy, user.role));
            check.map(|()| policy).map_err(|problem| vec![problem])
        });
        for user in users.iter() {
            user.counters.count_reload(checked.is_ok());
            if let Ok(policy) = &checked {
                user.counters.show(policy.summary());
            }
        }
        let policy = checked?;
        report(&self.place, &policy);
        let old = self.policy.swap(Some(Arc::clone(&policy)));
        // The same table again where the text is the same: that one is still in use.
        if let Some(old) = old.filter(|old| !Arc::ptr_eq(old, &policy)) {
            let source = Arc::downgrade(self);
            replaced::free(old, move || {
                if let Some(source) = source.upgrade() {
                    source.report_conflict();
                }
            });
        }
        Ok(policy)
    }
}

/// Writes what is wrong with a configuration to the log.
pub fn refuse(problems: &[String]) {
    for line in report::problems(problems) {
        log(Level::Error, format_args!("{line}"));
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Vec<String>> {
    ingress_waypoint_file::read(path, FILE_LIMIT)
        .map_err(|error| vec![format!("cannot read {}: {error}", path.display())])
}

fn compile(text: Vec<u8>) -> Result<Arc<Policy>, Vec<String>> {
    let variable = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    Policy::from_json(text, variable.as_deref())
        .map(Arc::new)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// Refuses a policy that one of its users cannot apply.
fn check(policy: &Policy, role: Role) -> Result<(), String> {
    match role {
        Role::Specifier => policy.for_route_specifier().map_err(|problem| problem.to_string()),
        Role::Filter => Ok(()),
    }
}

fn report(place: &Place, policy: &Policy) {
    log(Level::Info, format_args!("{place}{}", policy.headline()));
    for line in report::warnings(policy) {
        log(Level::Warn, format_args!("{line}"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind the locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
