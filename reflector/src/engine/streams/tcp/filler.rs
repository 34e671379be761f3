//! What is sent: bytes that no link on the way can compress.

/// Fills a buffer. The same every time: nobody compares it, and it tells nothing about this host.
pub(in crate::engine::streams) fn fill(buffer: &mut [u8]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for chunk in buffer.chunks_mut(8) {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (byte, random) in chunk.iter_mut().zip(state.to_le_bytes()) {
            *byte = random;
        }
    }
}
