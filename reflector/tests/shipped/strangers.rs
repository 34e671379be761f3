//! Who may use the control port for plain data, and who may not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use e2e::appliance::{Appliance, Closed, Ending, Key, Test, raw};
use tokio::io::AsyncWriteExt;

use crate::bed::{PATIENCE, until};
use crate::{iperf, shipped};

const COOKIE: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567abcd\0";

fn loopback(n: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, n).into()
}

/// E3: while a session waits, another address is reset and counted as ever, and its datagrams never arrive.
#[tokio::test]
async fn only_the_granted_address_reaches_its_session() {
    if !iperf::is_installed() {
        return;
    }
    let bed = shipped("").await;
    let (_, mut connection) = bed.appliance("attic").await;
    let grant = connection.request(&Test::throughput(10)).await.unwrap().granted().unwrap();
    let mut stranger = raw::connect(bed.addr, Some(loopback(7))).await.unwrap();
    stranger.write_all(COOKIE).await.unwrap();
    let reset = Closed { how: Ending::Reset, unread: Vec::new() };
    assert_eq!(raw::read_until_closed(&mut stranger).await, reset);
    let silent = UdpSocket::bind((loopback(7), 0)).unwrap();
    silent.connect(bed.addr).unwrap();
    silent.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    silent.send(&[0x39, 0x38, 0x37, 0x36]).unwrap();
    assert!(silent.recv(&mut [0; 16]).is_err(), "a stranger was answered");
    let strays = bed.metric("reflector_stray_connections_total{kind=\"unexpected_cookie\"}").await;
    assert_eq!(strays, 1.0);
    let began = tokio::time::Instant::now();
    while bed.metric("reflector_stray_datagrams_total").await < 1.0 {
        assert!(began.elapsed() < PATIENCE, "a stray datagram is not counted");
    }
    // The grant is not used up by any of it.
    let result = iperf::run(grant.data_addr(), loopback(1), &["-t", "1", "-P", "2"]).await;
    assert!(iperf::received(&result) > 0);
}

/// link.md §6: at most one plain session for each source; the wait is to the end of the one that runs.
#[tokio::test]
async fn a_second_plain_session_of_one_address_is_busy_and_of_another_is_not() {
    let bed = shipped("[quotas]\nmax_concurrent_tests = 3\ncooldown_sec = 0\n").await;
    let (_, mut first) = bed.appliance("first").await;
    let (_, mut second) = bed.appliance("second").await;
    let key = Key::generate();
    bed.add(&key, "third");
    let (mut third, _) = Appliance::builder(key).bind(loopback(9)).open(bed.addr).await.unwrap();
    let running = first.request(&Test::throughput(8)).await.unwrap().granted().unwrap();
    let denial = second.request(&Test::throughput(10)).await.unwrap().denied().unwrap();
    assert_eq!(denial.reason, "busy", "{denial}");
    assert!((1..=8).contains(&denial.retry_after_sec.unwrap()), "{denial}");
    third.request(&Test::throughput(10)).await.unwrap().granted().unwrap();
    // The engine of the first one waits for nobody any more.
    first.close_session(&running.test_id).await.unwrap();
    second.request(&Test::echo(1)).await.unwrap().granted().unwrap();
}

/// link.md §8: places of a running test are out of the reach of strangers, and bounded.
#[tokio::test]
async fn data_connections_have_places_of_their_peer_and_no_more_than_its_streams_need() {
    let bed = shipped("").await;
    let (_, mut connection) = bed.appliance("attic").await;
    let test = Test::throughput(10).streams(1);
    let grant = connection.request(&test).await.unwrap().granted().unwrap();
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = raw::connect(grant.data_addr(), Some(loopback(1))).await.unwrap();
        socket.write_all(b"a").await.unwrap();
        sockets.push(socket);
    }
    let refused = "reflector_connections_refused_total{reason=\"too_many_connections\"}";
    let began = tokio::time::Instant::now();
    while bed.metric(refused).await < 1.0 {
        assert!(began.elapsed() < PATIENCE, "the fifth connection of one stream was taken");
    }
    assert!(bed.metric("reflector_connections{state=\"data\"}").await <= 4.0);
    connection.close_session(&grant.test_id).await.unwrap();
    while bed.metric("reflector_connections{state=\"data\"}").await > 0.0 {
        assert!(began.elapsed() < PATIENCE, "places outlive their session");
    }
}

/// link.md §6
#[tokio::test]
async fn without_a_way_for_plain_data_the_denial_says_what_to_open() {
    let bed = crate::with_env("", &[("REFLECTOR__NETWORK__PLAIN_ON_CONTROL_PORT", "false")]).await;
    let (_, mut connection) = bed.appliance("stock").await;
    let denial = connection.request(&Test::throughput(5)).await.unwrap().denied().unwrap();
    assert_eq!((denial.reason.as_str(), denial.retry_after_sec), ("invalid_params", None));
    assert!(denial.message.contains("network.plain_on_control_port"), "{denial}");
    assert!(UdpSocket::bind(bed.addr).is_ok(), "no datagrams are taken on this port");
}

/// E5: a port of the range that somebody else has is skipped, for TCP or UDP.
#[tokio::test]
async fn a_foreign_listener_in_the_port_range_is_skipped() {
    if !iperf::is_installed() {
        return;
    }
    // Three ports in a row that are free now, two of which somebody takes.
    let (start, tcp, udp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = tcp.local_addr().unwrap().port();
        let near = |offset| start.checked_add(offset).map(|port| SocketAddr::new(loopback(1), port));
        let (Some(second), Some(third)) = (near(1), near(2)) else { continue };
        let (udp, free) = (UdpSocket::bind(second), TcpListener::bind(third));
        if let (Ok(udp), Ok(_)) = (udp, free) {
            break (start, tcp, udp);
        }
    };
    let end = (start + 2).to_string();
    let range = [
        ("REFLECTOR__NETWORK__DATA_PORT_RANGE_START", start.to_string()),
        ("REFLECTOR__NETWORK__DATA_PORT_RANGE_END", end),
        ("REFLECTOR__QUOTAS__COOLDOWN_SEC", "0".to_owned()),
    ];
    let env: Vec<(&str, &str)> = range.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bed = crate::with_env("", &env).await;
    let (_, mut connection) = bed.appliance("attic").await;
    for _ in 0..2 {
        let grant = connection.request(&Test::throughput(5)).await.unwrap().granted().unwrap();
        assert_eq!(grant.port, start + 2);
        let result = iperf::run(grant.data_addr(), loopback(1), &["-t", "1"]).await;
        assert!(iperf::received(&result) > 0);
    }
    drop((tcp, udp));
    until(|| TcpListener::bind((loopback(1), start + 2)).ok(), "a closed data port").await;
}
