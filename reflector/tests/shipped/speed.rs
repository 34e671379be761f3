//! A stock appliance's speed test on the one port that is open.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use e2e::appliance::{Appliance, Direction, Key};

use crate::{iperf, shipped};

/// P3: default policy, nothing open but the control port, iperf3 started the moment the grant is there.
#[tokio::test]
async fn a_stock_speed_test_runs_through_the_control_port() {
    if !iperf::is_installed() {
        return;
    }
    let bed = shipped("").await;
    let code = bed.pair();
    let (mut connection, _) = Appliance::builder(Key::generate()).open(bed.addr).await.unwrap();
    connection.pair(&code).await.unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let run = async |grant: e2e::appliance::Grant, direction| {
        assert_eq!((grant.port, grant.mode.as_str()), (bed.addr.port(), "direct_ephemeral"));
        let to = SocketAddr::new(here, grant.port);
        let reverse: &[&str] = if direction == Direction::Download { &["-R"] } else { &[] };
        iperf::run(to, here, &[&["-t", "2", "-P", "4"], reverse].concat()).await
    };
    let test = connection.speed_test(10, run).await.unwrap();
    for (grant, result) in [&test.upload, &test.download] {
        let bytes = iperf::received(result);
        assert!(bytes > 1_000_000, "{result}");
        let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
        assert_eq!(ended["reason"], "completed", "{ended}");
    }
}
