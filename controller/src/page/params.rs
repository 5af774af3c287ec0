//! The parameters of a page: read from its address, and put into links.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;

/// The parameters that an address has, without those that are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {value:?} {why}")]
pub struct BadQuery {
    name: String,
    value: String,
    why: String,
}

impl Params {
    /// Reads what stands behind the question mark.
    pub fn read(query: Option<String>, known: &[&str]) -> Result<Self, BadQuery> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let (name, value) = (name.into_owned(), value.into_owned());
            if !known.contains(&name.as_str()) {
                let why = match known {
                    [] => "is not expected: there are no parameters here".to_owned(),
                    known => format!("is not expected: the parameters are {}", known.join(", ")),
                };
                return Err(BadQuery { name, value, why });
            }
            if value.is_empty() {
                continue;
            }
            if params.contains_key(&name) {
                return Err(BadQuery { name, value, why: "is given a second time".to_owned() });
            }
            params.insert(name, value);
        }
        Ok(Self(params))
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text to look for, in lower case; empty if there is none.
    pub fn text(&self) -> String {
        self.get("q").unwrap_or_default().trim().to_lowercase()
    }

    /// A number from 1.
    pub fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, BadQuery> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let number = value.parse().ok().filter(|it| (1..=most).contains(it));
        number.ok_or_else(|| {
            let why = match most {
                usize::MAX => "is not a whole number from 1".to_owned(),
                most => format!("is not a whole number from 1 to {most}"),
            };
            BadQuery { name: name.to_owned(), value: value.to_owned(), why }
        })
    }

    /// One of some values, which may be given more than once.
    pub fn one_of<const N: usize>(
        &self,
        name: &str,
        all: [&'static str; N],
    ) -> Result<Option<&'static str>, BadQuery> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match all.into_iter().find(|it| *it == value) {
            Some(found) => Ok(Some(found)),
            None => {
                let mut known = all.to_vec();
                known.sort_unstable();
                known.dedup();
                let why = format!("is none of {}", known.join(", "));
                Err(BadQuery { name: name.to_owned(), value: value.to_owned(), why })
            }
        }
    }

    /// A link to the same list with another page.
    pub fn page(&self, page: usize) -> String {
        let mut params = self.0.clone();
        params.insert("page".to_owned(), page.to_string());
        format!("?{}", Serializer::new(String::new()).extend_pairs(&params).finish())
    }
}

/// A link with these parameters.
pub fn link(path: &str, params: &[(&str, &str)]) -> String {
    format!("{path}?{}", Serializer::new(String::new()).extend_pairs(params).finish())
}
