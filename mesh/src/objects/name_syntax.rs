//! Names as Kubernetes takes them.

/// RFC 1123 label, as Kubernetes takes the names of Namespaces and Services.
pub fn is_label(name: &str) -> bool {
    name.len() <= 63 && !name.contains('.') && is_name(name)
}

/// RFC 1123 subdomain, as Kubernetes takes names.
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        let ends = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && !ends && label.bytes().all(plain)
    };
    name.len() <= 253 && name.split('.').all(label)
}
