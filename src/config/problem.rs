//! What is wrong with a configuration: every problem at once, each as path, value and reason.

use std::fmt::{self, Write as _};

use crate::escape::Escaping;

/// One thing that is wrong: `services[3].vips[0]: "10.0.0.300" is not an IP address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, from the root of the configuration: `services[3].vips[0]`.
    pub path: String,
    /// The offending value as JSON, shortened where it is long.
    pub value: Option<String>,
    /// Why it is refused, to be read after the value.
    pub reason: String,
}

/// All that is wrong with a configuration; never empty if it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems: of each service first, then of the fields beside them, then across services.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, path: impl ToString, reason: impl Into<String>) {
        self.0.push(Problem { path: path.to_string(), value: None, reason: reason.into() });
    }

    pub(crate) fn add_value(
        &mut self,
        path: impl ToString,
        value: impl ToString,
        reason: impl Into<String>,
    ) {
        self.0.push(Problem {
            path: path.to_string(),
            value: Some(value.to_string()),
            reason: reason.into(),
        });
    }
}

impl fmt::Display for Problem {
    /// One line, whatever the configuration's own field names hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Escaping(f);
        match &self.value {
            Some(value) => write!(f, "{}: {value} {}", self.path, self.reason),
            None => write!(f, "{}: {}", self.path, self.reason),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A place in the configuration, put together only when there is a problem to report.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("configuration"),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
