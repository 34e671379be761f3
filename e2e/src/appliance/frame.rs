//! Frames: a u32 big-endian length, then that many bytes of JSON.
//!
//! In: payloads or received bytes. Out: bytes or payloads. No IO. Writing has no limit of its own, so that tests can
//! write what no server may accept.

/// The largest payload an appliance reads.
pub const MAX_PAYLOAD: usize = 1_048_576;
/// The length in front of every payload.
pub const HEADER: usize = 4;

/// The server announced a frame no appliance reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server announced a frame of {announced} bytes, more than 1 MiB")]
pub struct Oversize {
    /// What the header said.
    pub announced: usize,
}

/// One frame around a payload, whatever its length.
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [length.to_be_bytes().as_slice(), payload].concat()
}

/// Takes the first whole frame out of what has arrived; `None` when there is none yet.
pub fn take(received: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Oversize> {
    let Some(header) = received.first_chunk::<HEADER>() else { return Ok(None) };
    let announced = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
    if announced > MAX_PAYLOAD {
        return Err(Oversize { announced });
    }
    if received.len() < HEADER + announced {
        return Ok(None);
    }
    let rest = received.split_off(HEADER + announced);
    let mut frame = std::mem::replace(received, rest);
    Ok(Some(frame.split_off(HEADER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut_of_the_stream(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
            step in 1_usize..50,
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| encode(payload)).collect();
            let (mut received, mut seen) = (Vec::new(), Vec::new());
            for piece in stream.chunks(step) {
                received.extend_from_slice(piece);
                while let Some(frame) = take(&mut received).unwrap() {
                    seen.push(frame);
                }
            }
            prop_assert_eq!(seen, payloads);
            prop_assert!(received.is_empty());
        }
    }

    #[test]
    fn a_mebibyte_is_read_and_one_byte_more_is_not() {
        let mut fits = encode(&vec![b' '; MAX_PAYLOAD]);
        assert_eq!(take(&mut fits).unwrap().unwrap().len(), 1_048_576);
        let mut over = 1_048_577_u32.to_be_bytes().to_vec();
        assert_eq!(take(&mut over), Err(Oversize { announced: 1_048_577 }));
    }
}
