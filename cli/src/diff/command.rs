//! The command `diff`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::compare::run;
use super::report::exit;
use super::side::{Side, is_configuration};
use crate::args::{Input, RuleArgs, Settings};
use crate::report::{self, Exit, Format};
use gateway::table::{Compiled, Purpose};
use mesh::MeshConfigChoice;
use source::Wanted;
use source::open;

/// `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint diff running.json new.json
  ingress-waypoint diff running.json manifests/
  ingress-waypoint diff running.json --cluster --format json
  kubectl get svc,ns,gtw,gatewayclass,serviceentry,httproute,grpcroute \\
      -A -o yaml | ingress-waypoint diff running.json -

Exit codes:
  0  no path changes
  1  a path changes
  2  OLD or NEW cannot be used")]
pub struct Arguments {
    /// What runs now: the filter's configuration (JSON), or a file or folder of Kubernetes objects, or
    /// - for either on standard input
    pub old: PathBuf,
    /// What shall run: the same
    #[arg(required_unless_present = "cluster", conflicts_with = "cluster")]
    pub new: Option<PathBuf>,
    /// Compare with the live cluster
    #[arg(long)]
    pub cluster: bool,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, requires = "cluster")]
    pub context: Option<String>,
    /// The mesh's own configuration (MeshConfig), for objects: a file or a ConfigMap [default: ConfigMap
    /// istio in istio-system]
    #[arg(long, value_name = "FILE|NAMESPACE/NAME", value_parser = crate::args::mesh_config)]
    pub mesh_config: Option<MeshConfigChoice>,
    /// The choices that the mesh's rules leave open, for objects.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The fields of the configuration besides the services, for objects.
    #[command(flatten)]
    pub settings: Settings,
}

/// Reads both and prints the differences.
///
/// # Errors
/// If one of them cannot be used.
pub fn command(arguments: &Arguments, format: Format) -> anyhow::Result<Exit> {
    let stdin = Path::new("-");
    let twice = arguments.old == stdin && arguments.new.as_deref() == Some(stdin);
    anyhow::ensure!(!twice, "standard input cannot be both OLD and NEW");
    let (old, mut all) = path(arguments, &arguments.old)?;
    let (new, rest) = match &arguments.new {
        Some(new) => path(arguments, new)?,
        None => {
            let (cluster, context) = (true, arguments.context.clone());
            objects(arguments, Input { cluster, context, ..Input::default() })?
        }
    };
    all = all.max(rest);
    let diff = run(&old, &new);
    match format {
        Format::Text => report::text(&diff.text())?,
        Format::Json => report::json(&diff)?,
    }
    // Without all objects the comparison is worthless.
    Ok(if all == Exit::Done { exit(&diff) } else { Exit::Failed })
}

fn path(arguments: &Arguments, given: &Path) -> anyhow::Result<(Side, Exit)> {
    let mut file = given.to_owned();
    let mut kept = None;
    let cannot = || format!("cannot read {}", given.display());
    let is_stdin = given == Path::new("-");
    if is_stdin || open::is_stream(given) {
        // Looked at twice, and it may be large.
        let mut copy = tempfile::Builder::new().prefix("stdin-").suffix(".yaml").tempfile()?;
        let mut input: Box<dyn Read> = match is_stdin {
            true => Box::new(std::io::stdin().lock()),
            false => Box::new(open::open(given).with_context(cannot)?),
        };
        std::io::copy(&mut input, &mut copy).with_context(cannot)?;
        file = copy.path().to_owned();
        kept = Some(copy);
    }
    let side = if is_configuration(&file)? {
        let text = open::read(&file).with_context(cannot)?;
        let side = Side::from_json(&text).with_context(|| given.display().to_string())?;
        (side, Exit::Done)
    } else {
        let filename = file.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
        objects(arguments, Input { filename: vec![filename.to_owned()], ..Input::default() })?
    };
    drop(kept);
    Ok(side)
}

fn objects(arguments: &Arguments, input: Input) -> anyhow::Result<(Side, Exit)> {
    let input = Input { mesh_config: arguments.mesh_config.clone(), ..input };
    let (world, exit) = crate::input::world(&input, Wanted::Mesh)?;
    let (rules, settings) = (arguments.rules.rules(None), arguments.settings.configuration());
    crate::input::warn_of_unmatched(&world, &rules);
    let compiled = Compiled::new(&world, &rules, &settings, Purpose::default())?;
    Ok((Side::from_json(compiled.text.as_bytes())?, exit))
}
