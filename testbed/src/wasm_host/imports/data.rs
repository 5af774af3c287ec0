//! Metrics, and the data that the VMs of one Envoy share.

use wasmtime::{Linker, Result};

use super::super::memory::{Guest, give, read, write, write_u32};
use super::super::state::{Host, Status};
use super::{ENV, OK, record, status};

pub(super) fn link(linker: &mut Linker<Host>) -> Result<()> {
    link_metrics(linker)?;
    link_shared_data(linker)
}

fn link_metrics(linker: &mut Linker<Host>) -> Result<()> {
    let define = |mut guest: Guest<'_>, _kind: u32, name: u32, size: u32, id: u32| {
        let name = String::from_utf8_lossy(&read(&mut guest, name, size)?).into_owned();
        record!(guest, "define_metric", name);
        let defined = guest.data_mut().define_metric(name);
        write_u32(&mut guest, id, defined)?;
        OK
    };
    linker.func_wrap(ENV, "proxy_define_metric", define)?;
    linker.func_wrap(ENV, "proxy_increment_metric", |mut guest: Guest<'_>, id: u32, by: i64| {
        record!(guest, "increment_metric", id.to_string(), by.to_string());
        let Some(value) = guest.data_mut().metric(id) else { return status(Status::NotFound) };
        *value = value.saturating_add_signed(by);
        OK
    })?;
    linker.func_wrap(ENV, "proxy_record_metric", |mut guest: Guest<'_>, id: u32, to: u64| {
        record!(guest, "record_metric", id.to_string(), to.to_string());
        let Some(value) = guest.data_mut().metric(id) else { return status(Status::NotFound) };
        *value = to;
        OK
    })?;
    linker.func_wrap(ENV, "proxy_get_metric", |mut guest: Guest<'_>, id: u32, result: u32| {
        record!(guest, "get_metric", id.to_string());
        let Some(value) = guest.data_mut().metric(id) else { return status(Status::NotFound) };
        let bytes = value.to_le_bytes();
        write(&mut guest, result, &bytes)?;
        OK
    })?;
    Ok(())
}

fn link_shared_data(linker: &mut Linker<Host>) -> Result<()> {
    let get = |mut guest: Guest<'_>, key: u32, key_size: u32, data: u32, size: u32, cas: u32| {
        let key = read(&mut guest, key, key_size)?;
        record!(guest, "get_shared_data", key);
        let Some((value, version)) = guest.data().shared_data.get(&key).cloned() else {
            return status(Status::NotFound);
        };
        give(&mut guest, &value, data, size)?;
        write_u32(&mut guest, cas, version)?;
        OK
    };
    linker.func_wrap(ENV, "proxy_get_shared_data", get)?;
    let set = |mut guest: Guest<'_>, key: u32, key_size: u32, data: u32, size: u32, cas: u32| {
        let (key, value) = (read(&mut guest, key, key_size)?, read(&mut guest, data, size)?);
        record!(guest, "set_shared_data", key);
        let known = guest.data().shared_data.get(&key).map_or(0, |(_, version)| *version);
        if cas != 0 && cas != known {
            return status(Status::CasMismatch);
        }
        guest.data_mut().shared_data.insert(key, (value, known + 1));
        OK
    };
    linker.func_wrap(ENV, "proxy_set_shared_data", set)?;
    Ok(())
}
