//! An appliance's speed test as the field runs it: pairs, then upload and download on one connection with four
//! streams each, under the policy of an empty configuration, with iperf3 started at once after each grant.

use e2e::appliance::{Direction, Grant};

use super::programs::{self, Iperf};
use super::stock_clients::Served;
use super::told::{Flow, Told};

async fn half(program: &Iperf, grant: &Grant, direction: Direction, seconds: u64) -> Result<Told, String> {
    let mut args = vec!["-t".to_owned(), seconds.to_string(), "-P".to_owned(), "4".to_owned()];
    if direction == Direction::Download {
        args.push("-R".to_owned());
    }
    program.client(grant.data_addr(), &args).await
}

async fn speed_test(program: &Iperf, seconds: u64) {
    let mut served = Served::paired().await;
    let run = async |grant: Grant, direction| half(program, &grant, direction, seconds).await;
    let done = served.control.speed_test(seconds, run).await.unwrap();
    let ((granted_up, up), (granted_down, down)) = (done.upload, done.download);
    let (up, down) = (up.unwrap(), down.unwrap());
    // Two numbers.
    for (name, flow) in [("upload", &up.up), ("download", &down.down)] {
        assert!(flow.streams == 4 && flow.received > 0, "iperf3 {} {name}: {flow:?}", program.version);
        eprintln!("iperf3 {} {name}: {} bytes in {seconds} s", program.version, flow.received);
    }
    assert_eq!((up.down, down.up), (Flow::default(), Flow::default()));
    assert_eq!(granted_up.port, served.bed.addr.port(), "one port is enough");
    for (grant, ours) in [(&granted_up, up.up.received), (&granted_down, down.down.sent)] {
        let end = served.end_of(grant).await;
        assert_eq!(end["reason"], "completed");
        let booked = end["bytes"].as_u64().unwrap();
        assert!(booked.abs_diff(ours) <= ours / 100, "booked {booked}, told {ours}");
    }
    assert!(served.bed.metric("reflector_sessions_active{type=\"throughput\"}").await.abs() < 0.5);
}

/// P3, G2, E1: rc 0 and two numbers. The second request follows at once on the end of the first half. At its real
/// length (10 s) in long mode.
#[tokio::test]
async fn a_paired_appliance_runs_its_speed_test_on_the_default_policy() {
    let programs = programs::all();
    let seconds = if super::long() { 10 } else { 2 };
    // Appliances bring what their distribution has; where all are asked for, all are appliances.
    let few = if super::long() { programs.len() } else { 1 };
    for program in programs.iter().rev().take(few) {
        speed_test(program, seconds).await;
    }
}
