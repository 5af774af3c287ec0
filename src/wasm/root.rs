//! The plugin on one worker: takes a configuration or refuses it, and reports to the operator.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::{Rc, Weak};
use std::time::Duration;

use foldhash::fast::FixedState;
use log::{error, info, warn};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, Status};

use super::filter::Filter;
use super::metrics::Metrics;
use super::stream::Stream;
use crate::global_switch::VARIABLE;
use crate::policy::Policy;
use crate::report;

/// How often counters reach Envoy, and a changed log level reaches the filter.
const TICK: Duration = Duration::from_secs(1);

/// The root context. Without a filter it was never configured, and Envoy sends it no requests.
#[derive(Default)]
pub struct Root {
    filter: Option<Rc<Filter>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Takes the plugin's configuration, or keeps the one before.
    fn on_configure(&mut self, _size: usize) -> bool {
        follow_log_level();
        match self.load() {
            Ok(()) => true,
            Err(Status::BadArgument) => false,
            Err(status) => {
                error!("configuration refused: Envoy answered a host call with {status:?}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        follow_log_level();
        if let Some(filter) = &self.filter {
            filter.metrics.flush();
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { filter: self.filter.clone() }))
    }
}

impl Root {
    fn load(&mut self) -> Result<(), Status> {
        let text = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX)?;
        let text = text.unwrap_or_default();
        let policy = match in_use(&text) {
            Some(policy) => policy,
            None => compile(text)?,
        };
        let metrics = Metrics::define(policy.summary())?;
        hostcalls::set_tick_period(TICK)?;
        // Nothing may fail from here on: what is reported as refused is not taken over.
        if let Some(old) = self.filter.replace(Rc::new(Filter::new(policy, metrics))) {
            old.metrics.flush();
        }
        Ok(())
    }
}

thread_local! {
    /// What was compiled last in this VM, while it is in use.
    static LAST: RefCell<Weak<Policy>> = RefCell::default();
}

/// The policy of this text, if the VM has it: an update that changes nothing costs a comparison.
/// The environment is as it was, for it belongs to the VM.
fn in_use(text: &[u8]) -> Option<Rc<Policy>> {
    LAST.with_borrow(Weak::upgrade).filter(|policy| policy.is_from(text))
}

fn compile(text: Vec<u8>) -> Result<Rc<Policy>, Status> {
    let variable = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let fingerprint = FixedState::default().hash_one((&text, &variable));
    let policy = Policy::from_json(text, variable.as_deref()).and_then(Policy::for_vip_routes);
    match policy {
        Ok(policy) => {
            if first_to_load(fingerprint) {
                info!("{}", policy.headline());
                report::warnings(&policy).iter().for_each(|line| warn!("{line}"));
            }
            let policy = Rc::new(policy);
            LAST.set(Rc::downgrade(&policy));
            Ok(policy)
        }
        Err(problems) => {
            report::problems(problems.iter()).iter().for_each(|line| error!("{line}"));
            Err(Status::BadArgument)
        }
    }
}

impl Drop for Root {
    /// Envoy deletes the context when the configuration goes: what the last tick missed is counted.
    fn drop(&mut self) {
        if let Some(filter) = &self.filter {
            filter.metrics.flush();
        }
    }
}

/// Skips the making of log lines that Envoy would throw away, at the level it has now.
fn follow_log_level() {
    if let Ok(level) = hostcalls::get_log_level() {
        proxy_wasm::set_log_level(level);
    }
}

/// Whether no other VM of this Envoy has loaded this configuration just before: every worker has a
/// VM, and the operator wants one line, not one a worker.
fn first_to_load(fingerprint: u64) -> bool {
    let plugin = hostcalls::get_property(vec!["plugin_name"]).ok().flatten().unwrap_or_default();
    let key = format!("ingress_waypoint.loaded.{}", String::from_utf8_lossy(&plugin));
    let fingerprint = fingerprint.to_le_bytes();
    match hostcalls::get_shared_data(&key) {
        Ok((Some(loaded), _)) if loaded == fingerprint => false,
        // Two workers at once may both write; then there are two lines.
        _ => {
            let _ = hostcalls::set_shared_data(&key, Some(&fingerprint), None);
            true
        }
    }
}
