//! Both sides in memory, against each other and against rustls' own buffered connections.

use std::io::{Read, Write};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::{
    AlertDescription, ClientConnection, Connection as Stock, ServerConnection, SupportedCipherSuite,
};

use super::super::keys::{HEADER, TRAILER};
use super::*;
use crate::identity::{Current, Identity};
use crate::link::cert::samples;
use crate::link::tls::sides::{appliance_with, certified};
use crate::link::tls::{Alpn, LinkIdentity, client_config, server_config};

const SERVER: u8 = 9;
const CLIENT: u8 = 1;

fn identity(seed: u8) -> LinkIdentity {
    Current::new(Identity::from_seed(&[seed; 32]), None, jiff::Timestamp::constant(1_800_000_000, 0))
        .unwrap()
        .credentials
}

fn id(seed: u8) -> EndpointId {
    Identity::from_seed(&[seed; 32]).id()
}

fn server() -> Arc<ServerConfig> {
    server_config(&identity(SERVER), &[Alpn::Data]).unwrap()
}

fn client() -> Arc<ClientConfig> {
    client_config(&identity(CLIENT), Some(id(SERVER)), Alpn::Data).unwrap()
}

fn put(to: &mut Tls, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = to.room();
        let count = room.len().min(bytes.len());
        assert!(count > 0, "no room");
        room[..count].copy_from_slice(&bytes[..count]);
        to.feed(count);
        bytes = &bytes[count..];
    }
}

/// Everything `from` wants written arrives at `to`.
fn carry(from: &mut Tls, to: &mut Tls) -> usize {
    let bytes = from.outgoing().to_vec();
    from.wrote(bytes.len());
    put(to, &bytes);
    bytes.len()
}

fn pair() -> (Tls, Tls) {
    let (mut near, mut far) = (Tls::client(client()).unwrap(), Tls::server(server()).unwrap());
    loop {
        let done = (near.handshake().unwrap(), {
            carry(&mut near, &mut far);
            far.handshake().unwrap()
        });
        carry(&mut far, &mut near);
        if done == (true, true) {
            return (near, far);
        }
    }
}

fn read(tls: &mut Tls, room: usize) -> (Got, Vec<u8>) {
    let mut out = Vec::new();
    let got = tls.read(room, |bytes| out.extend_from_slice(bytes)).unwrap();
    (got, out)
}

#[test]
fn both_sides_learn_whose_key_the_other_holds() {
    let (near, far) = pair();
    assert_eq!((near.peer(), far.peer()), (Some(id(SERVER)), Some(id(CLIENT))));
}

#[test]
fn payload_arrives_unchanged_at_any_cut_and_is_counted() {
    let (mut near, mut far) = pair();
    let text: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    near.write(&text[..150_000]).unwrap();
    near.write(&text[150_000..]).unwrap();
    let ciphertext = near.outgoing().to_vec();
    near.wrote(ciphertext.len());
    let mut arrived = Vec::new();
    for piece in ciphertext.chunks(241) {
        put(&mut far, piece);
        loop {
            match read(&mut far, 5000) {
                (Got::Plaintext(count), bytes) => {
                    assert!(count <= 5000 && count == bytes.len());
                    arrived.extend(bytes);
                }
                (got, _) => {
                    assert_eq!(got, Got::Nothing);
                    break;
                }
            }
        }
    }
    assert!(arrived == text);
    assert_eq!((near.payload().1, far.payload().0), (200_000, 200_000));
    assert_eq!(read(&mut far, 0).0, Got::Nothing);
}

#[test]
fn a_sink_that_drops_plaintext_counts_every_byte_and_takes_no_more_than_its_lease() {
    let (mut near, mut far) = pair();
    far.widen();
    near.write_repeated(&[7; RECORD], BATCH / RECORD).unwrap();
    let bytes = near.outgoing().to_vec();
    assert_eq!(bytes.len(), BATCH + 16 * (HEADER + TRAILER));
    put(&mut far, &bytes[..BATCH]);
    assert_eq!(far.read(100, |_| {}).unwrap(), Got::Plaintext(100));
    assert_eq!(far.read(1 << 20, |_| {}).unwrap(), Got::Plaintext(15 * RECORD - 100));
    put(&mut far, &bytes[BATCH..]);
    assert_eq!(far.read(1 << 20, |_| {}).unwrap(), Got::Plaintext(RECORD));
    assert_eq!(far.payload().0, BATCH as u64);
}

