//! The arguments for the form of the filter and how it is loaded.

use anyhow::ensure;
use clap::{Args, ValueEnum};

use gateway::envoy::Form;
use gateway::envoy::fragments::{MAX_CONNECTIONS_PER_VIP, Switch, Wasm};
use gateway::envoy::native::Module;

/// The form of the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormName {
    /// The wasm filter: any Envoy with wasm; every route has a twin
    Wasm,
    /// The native module: route specifier and HTTP filter, routes stay as they are (Envoy 1.40); for Istio
    /// and Envoy Gateway its HTTP filter with VIP routes (Envoy 1.39)
    Module,
}

/// The form of the filter, and how it is loaded.
#[derive(Debug, Args)]
pub struct FormArgs {
    /// The form of the filter
    #[arg(long, value_enum, default_value = "wasm", value_name = "FORM")]
    pub form: FormName,
    /// Where Envoy finds the filter in its file system [default: dist/ingress_waypoint.wasm; the
    /// native module where its ENVOY_DYNAMIC_MODULES_SEARCH_PATH says]
    #[arg(long, value_name = "PATH")]
    pub module: Option<String>,
    /// The file with the filter's configuration on the machine of that Envoy, instead of the
    /// configuration itself; it is followed as it changes (--form module)
    #[arg(long, value_name = "PATH")]
    pub config_path: Option<String>,
    /// The global switch, where the configuration has none: of the wasm filter's VM, or written into
    /// the native module's configuration (not with --config-path)
    #[arg(
        long,
        value_enum,
        default_value = "on",
        value_name = "WHERE",
        conflicts_with = "config_path"
    )]
    pub vm_switch: VmSwitch,
    /// The connections that the proxy opens to one VIP at most; requests beyond wait for one of them. The
    /// clusters that lead to the VIPs have no other limit, so that one service cannot use up another's
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = MAX_CONNECTIONS_PER_VIP,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub max_connections_per_vip: u32,
}

/// Where the filter has the global switch from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VmSwitch {
    /// On
    On,
    /// Off
    Off,
    /// What the proxy's own INGRESS_USE_WAYPOINTS says
    Environment,
}

impl From<VmSwitch> for Switch {
    fn from(switch: VmSwitch) -> Self {
        match switch {
            VmSwitch::On => Self::On,
            VmSwitch::Off => Self::Off,
            VmSwitch::Environment => Self::Environment,
        }
    }
}

impl FormArgs {
    /// The form.
    ///
    /// # Errors
    /// Where the wasm filter is to read a file, or the path to that is relative.
    pub fn form(&self) -> anyhow::Result<Form> {
        let (path, switch) = (self.module.clone(), self.vm_switch.into());
        let max_connections_per_vip = self.max_connections_per_vip;
        let form = match self.form {
            FormName::Wasm => {
                ensure!(
                    self.config_path.is_none(),
                    "--config-path needs --form module: the wasm filter reads no files (`compile -o ecds` \
                     is what Envoy follows for it)"
                );
                let default = Wasm::default();
                let path = path.unwrap_or(default.path);
                Form::Wasm(Wasm { path, switch, max_connections_per_vip })
            }
            FormName::Module => {
                if let Some(path) = &self.config_path {
                    ensure!(
                        path.starts_with('/'),
                        "--config-path: {path:?} is not an absolute path"
                    );
                }
                let config_path = self.config_path.clone();
                Form::Module(Module { path, config_path, switch, max_connections_per_vip })
            }
        };
        Ok(form)
    }
}
