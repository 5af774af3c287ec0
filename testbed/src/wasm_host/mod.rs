//! A mocked proxy-wasm host (ABI 0.2.1), for what a real Envoy doesn't show: each host call that
//! the filter makes for a request, and what happens when one fails.
//!
//! It does to the filter what Envoy does, in Envoy's order, and answers as Envoy answers. A call
//! that it doesn't know traps with the name of the import.

mod exchange;
mod imports;
mod memory;
mod protobuf;
mod state;
mod wasi;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use wasmtime::{Config, Engine, Instance, Linker, Store, WasmParams, WasmResults};

pub use exchange::{Exchange, Request};
use state::Host;
pub use state::{FilterState, HostCall, LocalResponse, LogLine, Status};

use crate::workspace;

/// A compiled module, of which any number of VMs can be made.
#[derive(Clone)]
pub struct Module {
    engine: Engine,
    module: wasmtime::Module,
    size: usize,
}

impl Module {
    /// Where `make wasm` puts the filter.
    pub fn built() -> PathBuf {
        workspace().join("dist/ingress_waypoint.wasm")
    }

    /// Where `make wasm` puts the filter as cargo builds it, with every callback that the SDK has.
    pub fn unstripped() -> PathBuf {
        workspace().join("target/ingress_waypoint.wasm")
    }

    /// Loads and compiles a module.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .with_context(|| format!("cannot read {}: run `make wasm`", path.display()))?;
        // By the fuel that is used instructions are counted.
        let engine = Engine::new(Config::new().consume_fuel(true)).map_err(|e| anyhow!("{e:#}"))?;
        let module = wasmtime::Module::new(&engine, &bytes)
            .map_err(|error| anyhow!("{}: {error:#}", path.display()))?;
        Ok(Self { engine, module, size: bytes.len() })
    }

    /// The size of the file in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The names that the module exports, sorted.
    pub fn exports(&self) -> Vec<String> {
        let mut names: Vec<_> = self.module.exports().map(|e| e.name().to_owned()).collect();
        names.sort();
        names
    }

    /// What the module imports, as `module.name`, sorted.
    pub fn imports(&self) -> Vec<String> {
        let imports = self.module.imports();
        let mut names: Vec<_> = imports.map(|i| format!("{}.{}", i.module(), i.name())).collect();
        names.sort();
        names
    }
}

/// One instance of the module, as a worker of Envoy has it.
pub struct Vm {
    store: Store<Host>,
    instance: Instance,
    /// The root that requests go to; 0 is none.
    root: u32,
    /// The root that was made last, whether it took its configuration or not.
    newest: u32,
    contexts: u32,
}

impl Vm {
    /// Instantiates the module with the environment variables that its VM sees.
    pub fn new(module: &Module, env: &[(&str, &str)]) -> Result<Self> {
        let mut linker = Linker::new(&module.engine);
        imports::link(&mut linker).map_err(|e| anyhow!("{e:#}"))?;
        wasi::link(&mut linker).map_err(|e| anyhow!("{e:#}"))?;
        linker.define_unknown_imports_as_traps(&module.module).map_err(|e| anyhow!("{e:#}"))?;
        let mut store = Store::new(&module.engine, Host::new(env));
        store.set_fuel(u64::MAX).map_err(|e| anyhow!("{e:#}"))?;
        let instance =
            linker.instantiate(&mut store, &module.module).map_err(|e| anyhow!("{e:#}"))?;
        let mut vm = Self { store, instance, root: 0, newest: 0, contexts: 0 };
        vm.call_if_exported::<(), ()>("_initialize", ())?;
        Ok(vm)
    }

    /// Gives the plugin a configuration, in a new root context as Envoy does; whether it took it.
    /// Requests go to the last one that was taken.
    pub fn configure(&mut self, text: &[u8]) -> Result<bool> {
        let length = i32::try_from(text.len())?;
        self.store.data_mut().plugin_configuration = text.to_vec();
        let root = self.new_context(0)?;
        self.newest = root;
        let started = self.call_if_exported::<_, i32>("proxy_on_vm_start", (root as i32, 0))?;
        let taken = started != Some(0)
            && self.call::<_, i32>("proxy_on_configure", (root as i32, length))? != 0;
        if taken {
            self.root = root;
        }
        Ok(taken)
    }

    /// The same, with a host call that fails, by the name it is recorded under.
    pub fn configure_failing(&mut self, text: &[u8], call: &str, status: Status) -> Result<bool> {
        self.store.data_mut().begin(Request::default().failing(call, status));
        let taken = self.configure(text);
        self.store.data_mut().end();
        taken
    }

    /// The root context that was made last, by whatever configuration.
    pub fn newest_root(&self) -> u32 {
        self.newest
    }