#[test]
fn a_goodbye_is_the_end_of_one_direction_only() {
    let (mut near, mut far) = pair();
    near.write(b"last").unwrap();
    near.close().unwrap();
    near.close().unwrap();
    assert!(matches!(near.write(b"more"), Err(Fault::Closed)));
    carry(&mut near, &mut far);
    assert_eq!(read(&mut far, 100), (Got::Plaintext(4), b"last".to_vec()));
    assert_eq!(read(&mut far, 100).0, Got::Closed);
    assert_eq!(read(&mut far, 100).0, Got::Closed);
    far.write(b"answer").unwrap();
    far.close().unwrap();
    carry(&mut far, &mut near);
    assert_eq!(read(&mut near, 100), (Got::Plaintext(6), b"answer".to_vec()));
    assert_eq!(read(&mut near, 100).0, Got::Closed);
}

#[test]
fn a_changed_byte_ends_the_connection_with_an_alert() {
    let (mut near, mut far) = pair();
    near.write(&[7; 100]).unwrap();
    let mut bytes = near.outgoing().to_vec();
    bytes[50] ^= 1;
    put(&mut far, &bytes);
    let Err(Fault::Tls(error)) = far.read(1000, |_| panic!("bytes nobody sent")) else { panic!("no fault") };
    assert_eq!(error, rustls::Error::DecryptError);
    carry(&mut far, &mut near);
    let Err(Fault::Tls(error)) = near.read(1000, |_| {}) else { panic!("no fault") };
    assert_eq!(error, rustls::Error::AlertReceived(AlertDescription::BadRecordMac));
}

#[test]
fn another_key_than_the_pinned_one_is_refused_before_ours_is_shown() {
    let pinned = client_config(&identity(CLIENT), Some(id(3)), Alpn::Data).unwrap();
    let (mut near, mut far) = (Tls::client(pinned).unwrap(), Tls::server(server()).unwrap());
    assert!(!near.handshake().unwrap());
    carry(&mut near, &mut far);
    assert!(!far.handshake().unwrap());
    carry(&mut far, &mut near);
    assert!(matches!(near.handshake(), Err(Fault::Tls(_))));
    carry(&mut near, &mut far);
    assert!(matches!(far.handshake(), Err(Fault::Tls(rustls::Error::AlertReceived(_)))));
    assert_eq!(far.peer(), None);
}

#[test]
fn a_hello_of_more_than_16_kibibytes_is_refused() {
    let mut far = Tls::server(server()).unwrap();
    // A handshake record that announces a ClientHello of 60 000 bytes, and record after record of it.
    let mut first = vec![0x16, 3, 1, 0x40, 0, 1, 0, 0xea, 0x60];
    first.resize(5 + 16384, 0);
    let mut left = first.as_slice();
    let fault = loop {
        let room = far.room();
        let count = room.len().min(left.len()).min(1000);
        room[..count].copy_from_slice(&left[..count]);
        far.feed(count);
        left = &left[count..];
        match far.handshake() {
            Ok(done) => assert!(!done && !left.is_empty()),
            Err(fault) => break fault,
        }
    };
    assert!(matches!(fault, Fault::HandshakeTooLarge), "{fault}");
}

/// Runs a buffered connection of rustls against ours until neither has anything to say.
fn exchange(theirs: &mut Stock, ours: &mut Tls) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let mut sent = Vec::new();
        while theirs.wants_write() {
            theirs.write_tls(&mut sent).unwrap();
        }
        for piece in sent.chunks(241) {
            if ours.handshake().unwrap() {
                read_all(ours, &mut received);
            }
            put(ours, piece);
        }
        if ours.handshake().unwrap() {
            read_all(ours, &mut received);
        }
        let answer = ours.outgoing().to_vec();
        ours.wrote(answer.len());
        let mut arriving = answer.as_slice();
        while !arriving.is_empty() {
            theirs.read_tls(&mut arriving).unwrap();
            theirs.process_new_packets().unwrap();
        }
        if sent.is_empty() && answer.is_empty() {
            return received;
        }
    }
}

