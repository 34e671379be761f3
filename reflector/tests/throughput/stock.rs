//! Stock iperf3 as client, one mode after the other.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use reflector::reason::EndReason;

use crate::house::{Ask, House, client, end_of, has_iperf3, number, peer, until};

/// What may arrive of each stream after the budget is used up.
const OVERSHOOT: u64 = 256 * 1024;

/// How often the counts of a download are compared before they are called different.
const TRIES: usize = 4;

/// What stock clients read at once.
const BLOCK: u64 = 128 * 1024;

/// E1: every TCP mode of a stock client completes.
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
    ] {
        let (output, record) = house.iperf3(Ask::TCP, args).await;
        assert!(output.is_complete(), "{args:?}: {record:?}: {output:?}");
        assert_eq!(record.reason(), EndReason::Completed, "{args:?}");
        assert!(record.bytes > 0, "{args:?}");
    }
}

/// G5: what a client says was received is what the session counted. Of an upload that is one number: the receiver is us, and the
/// client repeats what it was told in the last exchange, so it is the same at the first try and to the byte. Of a download it
/// is the client's own count: when its time is up it stops counting at once, and what is in its socket or on the way then was
/// counted by the session already. That is little, unless the client is not scheduled just then; so only a download may be
/// tried again, and it may only be less.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_count_the_same_bytes() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    for args in [&["-t", "2", "-b", "50M"][..], &["-n", "30M", "-P", "3"]] {
        let (output, record) = house.iperf3(Ask::TCP, args).await;
        assert!(output.is_complete(), "{args:?}: {record:?}: {output:?}");
        assert_eq!(output.bytes("sum_received"), record.bytes, "{args:?}: received and counted");
    }
    let args = ["-t", "2", "-R", "-b", "50M"];
    let mut seen = Vec::new();
    while seen.len() < TRIES {
        let (output, record) = house.iperf3(Ask::TCP, &args).await;
        assert!(output.is_complete(), "{args:?}: {record:?}: {output:?}");
        let (received, counted) = (output.bytes("sum_received"), record.bytes);
        seen.push((received, counted));
        if received.abs_diff(counted) * 100 <= counted {
            return;
        }
        assert!(received < counted, "{args:?}: received and counted: {seen:?}");
    }
    panic!("{args:?}: received and counted: {seen:?}");
}

/// E1, E6: every UDP mode of a stock client completes.
#[tokio::test(flavor = "multi_thread")]
async fn udp_in_every_mode_completes() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    for args in [
        &["-u", "-t", "1"][..],
        &["-u", "-t", "1", "-b", "20M"],
        &["-u", "-t", "1", "-b", "20M", "-R"],
        &["-u", "-t", "1", "-b", "10M", "--bidir"],
        &["-u", "-t", "1", "-b", "10M", "-P", "4"],
        &["-u", "-t", "1", "-b", "10M", "-P", "4", "-R"],
        &["-u", "-t", "1", "-b", "10M", "--bidir", "-P", "2"],
        &["-u", "-t", "1", "-b", "20M", "--udp-counters-64bit"],
        &["-u", "-t", "1", "-b", "20M", "--udp-counters-64bit", "-R"],
        &["-u", "-t", "2", "-O", "1", "-b", "20M"],
        &["-u", "-t", "1", "-O", "1", "-b", "20M", "-R"],
        &["-u", "-n", "2M", "-b", "20M"],
        &["-u", "-n", "2M", "-b", "20M", "-R"],
        &["-u", "-k", "500", "-b", "20M"],
        &["-u", "-t", "1", "-b", "10M", "-l", "16"],
        &["-u", "-t", "1", "-b", "10M/20", "-l", "400", "-w", "512K", "-S", "0x10"],
    ] {
        let (output, record) = house.iperf3(Ask::UDP, args).await;
        assert!(output.is_complete(), "{args:?}: {record:?}: {output:?}");
        assert_eq!(record.reason(), EndReason::Completed, "{args:?}");
        assert!(record.bytes > 0 && number(&output.end("sum")["packets"]) > 0, "{args:?}: {output:?}");
    }
}

/// E6: in either direction the rate is the one asked for, and hardly anything is lost on loopback.
#[tokio::test(flavor = "multi_thread")]
async fn udp_on_loopback_keeps_its_rate_and_reports_what_was_lost() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    for args in
        [&["-u", "-t", "2", "-b", "8M", "-l", "1000"][..], &["-u", "-t", "2", "-b", "8M", "-l", "1000", "-R"]]
    {
        let (output, record) = house.iperf3(Ask::UDP, args).await;
        assert!(output.is_complete(), "{args:?}: {record:?}: {output:?}");
        let sum = output.end("sum");
        // A client that was not scheduled drops some itself.
        let (lost, packets) = (number(&sum["lost_packets"]), number(&sum["packets"]));
        assert!(packets > 1000 && lost * 20 <= packets, "{args:?}: {sum}");
        assert!(sum["jitter_ms"].as_f64().is_some_and(|jitter| jitter >= 0.0), "{args:?}: {sum}");
        assert!(record.bytes.abs_diff(2_000_000) < 200_000, "{args:?}: {}", record.bytes);
    }
}

