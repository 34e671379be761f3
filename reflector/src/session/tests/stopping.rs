//! Sessions that somebody or something stops.
//!
//! Long waits run on tokio's paused clock, paused only once the grant (which waits for a real disk) is there.

use super::*;

async fn running(bench: &Bench, n: u8) -> (Granted, Strings, Requester) {
    let from = bench.connect(n);
    let granted = bench.up(&from, &with(|_| ())).await.unwrap();
    let strings = bench.strings(&granted).await;
    (granted, strings, from)
}

/// X1, G6: the budget is the day's, whatever session it runs out in.
#[tokio::test]
async fn a_test_is_cut_when_the_days_budget_is_used_up() {
    let bench = Bench::new();
    let (granted, strings, _) = running(&bench, 1).await;
    let meter = strings.control.meter();
    meter.lease(4_000).settle(4_000);
    let last = meter.lease(4_000);
    assert_eq!(last.bytes(), 1_000);
    last.settle(1_000);
    assert_eq!(meter.lease(1).bytes(), 0);
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes), (EndReason::QuotaExceeded, 5_000));
    bench.pass(seconds(5));
    let denied = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap_err();
    assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::QuotaExceeded, Some(12 * 3600 - 5)));
    assert!(denied.message.contains("0 remain"), "{}", denied.message);
    bench.pass(seconds(12 * 3600 - 5));
    bench.up(&bench.connect(1), &with(|_| ())).await.unwrap();
}

#[tokio::test]
async fn a_stopped_session_leases_nothing_more() {
    let bench = Bench::new();
    bench.act(Act::IgnoreStop);
    let (_granted, strings, _) = running(&bench, 1).await;
    assert_eq!(bench.stop(1, EndReason::Revoked), 1);
    assert_eq!(strings.control.meter().lease(1).bytes(), 0);
    assert_eq!(strings.control.stop_reason(), Some(EndReason::Revoked));
}

/// G9
#[tokio::test]
async fn a_session_is_cut_five_seconds_after_its_granted_time() {
    let bench = Bench::new();
    let (granted, _, _) = running(&bench, 1).await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let record = tokio::time::timeout(seconds(60), granted.ended).await.unwrap().unwrap();
    assert_eq!(record.reason(), EndReason::DurationCap);
    let lasted = started.elapsed();
    assert!(lasted > seconds(14) && lasted <= Duration::from_millis(15_010), "{lasted:?}");
}

