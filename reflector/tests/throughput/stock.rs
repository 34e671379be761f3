//! Stock iperf3 as client, one mode after the other.

use reflector::reason::EndReason;

use crate::house::{Ask, House, has_iperf3};

/// E1: every TCP mode of a stock client completes, and both sides count the same.
#[tokio::test(flavor = "multi_thread")]
async fn tcp_in_every_mode_completes() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    for args in [
        &["-t", "1"][..],
        &["-t", "1", "-R"],
        &["-t", "1", "-P", "4"],
        &["-t", "1", "-P", "4", "-R"],
        &["-t", "1", "--bidir"],
        &["-t", "1", "--bidir", "-P", "2"],
        &["-n", "20M"],
        &["-n", "20M", "-R"],
        &["-k", "100"],
        &["-t", "1", "-O", "1"],
        &["-t", "1", "-O", "1", "-R"],
        &["-t", "1", "-w", "256K", "-M", "1000", "-N", "-l", "16K"],
        &["-t", "1", "-l", "1000", "-R", "-b", "10M"],
        &["-t", "1", "-b", "20M", "-P", "2"],
        &["-t", "1", "-Z"],
        &["-t", "1", "-C", "cubic", "-S", "0x10"],
        &["-t", "1", "-T", "title", "--get-server-output"],
    ] {
        let (output, record) = house.iperf3(Ask::TCP, args).await;
        assert!(output.is_complete(), "{args:?}: {output:?}");
        assert_eq!(record.reason(), EndReason::Completed, "{args:?}");
        assert!(record.bytes > 0, "{args:?}");
    }
}
