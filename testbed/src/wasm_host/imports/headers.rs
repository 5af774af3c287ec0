//! Header maps: the request's is the only one there is.

use wasmtime::{Linker, Result};

use super::super::memory::{Guest, give, read, serialise};
use super::super::state::{Host, Status};
use super::{ENV, OK, record, status};

const REQUEST_HEADERS: u32 = 0;

pub(super) fn link(linker: &mut Linker<Host>) -> Result<()> {
    let get = |mut guest: Guest<'_>, map: u32, key: u32, key_size: u32, data: u32, size: u32| {
        let key = header_name(&mut guest, key, key_size)?;
        record!(guest, "get_header_map_value", key);
        let headers = &guest.data().stream.headers;
        // Of several values, Envoy gives the first.
        let found = headers.iter().find(|(name, _)| map == REQUEST_HEADERS && *name == key);
        match found.map(|(_, value)| value.clone()) {
            Some(value) => give(&mut guest, &value, data, size).map(|()| Status::Ok as i32),
            None => status(Status::NotFound),
        }
    };
    linker.func_wrap(ENV, "proxy_get_header_map_value", get)?;
    let get_all = |mut guest: Guest<'_>, map: u32, data: u32, size: u32| {
        record!(guest, "get_header_map_pairs");
        if map != REQUEST_HEADERS {
            return status(Status::NotFound);
        }
        let bytes = serialise(&guest.data().stream.headers)?;
        give(&mut guest, &bytes, data, size)?;
        OK
    };
    linker.func_wrap(ENV, "proxy_get_header_map_pairs", get_all)?;
    let remove = |mut guest: Guest<'_>, _map: u32, key: u32, key_size: u32| {
        let key = header_name(&mut guest, key, key_size)?;
        record!(guest, "remove_header_map_value", key);
        guest.data_mut().stream.headers.retain(|(name, _)| *name != key);
        OK
    };
    linker.func_wrap(ENV, "proxy_remove_header_map_value", remove)?;
    let replace = |mut guest: Guest<'_>, _: u32, key: u32, key_size: u32, value: u32, size: u32| {
        let key = header_name(&mut guest, key, key_size)?;
        let value = read(&mut guest, value, size)?;
        record!(guest, "replace_header_map_value", key, value);
        let headers = &mut guest.data_mut().stream.headers;
        headers.retain(|(name, _)| *name != key);
        headers.push((key, value));
        OK
    };
    linker.func_wrap(ENV, "proxy_replace_header_map_value", replace)?;
    let add = |mut guest: Guest<'_>, _: u32, key: u32, key_size: u32, value: u32, size: u32| {
        let key = header_name(&mut guest, key, key_size)?;
        let value = read(&mut guest, value, size)?;
        record!(guest, "add_header_map_value", key, value);
        guest.data_mut().stream.headers.push((key, value));
        OK
    };
    linker.func_wrap(ENV, "proxy_add_header_map_value", add)?;
    Ok(())
}

fn header_name(guest: &mut Guest<'_>, key: u32, size: u32) -> Result<String> {
    Ok(String::from_utf8_lossy(&read(guest, key, size)?).to_ascii_lowercase())
}
