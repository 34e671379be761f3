//! Names of objects.

/// Longest object name (DNS-1123 subdomain).
pub const MAX_NAME: usize = 253;

/// Where a reflector's pod finds a key that it is to adopt: the operator mounts it there, the reflector looks there.
pub const IMPORTED_KEY: &str = "/etc/reflector-import/identity.ed25519";

/// Whether an object can be called this: labels of at most 63 characters with dots between them (DNS-1123 subdomain).
pub fn is_object_name(name: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= MAX_NAME && name.split('.').all(label)
}
