//! Host names as the filter compares them: one normal form, made in this one place.

use std::borrow::Cow;

/// The longest host name of the DNS, in bytes (RFC 1035, section 2.3.4).
const MAX_LEN: usize = 253;

/// An authority taken apart: `host[:port]`, the host in normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Lower case, without a trailing dot or IPv6 brackets.
    pub host: Cow<'a, str>,
    /// The port, if the authority names one.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `:authority` or `Host` as a client sent it. `None` for what is not an authority: empty or
    /// overlong, not visible ASCII, with user information, with a port that is none.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        // Ahead of the UTF-8 check, so that a client can't make us read 60 KiB.
        if bytes.len() > MAX_LEN + "[]:65535.".len() {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return None,
            }
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(digits) => Some(parse_port(digits)?),
            None => None,
        };
        Some(Self { host: normalise(host)?, port })
    }
}

/// A decimal port from 1 to 65535, without sign or leading zero.
pub fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

/// Brings a host without port into normal form: lower case, no trailing dot, an IPv6 address in its
/// canonical spelling. `None` for what cannot be a host.
pub fn normalise(host: &str) -> Option<Cow<'_, str>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare.contains(':') {
        let canonical = bare.parse::<std::net::Ipv6Addr>().ok()?.to_string();
        return Some(if canonical == bare { Cow::Borrowed(bare) } else { Cow::Owned(canonical) });
    }
    if host.len() > MAX_LEN {
        return None;
    }
    let (mut last, mut upper) = (b'.', false);
    for byte in host.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' => {}
            b'A'..=b'Z' => upper = true,
            b'.' if last != b'.' => {}
            _ => return None,
        }
        last = byte;
    }
    let host = if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) };
    // Neither empty nor with an empty label at its end.
    (last != b'.').then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn one_normal_form() {
        let cases = [
            ("reviews.default.svc", Some(("reviews.default.svc", None))),
            ("Reviews.Example.COM:9080", Some(("reviews.example.com", Some(9080)))),
            ("example.com.", Some(("example.com", None))),
            ("example.com.:80", Some(("example.com", Some(80)))),
            ("[2001:DB8::1]:80", Some(("2001:db8::1", Some(80)))),
            ("[2001:db8:0:0::1]", Some(("2001:db8::1", None))),
            ("10.0.0.1:80", Some(("10.0.0.1", Some(80)))),
            ("", None),
            (".", None),
            ("a..b", None),
            ("example.com:", None),
            ("example.com:0", None),
            ("example.com:+80", None),
            ("example.com:080", None),
            ("example.com:65536", None),
            ("user@example.com", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[example.com]:80", None),
            ("2001:db8::1", None),
            ("exa mple.com", None),
        ];
        for (text, expected) in cases {
            let found = Authority::parse(text.as_bytes());
            let found = found.as_ref().map(|a| (a.host.as_ref(), a.port));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn bytes_of_a_client_are_not_a_host() {
        assert_eq!(Authority::parse(b"caf\xc3\xa9.example"), None);
        assert_eq!(Authority::parse(b"\xff\xfe"), None);
        assert_eq!(Authority::parse(&vec![b'a'; 60 * 1024]), None);
    }
}
