//! Just enough of protobuf to read `SetEnvoyFilterStateArguments`, the argument of Envoy's foreign
//! function `set_envoy_filter_state`: path (1), value (2) and span (3).

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SetFilterState {
    pub path: String,
    pub value: Vec<u8>,
    pub span: u64,
}

/// `None` if it is not such a message.
pub(super) fn set_filter_state(mut bytes: &[u8]) -> Option<SetFilterState> {
    let mut message = SetFilterState::default();
    while !bytes.is_empty() {
        match varint(&mut bytes)? {
            0x0a => message.path = String::from_utf8(field(&mut bytes)?.to_vec()).ok()?,
            0x12 => message.value = field(&mut bytes)?.to_vec(),
            0x18 => message.span = varint(&mut bytes)?,
            _ => return None,
        }
    }
    Some(message)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(bytes)?).ok()?;
    let (field, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_fields() {
        let long = "v".repeat(200);
        let bytes = [b"\x0a\x01p\x12\xc8\x01", long.as_bytes(), b"\x18\x01"].concat();
        let expected = SetFilterState { path: "p".into(), value: long.into(), span: 1 };
        assert_eq!(set_filter_state(&bytes), Some(expected));
        assert_eq!(set_filter_state(b""), Some(SetFilterState::default()));
        assert_eq!(set_filter_state(b"\x0a\x09p"), None);
        assert_eq!(set_filter_state(b"\x22\x00"), None);
    }
}
