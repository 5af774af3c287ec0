//! Where a configuration says that the services are.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::fields::Fields;

/// Where services come from. Those with the same place share a table.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// `{"file": PATH}`: a file, which is followed.
    File(PathBuf),
    /// `{"table": NAME}`: what a filter `ingress_waypoint_table` publishes under that name.
    Table(String),
    /// The configuration itself.
    Text(Box<[u8]>),
}

impl Place {
    /// Reads a configuration as far as the place.
    ///
    /// # Errors
    /// It names a file or a table in a wrong way. What is wrong with services is not looked for.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let fields = Fields::read(text).map(|Fields(fields)| fields).unwrap_or_default();
        let named = fields.iter().find(|(name, _)| name == "file" || name == "table");
        let Some((field, value)) = named else { return Ok(Self::Text(text.into())) };
        if fields.len() > 1 {
            return Err(format!(
                "{field}: no other field is allowed, because the {field} holds them"
            ));
        }
        let value = value.get();
        match (field.as_str(), serde_json::from_str::<String>(value)) {
            ("file", Ok(path)) if Path::new(&path).is_absolute() => Ok(Self::File(path.into())),
            ("file", _) => Err(format!("file: {value} is not an absolute path")),
            (_, Ok(name)) if !name.is_empty() => Ok(Self::Table(name)),
            _ => Err(format!("{field}: {value} is not a name")),
        }
    }
}

impl fmt::Display for Place {
    /// What the lines of the log about its services begin with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}: ", path.display()),
            Self::Table(name) => write!(f, "table {name}: "),
            Self::Text(_) => Ok(()),
        }
    }
}
