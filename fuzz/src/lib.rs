//! What each fuzz target checks, one function per parser of foreign bytes. `reflector/tests/corpus.rs` replays the
//! corpora through the same functions on stable.

use crds::EndpointId;
use reflector::access::manifest::{self, Format, MAX_DOCUMENTS, Mine};
use reflector::config::{self, Place, Variables};
use reflector::engine::echo::accept::{Desk, Proof, Terms, Times};
use reflector::engine::echo::wire::{self, KEY_BYTES, Keys, Request, StampSource};
use reflector::engine::iperf::reader::ReaderError;
use reflector::engine::iperf::{Code, ControlReader, Parameters, Results, params, results, udp};
use reflector::engine::tunnel::hello::{Answer, HEADER as HELLO_HEADER, Hello, MAX_HELLO, length};
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

/// A configuration that loads is written down and loads back to the same; one that does not says where and why.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match config::parse(text, &Variables::new()) {
        Ok(loaded) => {
            let written = loaded.to_toml();
            let again = config::parse(&written, &Variables::new());
            let again = again.unwrap_or_else(|report| panic!("{report}\n{written}"));
            assert_eq!(again.config, loaded.config);
        }
        Err(report) => {
            assert!(report.errors() > 0, "a refusal has a reason");
            assert!(!report.to_string().is_empty());
            for problem in report.problems {
                let Place::File { line, text: shown, before, width, .. } = problem.place else { continue };
                assert!((1..=text.split('\n').count()).contains(&line), "{line} is no line");
                assert!(width > 0 && before <= shown.chars().count(), "the caret is beside the line");
            }
        }
    }
}

/// The first byte says which format. Documents follow each other and tear nothing; one that can be used survives alone,
/// and one that cannot says why in a line.
pub fn manifest(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (format, name) = if *first == b'{' { (Format::Json, "a.json") } else { (Format::Yaml, "a.yaml") };
    let documents = manifest::documents(format, text);
    let mut end = 0;
    for (at, document) in documents.iter().enumerate() {
        assert_eq!(document.number as usize, at + 1);
        assert!(document.range.start >= end && text.get(document.range.clone()).is_some(), "torn");
        end = document.range.end;
    }
    let mine = Mine { name: "attic".to_owned(), fleet: Some("homes".to_owned()) };
    let parsed = manifest::parse(name, format, text, &mine);
    assert_eq!(parsed.objects.len() + parsed.foreign as usize, documents.len());
    assert!(documents.len() <= MAX_DOCUMENTS + 1);
    for (key, object) in &parsed.objects {
        match &object.peer {
            Ok(peer) => {
                let range = documents[key.document as usize - 1].range.clone();
                let alone = manifest::parse(name, format, &text[range], &mine);
                assert_eq!(alone.objects[0].1.peer.as_ref(), Ok(peer), "a neighbour changed it");
            }
            Err(broken) => {
                assert!(!broken.problem.is_empty() && !broken.problem.contains('\n'), "{:?}", broken.problem);
                assert!(broken.problem.len() < 4096 && broken.name.len() < 4096, "a refusal is bounded");
            }
        }
    }
}

/// Two sessions, one with keys and one without, get the same bytes: what is answered is answered once, with as many bytes,
/// and only padding comes back as it was. The first byte may ask to have the packet signed, which no fuzzer guesses.
pub fn echo_packet(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let keys = || Keys::new(&[9; KEY_BYTES], uuid::Uuid::from_u128(0x0102_0304 << 96));
    let mut packet = rest.to_vec();
    if first & 1 == 1 {
        let seq = rest.first_chunk::<8>().map_or(1, |seq| u64::from_be_bytes(*seq));
        wire::write_request(&mut packet, &keys(), Request { seq, t1: 5 });
    }
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 7));
    for proof in [Proof::Keyed(Box::new(keys())), Proof::Address] {
        let keyed = matches!(proof, Proof::Keyed(_));
        let mut desk = Desk::new(Terms { proof, peer: peer.ip(), max_pps: 16 }, 0);
        let served = desk.would_serve(&packet, peer, 0);
        let verdict = desk.accept(&packet, peer, 0);
        assert_eq!(served.err(), verdict.err(), "asked twice, answered differently");
        let Ok(accepted) = verdict else { continue };
        assert_eq!(desk.accept(&packet, peer, 0).is_ok(), !keyed, "answered again");
        let mut answer = packet.clone();
        let times = Times { received: 1, source: StampSource::Kernel, sent: 2 };
        desk.answer(&mut answer, accepted, times);
        assert_eq!(answer.len(), packet.len(), "an answer is as long as its request");
        if keyed {
            let reply = wire::read_reply(&answer, &keys()).expect("what we answer is an answer");
            assert_eq!(wire::read_request(&packet, &keys()), Ok(reply.request));
            assert_eq!(answer[wire::MIN_LENGTH..], packet[wire::MIN_LENGTH..]);
        } else {
            assert_eq!(answer, packet);
        }
    }
    let _ = wire::read_reply(&packet, &keys());
}

