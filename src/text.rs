//! Short texts put together without an allocation, for the path of a request.

use std::fmt::{self, Write};
use std::str;

/// A text of up to `N` bytes.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// What `shown` shows as.
    ///
    /// # Errors
    /// It is longer than `N` bytes.
    pub fn of(shown: impl fmt::Display) -> Result<Self, fmt::Error> {
        let mut text = Self { bytes: [0; N], len: 0 };
        write!(text, "{shown}")?;
        Ok(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only ever written as whole texts, one after the other.
        self.bytes.get(..self.len).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.len + more.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(more.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_or_nothing() {
        assert_eq!(Text::<16>::of(format_args!("{}-{}", 1, "b")).unwrap().as_str(), "1-b");
        assert_eq!(Text::<4>::of("four").unwrap().as_str(), "four");
        assert!(Text::<4>::of("fiver").is_err());
    }
}