    /// Sends requests to another root context, as a second plugin in the VM has one.
    pub fn select_root(&mut self, root: u32) {
        self.root = root;
    }

    /// Drives a request through the filter, from its headers to the end of its context.
    pub fn request(&mut self, request: Request) -> Result<Exchange> {
        self.request_with(request, |_| Ok(()))
    }

    /// The same, with something in between the making of its context and its headers.
    pub fn request_with(
        &mut self,
        request: Request,
        between: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<Exchange> {
        ensure!(self.root != 0, "the plugin has no configuration");
        self.store.data_mut().begin(request);
        let result = self.drive(between);
        let stream = self.store.data_mut().end();
        Ok(Exchange {
            host_calls: stream.calls,
            local_response: stream.local_response,
            filter_state: stream.filter_state,
            headers: stream.headers,
            continues: *result.as_ref().unwrap_or(&false),
            trap: result.err().map(|error| format!("{error:#}")),
        })
    }

    fn drive(&mut self, between: impl FnOnce(&mut Self) -> Result<()>) -> Result<bool> {
        let count = i32::try_from(self.store.data().stream.headers.len())?;
        let context = self.new_context(self.root)? as i32;
        between(self)?;
        let action = self.call::<_, i32>("proxy_on_request_headers", (context, count, 1))?;
        self.call_if_exported::<_, i32>("proxy_on_done", context)?;
        self.call_if_exported::<_, ()>("proxy_on_log", context)?;
        self.call_if_exported::<_, ()>("proxy_on_delete", context)?;
        Ok(action == 0)
    }

    /// The instructions that the VM has run so far, of those that take fuel: all but a few that stand for
    /// no work, such as `block`.
    pub fn instructions(&self) -> Result<u64> {
        Ok(u64::MAX - self.store.get_fuel().map_err(|error| anyhow!("{error:#}"))?)
    }

    /// How often the VM was entered so far, to allocate what a host call returns too.
    pub fn entries(&self) -> u64 {
        self.store.data().entries
    }

    /// The bytes of the VM's memory, which never shrinks.
    pub fn memory(&mut self) -> Result<usize> {
        let memory = self.instance.get_memory(&mut self.store, "memory").context("no memory")?;
        Ok(memory.data_size(&self.store))
    }

    /// Makes a stream's context and deletes it, without any headers.
    pub fn stream_without_headers(&mut self) -> Result<()> {
        let context = self.new_context(self.root)? as i32;
        self.call_if_exported::<_, ()>("proxy_on_delete", context)?;
        Ok(())
    }

    /// Lets the timer go off, which the plugin must have set.
    pub fn tick(&mut self) -> Result<()> {
        ensure!(self.store.data().tick.is_some(), "the plugin has set no tick period");
        self.call("proxy_on_tick", self.root as i32)
    }

    /// Deletes the root context, as Envoy does when the configuration goes.
    pub fn delete_root(&mut self) -> Result<()> {
        let root = std::mem::take(&mut self.root) as i32;
        self.call_if_exported::<_, i32>("proxy_on_done", root)?;
        self.call_if_exported::<_, ()>("proxy_on_delete", root)?;
        Ok(())
    }

    /// The values of all metrics defined so far.
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        self.store.data().metrics.iter().cloned().collect()
    }

    /// What was logged so far.
    pub fn logs(&self) -> &[LogLine] {
        &self.store.data().logs
    }

    /// The log level that the host says it has; `info` to begin with. 0 is trace, 5 critical.
    pub fn set_log_level(&mut self, level: u32) {
        self.store.data_mut().log_level = level;
    }

    /// The tick period in milliseconds, once the plugin has set one.
    pub fn tick_period(&self) -> Option<u32> {
        self.store.data().tick
    }

    fn new_context(&mut self, parent: u32) -> Result<u32> {
        self.contexts += 1;
        let id = self.contexts;
        self.call::<_, ()>("proxy_on_context_create", (id as i32, parent as i32))?;
        Ok(id)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> Result<R> {
        let result = self.call_if_exported(name, params)?;
        result.with_context(|| format!("the module does not export {name}"))
    }

    fn call_if_exported<P, R>(&mut self, name: &str, params: P) -> Result<Option<R>>
    where
        P: WasmParams,
        R: WasmResults,
    {
        let Some(function) = self.instance.get_func(&mut self.store, name) else {
            return Ok(None);
        };
        self.store.data_mut().entries += 1;
        let function = function.typed::<P, R>(&self.store).map_err(|e| anyhow!("{name}: {e:#}"))?;
        let result = function.call(&mut self.store, params);
        result.map(Some).map_err(|error| anyhow!("{name}: {error:#}"))
    }
}
