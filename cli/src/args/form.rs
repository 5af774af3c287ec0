//! The arguments for the form of the filter, and for how a proxy loads it.

use anyhow::ensure;
use clap::{Args, ValueEnum};

use gateway::envoy::Form;
use gateway::envoy::fragments::{MAX_CONNECTIONS_PER_VIP, Switch, Wasm};
use gateway::envoy::native::Module;
use gateway::envoy::xds_server::NodeName;

use super::LiveArgs;

/// The form of the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormName {
    /// The wasm filter, for any Envoy with wasm: a VIP route beside each route
    Wasm,
    /// The native module: a route specifier and an HTTP filter, and routes stay as they are (Envoy 1.40);
    /// for Istio the HTTP filter with VIP routes (Envoy 1.39). Not for -o envoy-gateway
    Module,
}

/// The form of the filter, and how a proxy loads it.
#[derive(Debug, Args)]
pub struct FormArgs {
    /// The form of the filter
    #[arg(long, value_enum, default_value = "wasm", value_name = "FORM")]
    pub form: FormName,
    /// The path of the filter in Envoy's file system [default: dist/ingress_waypoint.wasm; for the
    /// native module, ENVOY_DYNAMIC_MODULES_SEARCH_PATH leads to it]
    #[arg(long, value_name = "PATH")]
    pub module: Option<String>,
    /// The path of the filter's configuration in Envoy's file system, instead of the configuration
    /// itself; the module follows the file as it changes (--form module)
    #[arg(long, value_name = "PATH")]
    pub config_path: Option<String>,
    /// The global switch, if the configuration does not set it: for the wasm filter's VM, or written
    /// into the native module's configuration (not with --config-path)
    #[arg(
        long,
        value_enum,
        default_value = "on",
        value_name = "WHERE",
        conflicts_with = "config_path"
    )]
    pub vm_switch: Switch,
    /// The most connections that the proxy opens to one VIP; further requests wait for one of them. The
    /// clusters that lead to the VIPs have no other limit, so that no service uses up another's
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = MAX_CONNECTIONS_PER_VIP,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub max_connections_per_vip: u32,
    /// A controller that serves the filter's configuration.
    #[command(flatten)]
    pub live: LiveArgs,
}

impl FormArgs {
    /// The form. `node` is the usual name of the gateway for its controller.
    ///
    /// # Errors
    /// If the wasm filter is given a file, the path of the file is relative, or something is missing for `--live`.
    pub fn form(&self, node: Option<NodeName>) -> anyhow::Result<Form> {
        let live = self.live.live(node)?;
        let (path, switch) = (self.module.clone(), self.vm_switch);
        let max_connections_per_vip = self.max_connections_per_vip;
        let form = match self.form {
            FormName::Wasm => {
                ensure!(
                    self.config_path.is_none(),
                    "--config-path needs --form module: the wasm filter does not read files (Envoy follows \
                     one for it: `compile -o ecds`)"
                );
                ensure!(
                    live.is_none() || path.is_none(),
                    "--module: the controller (--live) serves the wasm filter too"
                );
                let default = Wasm::default();
                let path = path.unwrap_or(default.path);
                Form::Wasm(Wasm { path, switch, live, max_connections_per_vip })
            }
            FormName::Module => {
                if let Some(path) = &self.config_path {
                    ensure!(
                        path.starts_with('/'),
                        "--config-path: {path:?} is not an absolute path"
                    );
                }
                let config_path = self.config_path.clone();
                Form::Module(Module { path, config_path, live, switch, max_connections_per_vip })
            }
        };
        Ok(form)
    }
}
