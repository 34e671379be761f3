//! What each fuzz target checks, one function per parser of foreign bytes. `reflector/tests/corpus.rs` replays the
//! corpora through the same functions on stable.

use crds::EndpointId;
use reflector::link::cert::{CertError, key_of, parse_peer};
use reflector::link::features::Version;
use reflector::link::frame::{HEADER, MAX_PAYLOAD};
use reflector::link::message::{Envelope, Message};
use reflector::link::{FrameDecoder, decode, encode};

/// The first byte says how the rest arrives; whole or in pieces, the same frames come out.
pub fn frame(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    let whole = payloads(stream, stream.len().max(1));
    let pieces = payloads(stream, usize::from(*first).max(1));
    assert_eq!(whole, pieces, "splitting changed the frames");
}

fn payloads(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = FrameDecoder::new();
    let mut out = Vec::new();
    for bytes in stream.chunks(piece) {
        decoder.push(bytes);
        loop {
            match decoder.pull() {
                Ok(Some(payload)) => {
                    assert!(payload.len() <= MAX_PAYLOAD);
                    out.push(payload.to_vec());
                }
                Ok(None) => break,
                Err(_) => return (out, true),
            }
        }
    }
    (out, false)
}

/// What is read can be written and reads the same; what is refused can be answered.
pub fn message(data: &[u8]) {
    match decode(data) {
        Ok(envelope) => {
            if let Message::Hello { version, .. } = &envelope.payload {
                let _ = version.parse::<Version>();
            }
            let again = reread(&envelope);
            // serde_json may read a float of many digits one unit off, so load averages are only read again.
            if !matches!(envelope.payload, Message::PathMeta(_)) {
                assert_eq!(again, envelope);
            }
        }
        Err(error) => {
            let answer = error.answer();
            assert!(error.to_string().len() < 2048, "an answer is bounded");
            assert_eq!(reread(&answer), answer);
        }
    }
}

fn reread(envelope: &Envelope) -> Envelope {
    // Escaping can make text longer than it arrived, but targets get far less than a frame.
    let frame = encode(envelope).expect("a message fits its frame");
    decode(&frame[HEADER..]).expect("what we write we read")
}

/// Text that is an ID prints canonically and in label form, and both read back.
pub fn endpoint_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<EndpointId>() {
        Ok(id) => {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.label().parse(), Ok(id));
        }
        Err(error) => assert!(error.to_string().len() < 512, "an error is bounded"),
    }
}

/// An accepted certificate has one ID, whoever asks; a forged one says whose key it is.
pub fn certificate(data: &[u8]) {
    match parse_peer(data) {
        Ok(peer) => assert_eq!(key_of(data), Ok(peer.id)),
        Err(CertError::Forged { key, claimed }) => {
            assert_eq!(key_of(data), Ok(key));
            assert!(claimed.len() <= 400, "a claim is bounded");
        }
        Err(_) => {}
    }
}