#[tokio::test]
async fn an_engine_that_ignores_its_stop_is_dropped_after_a_second_with_its_port() {
    let bench = Bench::new();
    bench.act(Act::IgnoreStop);
    let (granted, _, from) = running(&bench, 1).await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(bench.sessions.stop_connection(from.connection(), EndReason::Suspended), 1);
    let record = end_of(granted).await;
    assert_eq!(record.reason(), EndReason::Suspended);
    assert!(started.elapsed() >= seconds(1) && started.elapsed() < Duration::from_millis(1100));
    assert!(bench.puppet.ports.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_engine_that_panics_ends_its_session_as_internal_and_frees_the_slot() {
    let bench = Bench::new();
    bench.act(Act::PanicInRun);
    let policy = with(|policy| policy.quotas.cooldown = Duration::ZERO);
    let granted = bench.up(&bench.connect(1), &policy).await.unwrap();
    assert_eq!(end_of(granted).await.reason(), EndReason::Internal);
    assert!(bench.puppet.ports.lock().unwrap().is_empty());
    bench.act(Act::Obey);
    bench.up(&bench.connect(1), &policy).await.unwrap();
}

/// G3
#[tokio::test]
async fn a_client_that_fell_silent_on_every_socket_is_gone_after_three_seconds() {
    let bench = Bench::new();
    let (granted, _, _) = running(&bench, 1).await;
    bench.silence_ms.store(2_900, Ordering::SeqCst);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let mut ended = granted.ended;
    assert!(tokio::time::timeout(seconds(8), &mut ended).await.is_err(), "the control socket is alive");
    bench.silence_ms.store(3_000, Ordering::SeqCst);
    let record = tokio::time::timeout(seconds(1), ended).await.unwrap().unwrap();
    assert_eq!(record.reason(), EndReason::ClientVanished);
    assert!(started.elapsed() < Duration::from_millis(8_500));
}

/// G3: bytes that move, or an engine that hears acknowledgements, keep a session alive.
#[tokio::test]
async fn data_that_moves_keeps_a_session_alive_until_three_seconds_after_the_last_byte() {
    let bench = Bench::new();
    let (granted, strings, _) = running(&bench, 1).await;
    bench.silence_ms.store(99_000, Ordering::SeqCst);
    tokio::time::pause();
    let mut ended = granted.ended;
    for _ in 0..4 {
        strings.control.meter().lease(1).settle(1);
        assert!(tokio::time::timeout(seconds(2), &mut ended).await.is_err(), "bytes moved");
    }
    let record = tokio::time::timeout(Duration::from_millis(1_300), ended).await.unwrap().unwrap();
    assert_eq!(record.reason(), EndReason::ClientVanished);
}

#[tokio::test]
async fn an_engine_that_hears_acknowledgements_is_believed() {
    let bench = Bench::new();
    let (granted, strings, _) = running(&bench, 1).await;
    bench.silence_ms.store(99_000, Ordering::SeqCst);
    strings.control.report_silence(|| Duration::ZERO);
    tokio::time::pause();
    assert!(tokio::time::timeout(seconds(9), granted.ended).await.is_err());
}

/// G3: while we send UDP, acknowledgements wait in a queue we fill ourselves.
#[tokio::test]
async fn while_we_send_udp_silence_lasts_ten_seconds() {
    let bench = Bench::new();
    let params = SessionParams { protocol: Some(Protocol::Udp), ..ask(30, true) };
    let granted = bench
        .sessions
        .request(&bench.connect(1), ticket(), &with(|_| ()), TestType::Throughput, &params)
        .await
        .unwrap();
    bench.strings(&granted).await;
    bench.silence_ms.store(99_000, Ordering::SeqCst);
    tokio::time::pause();
    let mut ended = granted.ended;
    assert!(tokio::time::timeout(seconds(9), &mut ended).await.is_err());
    let record = tokio::time::timeout(Duration::from_millis(1_300), ended).await.unwrap().unwrap();
    assert_eq!(record.reason(), EndReason::ClientVanished);
}

#[tokio::test]
async fn a_window_that_closes_ends_a_running_test() {
    let bench = Bench::new();
    let (granted, _, _) = running(&bench, 1).await;
    *bench.closed_until.lock().unwrap() = Some(Timestamp::from_millisecond(NOON + 60_000).unwrap());
    assert_eq!(end_of(granted).await.reason(), EndReason::WindowClosed);
}

#[tokio::test]
async fn a_running_test_lives_under_the_policy_of_now() {
    let bench = Bench::new();
    let (granted, _, _) = running(&bench, 1).await;
    bench.sessions.narrow(&peer(1), &with(|policy| policy.display_name = Some(Arc::from("closed"))));
    assert_eq!(end_of(granted).await.reason(), EndReason::WindowClosed);
}

/// A9
#[tokio::test]
async fn a_session_is_closed_by_its_own_peer_only() {
    let bench = Bench::new();
    let (granted, _, _) = running(&bench, 1).await;
    let id = granted.grant.test_id;
    assert_eq!(bench.sessions.close(&peer(2), &id).await, Err(NotYours));
    assert_eq!(bench.sessions.close(&peer(1), &uuid::Uuid::new_v4()).await, Err(NotYours));
    assert_eq!(bench.sessions.active(None).len(), 1);
    bench.sessions.close(&peer(1), &id).await.unwrap();
    assert!(bench.sessions.active(None).is_empty());
    assert_eq!(end_of(granted).await.reason(), EndReason::ClientTerminated);
}

/// A8
#[tokio::test]
async fn stopping_a_connection_ends_its_sessions_and_nobody_elses() {
    let bench = Bench::new();
    let (mine, _, _) = running(&bench, 1).await;
    let (theirs, _, _) = running(&bench, 2).await;
    assert_eq!(bench.stop(1, EndReason::Revoked), 1);
    assert_eq!(end_of(mine).await.reason(), EndReason::Revoked);
    bench.complete(theirs).await;
}

/// P10: over loopback the default of the position does not hold, and takes nothing from other sessions of the peer
/// when it is asked for; a limit that is set while a test runs does.
#[tokio::test]
async fn over_loopback_a_test_is_cut_by_a_limit_that_was_set_and_not_by_the_default() {
    let bench = Bench::new();
    let policy =
        with(|policy| (policy.quotas.max_concurrent_tests, policy.quotas.cooldown) = (2, seconds(0)));
    let wan = bench.up(&bench.connect(1), &policy).await.unwrap();
    let mut near = bench.connect(1);
    near.peer.source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let local = bench.up(&near, &policy).await.unwrap();
    let (wan, local) = (bench.strings(&wan).await, bench.strings(&local).await);
    local.control.meter().lease(4_000).settle(4_000);
    assert_eq!(wan.control.meter().lease(4_000).bytes(), 1_000);
    let meter = local.control.meter();
    let beyond = meter.lease(4_000);
    assert_eq!(beyond.bytes(), 4_000);
    beyond.settle(4_000);
    assert_eq!(wan.control.meter().lease(1).bytes(), 0);
    assert_eq!(wan.control.stop_reason(), Some(EndReason::QuotaExceeded));

    bench.sessions.narrow(&peer(1), &policy);
    assert_eq!(local.control.meter().lease(1).bytes(), 1);
    let set = with(|policy| policy.quotas.bytes_per_day_on_loopback = Some(8_000));
    bench.sessions.narrow(&peer(1), &set);
    assert_eq!(local.control.meter().lease(1).bytes(), 0);
    assert_eq!(local.control.stop_reason(), Some(EndReason::QuotaExceeded));
}

#[tokio::test]
async fn a_narrower_policy_holds_for_the_running_test() {
    let bench = Bench::new();
    let (granted, strings, _) = running(&bench, 1).await;
    strings.control.meter().lease(2_000).settle(2_000);
    bench.sessions.narrow(&peer(1), &with(|policy| policy.quotas.bytes_per_day = Some(2_500)));
    assert_eq!(strings.control.meter().lease(1_000).bytes(), 500);
    bench.sessions.narrow(&peer(2), &with(|policy| policy.quotas.allow_throughput = false));
    assert_eq!(strings.control.stop_reason(), None);
    bench.sessions.narrow(&peer(1), &with(|policy| policy.quotas.allow_throughput = false));
    assert_eq!(end_of(granted).await.reason(), EndReason::Revoked);
}

/// G6: with 5 000 bytes a day.
#[tokio::test]
async fn bytes_that_are_set_aside_are_nobody_elses_until_they_are_given_back() {
    let bench = Bench::new();
    let (granted, strings, _) = running(&bench, 1).await;
    let meter = strings.control.meter();
    let mut reserve = meter.reserve();
    reserve.set(3_000);
    assert_eq!((reserve.bytes(), meter.left(), meter.lease(9_000).bytes()), (3_000, Some(2_000), 2_000));
    reserve.set(9_000);
    assert_eq!((reserve.bytes(), meter.lease(1).bytes()), (5_000, 0), "all there is");
    assert_eq!(strings.control.stop_reason(), None, "nothing was moved");
    reserve.spend(1_500);
    assert_eq!((reserve.bytes(), meter.bytes(), meter.left()), (3_500, 1_500, Some(0)));
    bench.sessions.narrow(&peer(1), &with(|policy| policy.quotas.bytes_per_day = Some(2_500)));
    reserve.set(3_500);
    assert_eq!(reserve.bytes(), 1_000, "a shorter day has no more");
    drop(reserve);
    assert_eq!(meter.left(), Some(1_000));
    assert_eq!(bench.complete(granted).await.bytes, 1_500);
    assert_eq!(bench.ledger.usage(&peer(1)).unwrap().bytes_today, 1_500);
}

/// C6, E4
#[tokio::test]
async fn a_drain_lets_a_running_test_finish_with_its_second_half() {
    let bench = Bench::new();
    let (up, _, from) = running(&bench, 1).await;
    let other = bench.connect(2);
    let policy = with(|_| ());
    let sessions = bench.sessions.clone();
    let drain = tokio::spawn(async move { sessions.drain(seconds(40)).await });
    tokio::task::yield_now().await;
    let denied = bench.up(&other, &policy).await.unwrap_err();
    assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::Busy, Some(60)));
    bench.complete(up).await;
    let down = bench.down(&from, &policy).await.unwrap();
    assert!(!drain.is_finished());
    bench.complete(down).await;
    assert_eq!(tokio::time::timeout(PATIENCE, drain).await.unwrap().unwrap(), 0);
    assert_eq!(bench.diary.ended.lock().unwrap().len(), 2);
}

/// C6, E4
#[tokio::test]
async fn a_drain_cuts_what_does_not_end_and_records_it() {
    let bench = Bench::new();
    bench.act(Act::IgnoreStop);
    let (granted, _, _) = running(&bench, 1).await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(bench.sessions.drain(seconds(3)).await, 1);
    assert!(started.elapsed() >= seconds(3) && started.elapsed() < seconds(5), "{:?}", started.elapsed());
    assert_eq!(granted.ended.await.unwrap().reason(), EndReason::Shutdown);
    assert!(bench.puppet.ports.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_drain_with_nothing_running_is_over_at_once() {
    let bench = Bench::new();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(bench.sessions.drain(seconds(30)).await, 0);
    assert!(started.elapsed() < seconds(1));
}