/// E12
#[tokio::test(flavor = "multi_thread")]
async fn ipv6_is_served_alike() {
    if !has_iperf3() {
        return;
    }
    let here = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let house = House::new();
    for args in [&["-t", "1"][..], &["-t", "1", "-R", "-P", "2"], &["-t", "1", "-6", "--bidir"]] {
        let (output, record) = house.iperf3(Ask { local: here, source: here, ..Ask::TCP }, args).await;
        assert!(output.is_complete(), "{args:?}: {record:?}: {output:?}");
        assert_eq!(record.reason(), EndReason::Completed, "{args:?}");
    }
}

/// G9: a client that asks for more time than it was granted reads a shorter valid test.
#[tokio::test(flavor = "multi_thread")]
async fn a_longer_test_than_granted_ends_valid_at_the_grant() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    for args in [
        &["-t", "9"][..],
        &["-t", "9", "-R", "-P", "3"],
        &["-t", "9", "--bidir", "-b", "30M"],
        &["-n", "900G"],
    ] {
        let (output, record) = house.iperf3(Ask { seconds: 2, ..Ask::TCP }, args).await;
        assert!(output.is_complete(), "{args:?}: {record:?}: {output:?}");
        assert_eq!(record.reason(), EndReason::DurationCap, "{args:?}");
        let lasted = record.ended.unwrap().duration;
        assert!(lasted >= Duration::from_secs(2) && lasted < Duration::from_secs(7), "{args:?}: {lasted:?}");
        assert!(output.bytes("sum_received") > 0, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_our_output_reads_why_its_test_ended() {
    if !has_iperf3() {
        return;
    }
    let house = House::with(|policy| policy.quotas.max_rate = Some(50_000_000));
    let ask = Ask { seconds: 2, ..Ask::TCP };
    let (output, record) =
        house.iperf3(ask, &["-t", "9", "-R", "-b", "60M", "-T", "title", "--get-server-output"]).await;
    let text = output.json["server_output_text"].as_str().unwrap_or_default();
    assert!(
        text.contains("duration_cap") && text.contains("bandwidth 60000000 became 50000000"),
        "{record:?}: {output:?}"
    );
}

/// G9: what was not granted is refused with the text stock iperf3 has for it, and the grant is still there.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_granted_is_refused_and_a_better_try_succeeds() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    let granted = house.grant(Ask { streams: 2, ..Ask::TCP }).await;
    let here = Ask::TCP.local;
    let refused = client(here, granted.grant.port, &["-P", "3", "-t", "1"]).await;
    assert!(refused.error().contains("number of parallel streams too large"), "{refused:?}");
    let refused = client(here, granted.grant.port, &["-u", "-t", "1"]).await;
    assert!(!refused.error().is_empty(), "{refused:?}");
    let served = client(here, granted.grant.port, &["-P", "2", "-t", "1"]).await;
    assert!(served.is_complete(), "{served:?}");
    assert_eq!(end_of(granted).await.reason(), EndReason::Completed);
}

/// G6: cut at the byte, read as a shorter valid test; what was on the way is charged and bounded.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_cut_at_the_byte_limit_and_its_client_reads_a_valid_test() {
    const LIMIT: u64 = 40_000_000;
    if !has_iperf3() {
        return;
    }
    let house = House::with(|policy| policy.quotas.bytes_per_day_on_loopback = Some(LIMIT));
    // As fast as a link, not as loopback, where a megabyte comes between two instructions.
    let (output, record) = house.iperf3(Ask::TCP, &["-t", "9", "-P", "2", "-b", "300M"]).await;
    assert!(output.is_complete(), "{record:?}: {output:?}");
    assert_eq!(record.reason(), EndReason::QuotaExceeded);
    assert_eq!(record.bytes, LIMIT);
    assert!(record.unread_bytes <= 2 * OVERSHOOT, "{}", record.unread_bytes);
    let today = house.ledger.usage(&peer()).unwrap().bytes_today;
    assert_eq!(today, record.bytes + record.unread_bytes);
}