fn read_all(ours: &mut Tls, received: &mut Vec<u8>) {
    while let Got::Plaintext(_) = ours.read(usize::MAX, |bytes| received.extend_from_slice(bytes)).unwrap() {}
}

fn plaintext(theirs: &mut Stock) -> Vec<u8> {
    let mut out = Vec::new();
    // WouldBlock is the expected end.
    let _ = theirs.reader().read_to_end(&mut out);
    out
}

fn converse(mut theirs: Stock, mut ours: Tls) {
    ours.handshake().unwrap();
    exchange(&mut theirs, &mut ours);
    for round in 0..40u8 {
        // More updates in a row than are tolerated without data between them.
        theirs.refresh_traffic_keys().unwrap();
        theirs.writer().write_all(&vec![round; 20_000]).unwrap();
        assert!(exchange(&mut theirs, &mut ours) == vec![round; 20_000]);
        ours.write(&vec![round; 20_000]).unwrap();
        exchange(&mut theirs, &mut ours);
        assert!(plaintext(&mut theirs) == vec![round; 20_000], "round {round}");
    }
    theirs.send_close_notify();
    exchange(&mut theirs, &mut ours);
    assert_eq!(read(&mut ours, 1).0, Got::Closed);
    ours.close().unwrap();
    exchange(&mut theirs, &mut ours);
    assert_eq!(theirs.reader().read(&mut [0; 1]).unwrap(), 0, "a clean end, not a cut one");
}

/// A stock client that can do one suite only.
fn stock_client(suite: SupportedCipherSuite) -> Stock {
    let sample = samples::ours(CLIENT);
    let provider = CryptoProvider { cipher_suites: vec![suite], ..default_provider() };
    let config = appliance_with(provider, Some(certified(&sample.pkcs8, &sample.cert)));
    ClientConnection::new(Arc::new(config), tls::server_name()).unwrap().into()
}

#[test]
fn every_suite_we_offer_carries_data_and_key_updates_of_a_stock_client() {
    for suite in [
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        converse(stock_client(suite), Tls::server(server()).unwrap());
    }
}

/// Runs the handshake; what `theirs` sends last arrives with key updates and data behind it, in one piece.
fn last_flight_and_more(mut theirs: Stock, mut ours: Tls) {
    ours.handshake().unwrap();
    while theirs.is_handshaking() {
        let answer = ours.outgoing().to_vec();
        ours.wrote(answer.len());
        let mut arriving = answer.as_slice();
        while !arriving.is_empty() {
            theirs.read_tls(&mut arriving).unwrap();
            theirs.process_new_packets().unwrap();
        }
        if theirs.is_handshaking() {
            let mut sent = Vec::new();
            theirs.write_tls(&mut sent).unwrap();
            put(&mut ours, &sent);
            ours.handshake().unwrap();
        }
    }
    // Each asks for one in return.
    theirs.refresh_traffic_keys().unwrap();
    theirs.writer().write_all(b"first").unwrap();
    theirs.refresh_traffic_keys().unwrap();
    theirs.writer().write_all(b" second").unwrap();
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    while theirs.wants_write() {
        theirs.write_tls(&mut sent).unwrap();
    }
    put(&mut ours, &sent);
    assert!(ours.handshake().unwrap());
    read_all(&mut ours, &mut received);
    assert_eq!(received, b"first second");
    ours.write(b"answer").unwrap();
    exchange(&mut theirs, &mut ours);
    assert_eq!(plaintext(&mut theirs), b"answer");
    converse(theirs, ours);
}

/// E9
#[test]
fn a_key_update_that_comes_with_the_last_message_of_the_handshake_is_followed() {
    let theirs = ClientConnection::new(client(), tls::server_name()).unwrap();
    last_flight_and_more(theirs.into(), Tls::server(server()).unwrap());
    last_flight_and_more(
        stock_client(cipher_suite::TLS13_AES_256_GCM_SHA384),
        Tls::server(server()).unwrap(),
    );
}

