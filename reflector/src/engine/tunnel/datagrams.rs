//! Datagrams in a byte stream: each behind its length, a big-endian u16 (pure).

/// Bytes in front of each.
#[allow(dead_code, reason = "until the blocking form")]
pub(super) const LENGTH: usize = 2;

/// Appends a datagram. One longer than 65 535 bytes, which no socket hands out, is left away.
pub fn put_datagram(bytes: &mut Vec<u8>, datagram: &[u8]) {
    if let Ok(length) = u16::try_from(datagram.len()) {
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(datagram);
    }
}
