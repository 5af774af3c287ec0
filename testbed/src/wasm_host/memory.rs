//! The module's memory, from the host's side.

use wasmtime::{Caller, Extern, Memory, Result, bail, format_err};

use super::state::Host;

/// A host function's view of the VM that called it.
pub(super) type Guest<'a> = Caller<'a, Host>;

fn memory(guest: &mut Guest<'_>) -> Result<Memory> {
    match guest.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("the module exports no memory"),
    }
}

/// Copies `length` bytes at `pointer`.
pub(super) fn read(guest: &mut Guest<'_>, pointer: u32, length: u32) -> Result<Vec<u8>> {
    let memory = memory(guest)?;
    let start = pointer as usize;
    let bytes = memory.data(guest).get(start..start.saturating_add(length as usize));
    bytes.map(<[u8]>::to_vec).ok_or_else(|| format_err!("read beyond the memory at {pointer}"))
}

/// Writes `bytes` at `pointer`.
pub(super) fn write(guest: &mut Guest<'_>, pointer: u32, bytes: &[u8]) -> Result<()> {
    Ok(memory(guest)?.write(guest, pointer as usize, bytes)?)
}

/// Writes a 32-bit number, as all sizes, pointers and ids are.
pub(super) fn write_u32(guest: &mut Guest<'_>, pointer: u32, value: u32) -> Result<()> {
    write(guest, pointer, &value.to_le_bytes())
}

/// Hands `bytes` over in memory that the module itself allocates, as the ABI wants it.
pub(super) fn give(guest: &mut Guest<'_>, bytes: &[u8], pointer: u32, size: u32) -> Result<()> {
    let length = u32::try_from(bytes.len())?;
    let mut address = 0;
    if length > 0 {
        let Some(Extern::Func(allocate)) = guest.get_export("proxy_on_memory_allocate") else {
            bail!("the module does not export proxy_on_memory_allocate");
        };
        guest.data_mut().entries += 1;
        address = allocate.typed::<u32, u32>(&guest)?.call(&mut *guest, length)?;
        write(guest, address, bytes)?;
    }
    write_u32(guest, pointer, address)?;
    write_u32(guest, size, length)
}

/// A serialised header map as pairs.
pub(super) fn pairs(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    fn number(bytes: &[u8], index: usize) -> Option<usize> {
        let four = bytes.get(index * 4..index * 4 + 4)?;
        usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
    }
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let count = number(bytes, 0)?;
    let mut at = 4 + count.checked_mul(8)?;
    let mut pairs = Vec::new();
    for index in 0..count {
        let (name, value) = (number(bytes, 1 + 2 * index)?, number(bytes, 2 + 2 * index)?);
        let text = String::from_utf8_lossy(bytes.get(at..at + name)?).into_owned();
        at += name + 1;
        pairs.push((text, bytes.get(at..at + value)?.to_vec()));
        at += value + 1;
    }
    Some(pairs)
}

/// Pairs as a serialised header map: count, lengths, then names and values each closed by a NUL.
pub(super) fn serialise(pairs: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut bytes = u32::try_from(pairs.len())?.to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend(u32::try_from(name.len())?.to_le_bytes());
        bytes.extend(u32::try_from(value.len())?.to_le_bytes());
    }
    for (name, value) in pairs {
        bytes.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_maps_survive_a_round_trip() {
        let map = vec![("a".to_owned(), b"1".to_vec()), ("empty".to_owned(), Vec::new())];
        assert_eq!(pairs(&serialise(&map).unwrap()), Some(map));
        assert_eq!(pairs(&[0; 4]), Some(Vec::new()));
        assert_eq!(pairs(&[9, 0, 0, 0]), None);
    }
}
