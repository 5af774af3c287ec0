//! Metrics of a configuration, in place of Envoy's.

use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard};

use crate::abi::buffer::Ours;
use crate::abi::metrics::Metrics;
use crate::abi::symbols::{Defining, Handle};

/// Metrics by name.
#[derive(Default)]
pub struct Values(Mutex<Vec<(String, u64)>>);

impl Values {
    pub fn get(&self, name: &str) -> u64 {
        let values = self.0.lock().unwrap();
        values.iter().find(|(known, _)| known == name).map(|(_, value)| *value).unwrap()
    }
}

/// A configuration's handle, and where to read its metrics.
pub fn configuration() -> (*mut c_void, &'static Values) {
    /// Where the address sanitizer finds what lives for ever on purpose.
    static ALL: Mutex<Vec<&'static Values>> = Mutex::new(Vec::new());
    let values: &'static Values = Box::leak(Box::default());
    ALL.lock().unwrap().push(values);
    ((&raw const *values).cast_mut().cast(), values)
}

/// Metrics, and where to read them.
pub fn metrics() -> (Metrics, &'static Values) {
    let (handle, values) = configuration();
    // SAFETY: the functions below take what this points to, which lives for ever.
    (unsafe { Metrics::new(&DEFINING, handle) }, values)
}

pub static DEFINING: Defining = {
    unsafe fn values<'a>(handle: Handle) -> MutexGuard<'a, Vec<(String, u64)>> {
        unsafe { (*handle.cast::<Values>()).0.lock().unwrap() }
    }
    unsafe extern "C" fn define(
        handle: Handle,
        name: Ours<'_>,
        _: *mut c_void,
        _: usize,
        id: *mut usize,
    ) -> u32 {
        let mut values = unsafe { values(handle) };
        unsafe { *id = values.len() };
        values.push((String::from_utf8_lossy(name.bytes()).into_owned(), 0));
        0
    }
    unsafe extern "C" fn add(h: Handle, id: usize, _: *mut c_void, _: usize, by: u64) -> u32 {
        unsafe { values(h)[id].1 += by };
        0
    }
    unsafe extern "C" fn set(h: Handle, id: usize, _: *mut c_void, _: usize, value: u64) -> u32 {
        unsafe { values(h)[id].1 = value };
        0
    }
    Defining {
        define_counter: define,
        increment_counter: add,
        define_gauge: define,
        set_gauge: set,
    }
};
