//! Who gets a stream, and what everybody else is told.

use std::sync::Arc;

use reflector::engine::secrets::Secrets;
use reflector::engine::tunnel::hello::Kind;
use reflector::engine::tunnel::{Credentials, OpenError, TunnelStream};
use reflector::link::tls::{Alpn, client_config};
use reflector::reason::RefuseReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use crate::bed::{Bed, CLIENT, SERVER, client, id, identity};

async fn turned_away(bed: &mut Bed, outcome: Result<TunnelStream, OpenError>, reason: RefuseReason) {
    let Err(OpenError::Refused(told)) = outcome else { panic!("{reason}: {outcome:?}") };
    assert_eq!(told, reason.as_str(), "the client is told");
    let refused = bed.refused().await;
    assert_eq!(refused.reason, reason);
    assert!(refused.key.is_some(), "its key is on record");
}

/// E9, E3
#[tokio::test]
async fn streams_of_a_session_come_in_and_nothing_else_does() {
    let mut bed = Bed::start().await;
    for (number, kind) in [(0, Kind::Tcp), (1, Kind::Tcp), (2, Kind::Tcp), (5, Kind::Echo)] {
        let stream = bed.open(number, kind).await.unwrap();
        assert_eq!(stream.peer(), id(SERVER));
        let arrived = bed.arrived().await;
        assert_eq!((arrived.number, arrived.kind, arrived.stream.peer()), (number, kind, id(CLIENT)));
    }
    let good = bed.credentials.clone();
    let with = |change: &dyn Fn(&mut Credentials)| {
        let mut credentials = good.clone();
        change(&mut credentials);
        credentials
    };
    let other_key = Arc::new(Secrets { data: [9; 32], echo: [5; 64] });
    for (seed, credentials, number, kind, reason) in [
        (CLIENT, with(&|c| c.token = c.test_id), 3, Kind::Tcp, RefuseReason::WrongToken),
        (CLIENT, with(&|c| c.secrets = Arc::clone(&other_key)), 3, Kind::Tcp, RefuseReason::WrongProof),
        (CLIENT, with(&|c| c.test_id = Uuid::nil()), 3, Kind::Tcp, RefuseReason::UnknownTest),
        (3, good.clone(), 3, Kind::Tcp, RefuseReason::UnknownTest),
        (CLIENT, good.clone(), 2, Kind::Tcp, RefuseReason::StreamTaken),
        (CLIENT, good.clone(), 5, Kind::Tcp, RefuseReason::StreamNotGranted),
        (CLIENT, good.clone(), 3, Kind::Udp, RefuseReason::StreamNotGranted),
        (CLIENT, good.clone(), 3, Kind::Echo, RefuseReason::StreamNotGranted),
    ] {
        let outcome = bed.open_as(seed, &credentials, number, kind).await;
        turned_away(&mut bed, outcome, reason).await;
    }
    assert!(bed.open(3, Kind::Tcp).await.is_ok(), "a refused try uses no number up");
    bed.tunnel = None;
    let outcome = bed.open(4, Kind::Tcp).await;
    turned_away(&mut bed, outcome, RefuseReason::UnknownTest).await;
}

/// E3
#[tokio::test]
async fn what_is_no_first_frame_is_told_so_and_closed() {
    let mut bed = Bed::start().await;
    for frame in [
        &b"\0\0\x04\x01{"[..],
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02{}",
        b"\0\0\0\x00",
        b"\0\0\0\x03\xff\xfe\xfd",
    ] {
        let mut stream = TunnelStream::connect(bed.dial().await, client(CLIENT)).await.unwrap();
        stream.write_all(frame).await.unwrap();
        stream.flush().await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert!(told.ends_with("{\"error\":\"bad_first_frame\"}"), "{told:?}");
        assert_eq!(bed.refused().await.reason, RefuseReason::BadFirstFrame);
    }
}

#[tokio::test]
async fn a_connection_that_never_says_its_stream_is_ended() {
    let mut bed = Bed::start().await;
    let mut stream = TunnelStream::connect(bed.dial().await, client(CLIENT)).await.unwrap();
    stream.write_all(b"\0\0\0\xc8{").await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::pause();
    assert_eq!(bed.refused().await.reason, RefuseReason::FirstFrameTimeout);
}

#[tokio::test]
async fn a_handshake_that_stops_half_way_is_ended() {
    let mut bed = Bed::start().await;
    let mut tcp = bed.dial().await;
    tcp.write_all(&[0x16, 3, 1, 1, 0, 1, 0, 0, 252]).await.unwrap();
    tcp.flush().await.unwrap();
    tokio::time::pause();
    assert_eq!(bed.refused().await.reason, RefuseReason::HandshakeTimeout);
}

#[tokio::test]
async fn failed_handshakes_have_their_reasons() {
    let mut bed = Bed::start().await;
    // Another protocol than this port's.
    let link = client_config(&identity(CLIENT).credentials, Some(id(SERVER)), Alpn::Link).unwrap();
    assert!(TunnelStream::connect(bed.dial().await, link).await.is_err());
    assert_eq!(bed.refused().await.reason, RefuseReason::WrongAlpn);
    // A client that expects somebody else here.
    let pinned = client_config(&identity(CLIENT).credentials, Some(id(7)), Alpn::Data).unwrap();
    let Err(error) = TunnelStream::connect(bed.dial().await, pinned).await else { panic!() };
    assert!(error.to_string().contains("not PP-"), "{error}");
    assert_eq!(bed.refused().await.reason, RefuseReason::HandshakeFailed);
    // Gone in the middle.
    let mut tcp = bed.dial().await;
    tcp.write_all(&[0x16, 3, 1]).await.unwrap();
    drop(tcp);
    assert_eq!(bed.refused().await.reason, RefuseReason::HandshakeFailed);
}

/// E9
#[tokio::test]
async fn a_stream_that_waits_when_its_session_ends_is_closed() {
    let mut bed = Bed::start().await;
    let mut stream = bed.open(1, Kind::Tcp).await.unwrap();
    bed.tunnel = None;
    assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
}