/// G6
#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_cut_at_the_byte_limit_and_arrives_whole() {
    const LIMIT: u64 = 40_000_000;
    if !has_iperf3() {
        return;
    }
    let house = House::with(|policy| policy.quotas.bytes_per_day_on_loopback = Some(LIMIT));
    let (output, record) = house.iperf3(Ask::TCP, &["-t", "9", "-P", "2", "-R"]).await;
    assert!(output.is_complete(), "{record:?}: {output:?}");
    assert_eq!(record.reason(), EndReason::QuotaExceeded);
    assert_eq!(record.bytes, LIMIT);
    // Clients with threads do not count a block of which only a part came.
    let received = output.bytes("sum_received");
    assert!((record.bytes - 2 * BLOCK..=record.bytes).contains(&received), "{received} of {}", record.bytes);
}

/// E6
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_holds_both_ways() {
    const RATE: u64 = 40_000_000;
    if !has_iperf3() {
        return;
    }
    let house = House::with(|policy| policy.quotas.max_rate = Some(RATE));
    let (output, record) = house.iperf3(Ask::TCP, &["-t", "3", "-R", "-P", "2"]).await;
    assert!(output.is_complete() && record.reason() == EndReason::Completed, "{output:?}");
    // As long as it really took, which on a busy machine is longer than its client asked for.
    let lasted = record.ended.as_ref().unwrap().duration.max(Duration::from_secs(3));
    let allowed = RATE / 8 * u64::try_from(lasted.as_millis()).unwrap() / 1000;
    assert!(record.bytes <= allowed + allowed / 10, "{} bytes, {allowed} allowed", record.bytes);
    let (output, record) = house.iperf3(Ask::TCP, &["-t", "9"]).await;
    assert!(output.is_complete(), "{record:?}: {output:?}");
    assert_eq!(record.reason(), EndReason::RateExceeded);
    let (output, record) = house.iperf3(Ask::TCP, &["-t", "3", "-b", "15M", "-P", "2"]).await;
    assert!(output.is_complete() && record.reason() == EndReason::Completed, "{output:?}");
    let (output, record) = house.iperf3(Ask::UDP, &["-u", "-t", "3", "-b", "90M", "-R", "-P", "2"]).await;
    assert!(output.is_complete() && record.reason() == EndReason::Completed, "{output:?}");
    assert!(record.bytes <= allowed + allowed / 10, "{} bytes, {allowed} allowed", record.bytes);
    let (output, record) = house.iperf3(Ask::UDP, &["-u", "-t", "9", "-b", "90M"]).await;
    assert!(output.is_complete(), "{record:?}: {output:?}");
    assert_eq!(record.reason(), EndReason::RateExceeded);
    let (output, record) = house.iperf3(Ask::UDP, &["-u", "-t", "3", "-b", "15M", "-P", "2"]).await;
    assert!(output.is_complete() && record.reason() == EndReason::Completed, "{output:?}");
}

/// E4: a stop in the middle is told to the client and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_is_told_as_the_server_s_end() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    for (reason, args) in
        [(EndReason::Revoked, "-R"), (EndReason::Suspended, "-Z"), (EndReason::Expired, "--bidir")]
    {
        let granted = house.grant(Ask::TCP).await;
        let running =
            tokio::spawn(client_owned(granted.grant.port, vec!["-t".into(), "9".into(), args.into()]));
        until("bytes move", || house.sessions.active(None).iter().any(|session| session.bytes > 1_000_000))
            .await;
        let session = house.sessions.active(Some(&peer())).pop().unwrap();
        assert_eq!(house.sessions.stop_connection(session.connection, reason), 1);
        let record = end_of(granted).await;
        assert_eq!(record.reason(), reason);
        let output = running.await.unwrap();
        assert!(output.error().contains("the server has terminated"), "{output:?}");
    }
}

async fn client_owned(port: u16, args: Vec<String>) -> crate::house::Output {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    client(Ask::TCP.local, port, &args).await
}

/// Retransmits, CPU and congestion control come with the results.
#[tokio::test(flavor = "multi_thread")]
async fn results_say_what_a_stock_server_says() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    let (output, record) = house.iperf3(Ask::TCP, &["-t", "1", "-R", "-P", "2"]).await;
    assert!(output.is_complete(), "{record:?}: {output:?}");
    let _ = number(&output.end("sum_sent")["retransmits"]);
    assert!(output.end("cpu_utilization_percent")["remote_total"].as_f64().unwrap() > 0.0, "{output:?}");
    assert_eq!(output.end("sender_tcp_congestion"), output.end("receiver_tcp_congestion"));
    let measured = record.ended.unwrap().measured.unwrap();
    assert_eq!(measured.streams.iter().map(|stream| stream.id).collect::<Vec<_>>(), [1, 3]);
    assert!(measured.streams.iter().all(|stream| stream.sender && stream.bytes > 0));
}