/// The first byte says how the rest arrives: a cookie, parameters, a late end, results, states. Whole or in pieces it is
/// the same test, and what is read can be written and reads the same.
pub fn iperf_control(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    let whole = control(stream, stream.len().max(1));
    let pieces = control(stream, usize::from(*first).max(1));
    assert_eq!(whole, pieces, "splitting changed the test");
    let header = udp::Header::read(stream, first % 2 == 0);
    if let Some(header) = header {
        let mut tally = udp::Tally::default();
        tally.arrived(header, header.sent());
    }
}

fn control(stream: &[u8], piece: usize) -> (Vec<String>, Option<ReaderError>) {
    let mut reader = ControlReader::new();
    let mut read = Vec::new();
    for bytes in stream.chunks(piece) {
        reader.push(bytes);
        loop {
            match next_item(&mut reader, read.len()) {
                Ok(Some(item)) => read.push(item),
                Ok(None) => break,
                Err(error) => return (read, Some(error)),
            }
        }
    }
    (read, None)
}

fn next_item(reader: &mut ControlReader, read: usize) -> Result<Option<String>, ReaderError> {
    match read {
        0 => Ok(reader.cookie()?.map(|cookie| format!("{:?}", cookie.to_bytes()))),
        1 => Ok(reader.json(params::MAX_BYTES)?.map(|text| match Parameters::parse(&text) {
            Ok(parameters) => {
                assert_eq!(Parameters::parse(&parameters.to_json()).as_ref(), Ok(&parameters));
                format!("{parameters:?}")
            }
            Err(error) => format!("{:?}", Code::from_number(error.code().number())),
        })),
        // Once, as the engine does: a second one is the first byte of a length.
        2 => Ok((!reader.is_empty()).then(|| format!("{:?}", reader.skip_late_end()))),
        3 => Ok(reader.json(results::MAX_BYTES)?.map(|text| match Results::parse(&text) {
            Ok(results) => {
                let again = Results::parse(&results.to_json()).expect("what we write we read");
                assert_eq!(again.streams.len(), results.streams.len());
                format!("{results:?}")
            }
            Err(error) => error.to_string(),
        })),
        _ => Ok(reader.state()?.map(|state| format!("{state:?}"))),
    }
}

/// The first frame of a data connection, or its answer: what is read can be written and reads the same, and a refusal
/// repeats little of what it refuses.
pub fn data_hello(data: &[u8]) {
    let Some((header, payload)) = data.split_first_chunk::<HELLO_HEADER>() else { return };
    let Ok(announced) = length(*header) else { return };
    assert!(announced <= MAX_HELLO);
    let payload = &payload[..announced.min(payload.len())];
    match Hello::read(payload) {
        Ok(hello) => {
            let frame = hello.frame().expect("a frame of ours fits");
            assert_eq!(Hello::read(&frame[HELLO_HEADER..]), Ok(hello));
        }
        Err(error) => assert!(error.to_string().len() < 512, "an error is bounded"),
    }
    if let Ok(Answer::Refused(reason)) = Answer::read(payload) {
        assert!(reason.len() < 512 && !reason.contains(char::is_control), "a reason is one short line");
    }
}
