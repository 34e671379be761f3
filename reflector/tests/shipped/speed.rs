//! A stock appliance's tests on the one port that is open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use e2e::appliance::data::{Echo, Target, echo};
use e2e::appliance::{Appliance, Direction, Grant, Key, Test};

use crate::bed::Bed;
use crate::{iperf, shipped, with_env};

async fn speed_test(bed: &Bed, here: IpAddr) {
    let code = bed.pair();
    let (mut connection, _) = Appliance::builder(Key::generate())
        .bind(here)
        .open(SocketAddr::new(here, bed.addr.port()))
        .await
        .unwrap();
    connection.pair(&code).await.unwrap();
    let run = async |grant: Grant, direction| {
        assert_eq!((grant.port, grant.mode.as_str()), (bed.addr.port(), "direct_ephemeral"));
        let reverse: &[&str] = if direction == Direction::Download { &["-R"] } else { &[] };
        iperf::run(grant.data_addr(), here, &[&["-t", "2", "-P", "4"], reverse].concat()).await
    };
    let test = connection.speed_test(10, run).await.unwrap();
    for (grant, result) in [&test.upload, &test.download] {
        assert!(iperf::received(result) > 1_000_000, "{result}");
        let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
        assert_eq!(ended["reason"], "completed", "{ended}");
    }
}

/// P3: default policy, nothing open but the control port, iperf3 started the moment the grant is there.
#[tokio::test]
async fn a_stock_speed_test_runs_through_the_control_port() {
    if iperf::is_installed() {
        speed_test(&shipped("").await, Ipv4Addr::LOCALHOST.into()).await;
    }
}

/// E12: on a socket of both families, over either.
#[tokio::test]
async fn control_and_data_run_over_ipv6_and_over_ipv4_on_a_dual_stack_port() {
    if !iperf::is_installed() {
        return;
    }
    for here in [IpAddr::from(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.into()] {
        let bed = with_env("", &[("REFLECTOR__NETWORK__LISTEN_ADDRESS", "[::]:0")]).await;
        speed_test(&bed, here).await;
    }
}

/// E6: on the control port each stream has its own socket; both ways, and each stream's datagrams are its own.
#[tokio::test]
async fn stock_udp_runs_through_the_control_port() {
    if !iperf::is_installed() {
        return;
    }
    let bed = shipped("[quotas]\ncooldown_sec = 0\n").await;
    let (_, mut connection) = bed.appliance("attic").await;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for reverse in [false, true] {
        let test = Test::throughput(10).streams(3).protocol("udp");
        let test = if reverse { test.download() } else { test };
        let grant = connection.request(&test).await.unwrap().granted().unwrap();
        let more: &[&str] = if reverse { &["-R"] } else { &[] };
        let udp = ["-u", "-b", "4M", "-l", "1000", "-t", "2", "-P", "3"];
        let result = iperf::run(grant.data_addr(), here, &[&udp, more].concat()).await;
        assert!(result.get("error").is_none(), "{result}");
        let sum = &result["end"]["sum"];
        let packets = sum["packets"].as_u64().unwrap();
        assert!(packets > 1000, "{sum}");
        // Three streams, nothing lost to a neighbour; a busy machine may drop some.
        assert!(sum["lost_packets"].as_u64().unwrap() < packets / 10, "{sum}");
        let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
        assert_eq!(ended["reason"], "completed", "{ended}");
    }
}

/// E7: an appliance without keys, on the control port.
#[tokio::test]
async fn echo_runs_through_the_control_port() {
    let bed = shipped("").await;
    let (_, mut connection) = bed.appliance("attic").await;
    let grant = connection.request(&Test::echo(5)).await.unwrap().granted().unwrap();
    assert_eq!(grant.port, bed.addr.port());
    let plan = Echo { packets: 50, size: 200, reply_wait: Duration::from_secs(2) };
    let echoed = echo(&Target::from(&grant), plan).finish().await.unwrap();
    assert!(echoed.received >= 45, "{echoed:?}");
    connection.close_session(&grant.test_id).await.unwrap();
    let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    assert!(ended["bytes"].as_u64().unwrap() >= 2 * 45 * 200, "{ended}");
}

/// E1: connections that come at once keep the order in which the client opened them; otherwise a stream of one direction
/// would be taken for one of the other.
#[tokio::test]
async fn both_directions_at_once_run_through_the_control_port() {
    if !iperf::is_installed() {
        return;
    }
    let bed = shipped("[quotas]\ncooldown_sec = 0\n").await;
    let (_, mut connection) = bed.appliance("attic").await;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for _ in 0..4 {
        let grant = connection.request(&Test::throughput(10).streams(4)).await.unwrap().granted().unwrap();
        let result =
            iperf::run(grant.data_addr(), here, &["--bidir", "-P", "4", "-t", "1", "-b", "20M"]).await;
        assert!(result.get("error").is_none(), "{result}");
        for sum in ["sum_received", "sum_received_bidir_reverse"] {
            assert!(result["end"][sum]["bytes"].as_u64().unwrap() > 500_000, "{sum}: {}", result["end"]);
        }
        let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
        assert_eq!(ended["reason"], "completed", "{ended}");
    }
}
