//! Real data threads that lease from a session's meter.

use std::net::TcpStream;

use super::*;
use crate::engine::streams::{End, Streams, TcpSink, TcpSource};

const BUDGET: u64 = 40_000_000;

/// G6: with several streams in full flow in both directions and one whose peer is silent, the ledger, the session and the
/// streams agree, and they have the whole budget and not a byte more.
#[tokio::test]
async fn streams_of_a_session_use_its_budget_up_and_are_booked_to_the_byte() {
    let bench = Bench::new();
    // A real engine joins its threads before it ends.
    bench.act(Act::IgnoreStop);
    let from = bench.connect(1);
    let granted = bench.up(&from, &with(|policy| policy.quotas.bytes_per_day = Some(BUDGET))).await.unwrap();
    let strings = bench.strings(&granted).await;
    let mut metered = Streams::new(Arc::new(strings.control.meter()));
    let mut others = Streams::new(Arc::new(crate::engine::purse::Unlimited));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for sends in [false, true, false, true] {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        if sends {
            metered.tcp_source("metered", server.into(), TcpSource::default()).unwrap();
            others.tcp_sink("other", client.into(), TcpSink::default()).unwrap();
        } else {
            metered.tcp_sink("metered", server.into(), TcpSink::default()).unwrap();
            others.tcp_source("other", client.into(), TcpSource::default()).unwrap();
        }
    }
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let idle = listener.accept().unwrap().0;
    metered.tcp_sink("idle", idle.into(), TcpSink::default()).unwrap();
    metered.start();
    others.start();
    tokio::time::timeout(PATIENCE, metered.all_ended()).await.unwrap();
    assert!(metered.iter().all(|stream| matches!(stream.end(), Some(End::NoBudget))));
    let moved: u64 = metered.iter().map(|stream| stream.counters().bytes()).sum();
    strings.end(EndReason::QuotaExceeded);
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes), (EndReason::QuotaExceeded, moved));
    assert_eq!(bench.ledger.usage(&peer(1)).unwrap().bytes_today, moved);
    assert_eq!(moved, BUDGET);
}
