//! The few functions of WASI that Rust's standard library imports. They aren't host calls in the
//! sense of the ABI, and are not recorded.

use wasmtime::{Linker, Result, bail};

use super::memory::{Guest, read, write, write_u32};
use super::state::{Host, LogLine};

const WASI: &str = "wasi_snapshot_preview1";
const SUCCESS: i32 = 0;
const BAD_FILE: i32 = 8;

pub(super) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.func_wrap(
        WASI,
        "environ_sizes_get",
        |mut guest: Guest<'_>, count: u32, size: u32| {
            let variables = environment(&guest);
            let bytes: usize = variables.iter().map(Vec::len).sum();
            write_u32(&mut guest, count, u32::try_from(variables.len())?)?;
            write_u32(&mut guest, size, u32::try_from(bytes)?)?;
            Ok(SUCCESS)
        },
    )?;
    linker.func_wrap(WASI, "environ_get", |mut guest: Guest<'_>, list: u32, buffer: u32| {
        let mut at = buffer;
        for (entry, variable) in (list..).step_by(4).zip(environment(&guest)) {
            write_u32(&mut guest, entry, at)?;
            write(&mut guest, at, &variable)?;
            at += u32::try_from(variable.len())?;
        }
        Ok(SUCCESS)
    })?;
    linker.func_wrap(WASI, "args_sizes_get", |mut guest: Guest<'_>, count: u32, size: u32| {
        write_u32(&mut guest, count, 0)?;
        write_u32(&mut guest, size, 0)?;
        Ok(SUCCESS)
    })?;
    linker.func_wrap(WASI, "args_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(WASI, "random_get", |mut guest: Guest<'_>, buffer: u32, length: u32| {
        // The same in each run: no test depends on chance.
        write(&mut guest, buffer, &vec![42; length as usize])?;
        Ok(SUCCESS)
    })?;
    let clock = |mut guest: Guest<'_>, _clock: u32, _precision: u64, time: u32| {
        write(&mut guest, time, &super::imports::now().to_le_bytes())?;
        Ok(SUCCESS)
    };
    linker.func_wrap(WASI, "clock_time_get", clock)?;
    linker.func_wrap(WASI, "sched_yield", || SUCCESS)?;
    linker.func_wrap(WASI, "proc_exit", |code: u32| -> Result<()> { bail!("exit with {code}") })?;
    Ok(())
}

fn environment(guest: &Guest<'_>) -> Vec<Vec<u8>> {
    guest.data().env.iter().map(|(name, value)| format!("{name}={value}\0").into()).collect()
}

fn fd_write(mut guest: Guest<'_>, fd: u32, list: u32, count: u32, written: u32) -> Result<i32> {
    let level = match fd {
        1 => 2,
        2 => 4,
        _ => return Ok(BAD_FILE),
    };
    let mut text = Vec::new();
    for entry in (list..).step_by(8).take(count as usize) {
        let pointer = read_u32(&mut guest, entry)?;
        let length = read_u32(&mut guest, entry + 4)?;
        text.extend(read(&mut guest, pointer, length)?);
    }
    write_u32(&mut guest, written, u32::try_from(text.len())?)?;
    let message = String::from_utf8_lossy(&text).into_owned();
    guest.data_mut().logs.push(LogLine { level, message });
    Ok(SUCCESS)
}

fn read_u32(guest: &mut Guest<'_>, pointer: u32) -> Result<u32> {
    let bytes = read(guest, pointer, 4)?;
    Ok(u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
}
