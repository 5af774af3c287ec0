//! The mesh configuration that counts, if several were read.

use super::World;
use crate::diagnostics::code::Code;
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef, Severity};
use crate::objects::key::Key;
use crate::objects::mesh_config::{ConfigMapFacts, ISTIO_SYSTEM, KEY, MeshConfig};
use crate::objects::mesh_config_choice::MeshConfigChoice;
use crate::objects::name_syntax::{is_label, is_name};
use crate::objects::object::Kind;

impl World {
    /// The ConfigMap whose mesh configuration counts, if it is one's.
    fn chosen(&self) -> Option<(&Key, &ConfigMapFacts)> {
        match &self.mesh_config {
            MeshConfigChoice::Found => self.istios().next(),
            MeshConfigChoice::Named(key) => self.mesh_configs.get_key_value(key),
            MeshConfigChoice::Given(..) => None,
        }
    }

    /// Those in Istio's namespace: the one without a revision, then the others by name.
    fn istios(&self) -> impl Iterator<Item = (&Key, &ConfigMapFacts)> {
        let within = self.mesh_configs.iter().filter(|(key, _)| key.namespace == ISTIO_SYSTEM);
        within.filter(|(key, _)| is_istios(&key.name))
    }

    /// The mesh configuration: the default one where there is none.
    pub fn mesh(&self) -> &MeshConfig {
        match &self.mesh_config {
            MeshConfigChoice::Given(_, config) => config,
            _ => self
                .chosen()
                .and_then(|(_, map)| map.config.as_ref().ok())
                .unwrap_or(MeshConfig::DEFAULT),
        }
    }

    /// What has the mesh configuration that counts.
    pub fn mesh_source(&self) -> String {
        match (&self.mesh_config, self.chosen()) {
            (MeshConfigChoice::Given(file, _), _) => format!("the mesh configuration {file}"),
            (_, Some((key, _))) => format!("ConfigMap {key}"),
            (_, None) => "the mesh configuration".to_owned(),
        }
    }

    /// Whether the mesh configuration that counts was read.
    ///
    /// # Errors
    /// It was named and not read, or holds what cannot be read.
    pub fn check_mesh_config(&self) -> Result<(), String> {
        match (&self.mesh_config, self.chosen()) {
            (MeshConfigChoice::Named(key), None) => Err(format!(
                "--mesh-config {key}: the objects do not include this ConfigMap with a key {KEY:?}"
            )),
            (_, Some((key, ConfigMapFacts { config: Err(error), .. }))) => Err(format!(
                "ConfigMap {key}: data.{KEY}: {error}: the mesh configuration cannot be read (give it as a file: --mesh-config FILE)"
            )),
            _ => Ok(()),
        }
    }

    /// Which of several counts, and which do not.
    pub fn diagnose_mesh_config(&self) -> Vec<Diagnostic> {
        let MeshConfigChoice::Found = self.mesh_config else { return Vec::new() };
        let diagnostic = |severity, key: &Key, message: String| {
            let object = ObjectRef::namespaced(Kind::MeshConfig, key);
            Diagnostic::new(severity, Code::MeshConfig, object, message)
                .field(format!("data.{KEY}"), None)
                .fix(
                    "nothing, if the one that counts is that of the mesh; else name another (--mesh-config)",
                )
        };
        let chosen = self.chosen();
        let mut diagnostics = Vec::new();
        if let Some((key, _)) = chosen.filter(|_| !self.mesh().is_default()) {
            let message = "is the mesh configuration that counts".to_owned();
            diagnostics.push(diagnostic(Severity::Info, key, message));
        }
        for (key, map) in self.mesh_configs.iter().filter(|(key, _)| is_istios(&key.name)) {
            let same = map.config.as_ref().is_ok_and(|config| config == self.mesh());
            if same || chosen.is_some_and(|(chosen, _)| chosen == key) {
                continue;
            }
            let counts = match chosen {
                Some((chosen, _)) => format!("ConfigMap {chosen} does"),
                None => format!("only one in the namespace {ISTIO_SYSTEM} does"),
            };
            let mut message =
                format!("is another mesh configuration, which does not count: {counts}");
            // Nothing else gets into what is copied to a shell.
            if is_name(&key.name) && is_label(&key.namespace) {
                message = format!("{message}; to take this one: --mesh-config {key}");
            }
            diagnostics.push(diagnostic(Severity::Warning, key, message));
        }
        diagnostics
    }
}

/// The name without a revision.
const ISTIO: &str = "istio";

/// `istio`, or that of a revision.
fn is_istios(name: &str) -> bool {
    name.strip_prefix(ISTIO).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
