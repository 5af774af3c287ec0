//! Bytes on their way in and out.

use std::marker::PhantomData;
use std::ptr;

/// `envoy_dynamic_module_type_module_buffer`: bytes of ours, which Envoy copies before it returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Ours<'a> {
    ptr: *const u8,
    length: usize,
    borrowed: PhantomData<&'a [u8]>,
}

impl<'a> Ours<'a> {
    /// No value, if a header is to be removed.
    pub const NULL: Self = Self { ptr: ptr::null(), length: 0, borrowed: PhantomData };

    pub fn new(bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        let bytes = bytes.as_ref();
        Self { ptr: bytes.as_ptr(), length: bytes.len(), borrowed: PhantomData }
    }

    /// The bytes, for a stand-in for Envoy in tests.
    #[cfg(test)]
    pub fn bytes(self) -> &'a [u8] {
        // SAFETY: made by `new` from a slice that outlives `'a`, or null and empty.
        if self.ptr.is_null() {
            &[]
        } else {
            unsafe { std::slice::from_raw_parts(self.ptr, self.length) }
        }
    }
}

/// `envoy_dynamic_module_type_module_http_header`: name and value, one after the other.
#[repr(C)]
pub(crate) struct Header<'a>(pub Ours<'a>, pub Ours<'a>);

/// `envoy_dynamic_module_type_envoy_buffer`: bytes of Envoy's.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Theirs {
    ptr: *const u8,
    length: usize,
}

impl Theirs {
    pub const EMPTY: Self = Self { ptr: ptr::null(), length: 0 };

    /// Borrows the bytes.
    ///
    /// # Safety
    /// Envoy filled this in, and keeps the bytes for `'a`.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: by the caller's promise, and neither null nor empty.
        unsafe { std::slice::from_raw_parts(self.ptr, self.length) }
    }

    /// Bytes that live for ever, from a stand-in for Envoy in tests.
    #[cfg(test)]
    pub fn of(bytes: &'static [u8]) -> Self {
        Self { ptr: bytes.as_ptr(), length: bytes.len() }
    }
}

/// Asks Envoy for bytes through an out parameter.
///
/// # Safety
/// Where `ask` answers true it has filled the buffer in, with bytes that Envoy keeps for `'a`.
pub(super) unsafe fn ask<'a>(ask: impl FnOnce(*mut Theirs) -> bool) -> Option<&'a [u8]> {
    let mut found = Theirs::EMPTY;
    // SAFETY: by the caller's promise.
    ask(&raw mut found).then(|| unsafe { found.bytes() })
}