fn records(tls: &mut Tls) -> &mut Records {
    match &mut tls.connection {
        Connection::Open(records) => records,
        _ => panic!("not open"),
    }
}

#[test]
fn a_key_is_changed_before_it_has_sealed_too_many_records_and_a_stock_peer_reads_on() {
    let mut theirs = stock_client(cipher_suite::TLS13_AES_128_GCM_SHA256);
    let mut ours = Tls::server(server()).unwrap();
    ours.handshake().unwrap();
    exchange(&mut theirs, &mut ours);
    let text: Vec<u8> = (0..10_000).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for left in [1, 2, 3, 7] {
        records(&mut ours).wear_out_after(left);
        text.chunks(1000).for_each(|piece| ours.write(piece).unwrap());
        exchange(&mut theirs, &mut ours);
        assert!(plaintext(&mut theirs) == text, "{left} left");
        assert!(!records(&mut ours).is_worn());
    }
    ours.close().unwrap();
    exchange(&mut theirs, &mut ours);
    assert_eq!(theirs.reader().read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_peer_that_only_changes_keys_is_ended() {
    let mut theirs = stock_client(cipher_suite::TLS13_AES_128_GCM_SHA256);
    let mut ours = Tls::server(server()).unwrap();
    ours.handshake().unwrap();
    exchange(&mut theirs, &mut ours);
    let counted = Arc::new(AtomicU64::new(0));
    ours.count_fruitless(Arc::clone(&counted));
    let mut fault = None;
    for round in 0..40 {
        theirs.refresh_traffic_keys().unwrap();
        let mut sent = Vec::new();
        theirs.write_tls(&mut sent).unwrap();
        put(&mut ours, &sent);
        if let Err(error) = ours.read(100, |_| {}) {
            fault = Some((round, error));
            break;
        }
    }
    let Some((32, Fault::Tls(rustls::Error::PeerMisbehaved(_)))) = fault else { panic!("{fault:?}") };
    assert!(matches!(ours.read(100, |_| {}), Err(Fault::Closed)), "nothing is asked about it again");
    assert_eq!(counted.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_no_record_of_an_open_connection_ends_it_with_an_alert() {
    let cases: [(&[u8], AlertDescription); 4] = [
        // An alert that nobody authenticated, even a goodbye.
        (&[21, 3, 3, 0, 2, 1, 0], AlertDescription::UnexpectedMessage),
        (&[20, 3, 3, 0, 1, 1], AlertDescription::UnexpectedMessage),
        (&[23, 3, 3, 0x41, 0x01], AlertDescription::RecordOverflow),
        (&[23, 3, 3, 0, 3, 1, 2, 3], AlertDescription::BadRecordMac),
    ];
    for (bytes, said) in cases {
        let (mut near, mut far) = pair();
        put(&mut far, bytes);
        assert!(matches!(far.read(100, |_| panic!("no data")), Err(Fault::Tls(_))), "{bytes:?}");
        assert!(!far.is_peer_closed());
        carry(&mut far, &mut near);
        let Err(Fault::Tls(heard)) = near.read(100, |_| {}) else { panic!("{bytes:?}") };
        assert_eq!(heard, rustls::Error::AlertReceived(said), "{bytes:?}");
    }
}

#[test]
fn a_record_that_is_sent_again_is_no_record() {
    let (mut near, mut far) = pair();
    near.write(b"once").unwrap();
    let bytes = near.outgoing().to_vec();
    put(&mut far, &bytes);
    assert_eq!(read(&mut far, 100).0, Got::Plaintext(4));
    put(&mut far, &bytes);
    assert!(matches!(far.read(100, |_| {}), Err(Fault::Tls(rustls::Error::DecryptError))));
}

#[test]
fn key_updates_of_a_stock_client_and_ours_leave_the_stream_whole() {
    let theirs = ClientConnection::new(client(), tls::server_name()).unwrap();
    converse(theirs.into(), Tls::server(server()).unwrap());
}

#[test]
fn key_updates_of_a_stock_server_and_ours_leave_the_stream_whole() {
    converse(ServerConnection::new(server()).unwrap().into(), Tls::client(client()).unwrap());
}
