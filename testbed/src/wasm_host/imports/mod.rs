//! The imports `env.proxy_*`: each records itself, and answers as Envoy does.

mod data;
mod headers;

use std::net::SocketAddr;
use std::time::SystemTime;

use wasmtime::{Linker, Result};

use super::memory::{Guest, give, pairs, read, write, write_u32};
use super::protobuf::set_filter_state;
use super::state::{FilterState, Host, LocalResponse, LogLine, Status};

const ENV: &str = "env";
const PLUGIN_CONFIGURATION: u32 = 7;
/// Envoy makes an address of this one, and refuses what is not one.
const ORIGINAL_DST: &str = "envoy.network.transport_socket.original_dst_address";

/// Records a call, and returns from the import if it is to fail.
macro_rules! record {
    ($guest:ident, $name:literal $(, $argument:expr)*) => {
        if let Some(status) = $guest.data_mut().record($name, &[$($argument.as_ref()),*]) {
            return Ok(status as i32);
        }
    };
}

use record;

const OK: Result<i32> = Ok(Status::Ok as i32);

fn status(status: Status) -> Result<i32> {
    Ok(status as i32)
}

/// Nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.func_wrap(ENV, "proxy_log", log)?;
    linker.func_wrap(ENV, "proxy_get_log_level", |mut guest: Guest<'_>, level: u32| {
        record!(guest, "get_log_level");
        let value = guest.data().log_level;
        write_u32(&mut guest, level, value)?;
        OK
    })?;
    linker.func_wrap(
        ENV,
        "proxy_get_current_time_nanoseconds",
        |mut guest: Guest<'_>, p: u32| {
            record!(guest, "get_current_time_nanoseconds");
            write(&mut guest, p, &now().to_le_bytes())?;
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_tick_period_milliseconds",
        |mut guest: Guest<'_>, ms: u32| {
            record!(guest, "set_tick_period_milliseconds", ms.to_string());
            guest.data_mut().tick = Some(ms);
            OK
        },
    )?;
    linker.func_wrap(ENV, "proxy_set_effective_context", |mut guest: Guest<'_>, id: u32| {
        record!(guest, "set_effective_context", id.to_string());
        OK
    })?;
    linker.func_wrap(ENV, "proxy_done", |mut guest: Guest<'_>| {
        record!(guest, "done");
        OK
    })?;
    linker.func_wrap(ENV, "proxy_get_buffer_bytes", get_buffer_bytes)?;
    linker.func_wrap(ENV, "proxy_get_property", get_property)?;
    linker.func_wrap(ENV, "proxy_set_property", set_property)?;
    linker.func_wrap(ENV, "proxy_call_foreign_function", call_foreign_function)?;
    linker.func_wrap(ENV, "proxy_send_local_response", send_local_response)?;
    headers::link(linker)?;
    data::link(linker)
}

fn log(mut guest: Guest<'_>, level: u32, text: u32, size: u32) -> Result<i32> {
    let message = String::from_utf8_lossy(&read(&mut guest, text, size)?).into_owned();
    record!(guest, "log", level.to_string(), message);
    guest.data_mut().logs.push(LogLine { level, message });
    OK
}

fn get_buffer_bytes(
    mut guest: Guest<'_>,
    kind: u32,
    start: u32,
    length: u32,
    data: u32,
    size: u32,
) -> Result<i32> {
    record!(guest, "get_buffer_bytes", kind.to_string());
    if kind != PLUGIN_CONFIGURATION {
        return status(Status::NotFound);
    }
    let bytes = guest.data().plugin_configuration.clone();
    let rest = bytes.get(start as usize..).unwrap_or_default();
    let part = rest.get(..length as usize).unwrap_or(rest);
    give(&mut guest, part, data, size)?;
    OK
}

fn get_property(mut guest: Guest<'_>, path: u32, length: u32, data: u32, size: u32) -> Result<i32> {
    let path = read(&mut guest, path, length)?;
    // The parts of a path are parted by NULs.
    let path = String::from_utf8_lossy(&path).trim_end_matches('\0').replace('\0', ".");
    record!(guest, "get_property", path);
    match guest.data().property(&path) {
        Some(value) => give(&mut guest, &value, data, size).map(|()| Status::Ok as i32),
        None => status(Status::NotFound),
    }
}

fn set_property(mut guest: Guest<'_>, path: u32, length: u32, data: u32, size: u32) -> Result<i32> {
    let path = String::from_utf8_lossy(&read(&mut guest, path, length)?).into_owned();
    let value = read(&mut guest, data, size)?;
    record!(guest, "set_property", path, value);
    // Envoy keeps what a plugin sets in the filter state, behind this prefix.
    let state = &mut guest.data_mut().stream.filter_state;
    state.insert(format!("wasm.{path}"), FilterState { value, span: 0 });
    OK
}

fn call_foreign_function(
    mut guest: Guest<'_>,
    name: u32,
    name_size: u32,
    argument: u32,
    argument_size: u32,
    result: u32,
    result_size: u32,
) -> Result<i32> {
    let name = String::from_utf8_lossy(&read(&mut guest, name, name_size)?).into_owned();
    let argument = read(&mut guest, argument, argument_size)?;
    let message = (name == "set_envoy_filter_state").then(|| set_filter_state(&argument)).flatten();
    match &message {
        Some(m) => {
            record!(guest, "call_foreign_function", name, m.path, m.value, m.span.to_string())
        }
        None => record!(guest, "call_foreign_function", name, argument),
    }
    let answer = match (name.as_str(), message) {
        ("set_envoy_filter_state", Some(message)) => {
            let text = String::from_utf8_lossy(&message.value);
            if message.path == ORIGINAL_DST && text.parse::<SocketAddr>().is_err() {
                return status(Status::BadArgument);
            }
            let value = FilterState { value: message.value, span: message.span };
            guest.data_mut().stream.filter_state.insert(message.path, value);
            Status::Ok
        }
        ("set_envoy_filter_state", None) => Status::BadArgument,
        ("clear_route_cache", _) => Status::Ok,
        _ => return status(Status::NotFound),
    };
    give(&mut guest, b"", result, result_size)?;
    status(answer)
}

#[expect(clippy::too_many_arguments, reason = "the ABI's")]
fn send_local_response(
    mut guest: Guest<'_>,
    code: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: i32,
) -> Result<i32> {
    let mut text = |pointer, size| -> Result<String> {
        Ok(String::from_utf8_lossy(&read(&mut guest, pointer, size)?).into_owned())
    };
    let (details, body) = (text(details, details_size)?, text(body, body_size)?);
    let headers = read(&mut guest, headers, headers_size)?;
    record!(guest, "send_local_response", code.to_string(), details, body);
    let Some(headers) = pairs(&headers) else { return status(Status::BadArgument) };
    let response = LocalResponse { status: code, details, body, headers, grpc_status };
    guest.data_mut().stream.local_response = Some(response);
    OK
}
