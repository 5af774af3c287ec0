//! Short texts put together on the stack, for the path of a request.

use std::fmt::{self, Write};
use std::str;

use crate::abi::Refused;

/// `IP:port`; the longest is 47 bytes.
pub type Address = Text<64>;
/// `namespace/name`, of names of up to 253 bytes each.
pub type Name = Text<512>;
/// What a refused client is told.
pub type Line = Text<1024>;

/// A text of up to `N` bytes.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// What `shown` shows as.
    ///
    /// # Errors
    /// It is longer than `N` bytes.
    pub fn of(shown: impl fmt::Display) -> Result<Self, Refused> {
        let mut text = Self { bytes: [0; N], len: 0 };
        write!(text, "{shown}").map_err(|_| Refused("a text this long"))?;
        Ok(text)
    }

    /// A copy of bytes of Envoy's.
    ///
    /// # Errors
    /// They are more than `N`, or no text.
    pub fn copy(bytes: &[u8]) -> Result<Self, Refused> {
        Self::of(str::from_utf8(bytes).map_err(|_| Refused("text that is not UTF-8"))?)
    }

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
        let address: Address = Text::of("[2001:db8::1]:80").unwrap();
        assert_eq!(address.as_str(), "[2001:db8::1]:80");
        assert_eq!(Text::<4>::of("four").unwrap().as_str(), "four");
        assert!(Text::<4>::of("fiver").is_err());
        assert!(Text::<4>::copy(b"\xff").is_err());
    }
}
