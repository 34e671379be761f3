//! From a request to the record of its end, when nobody stops it.

use super::*;

/// G2
#[tokio::test]
async fn a_request_right_after_a_finished_test_is_granted() {
    let bench = Bench::new();
    let (policy, from) = (with(|policy| policy.quotas.cooldown = Duration::ZERO), bench.connect(1));
    for _ in 0..5 {
        let granted = bench.up(&from, &policy).await.unwrap();
        let record = bench.complete(granted).await;
        assert_eq!(record.reason(), EndReason::Completed);
        assert!(bench.sessions.active(None).is_empty());
    }
    assert!(bench.puppet.ports.lock().unwrap().is_empty());
}

/// G9
#[tokio::test]
async fn a_grant_names_a_live_port_and_a_whole_second_of_expiry() {
    let bench = Bench::new();
    let granted = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap();
    let grant = &granted.grant;
    assert_eq!(*bench.puppet.ports.lock().unwrap(), vec![grant.port]);
    assert_eq!(grant.duration_sec, Some(10));
    // Noon and 321 ms, ten seconds, five of slack.
    assert_eq!(grant.expires_at.as_millisecond(), NOON + 15_000);
    assert_eq!(uuid::Uuid::parse_str(&grant.token).unwrap().get_version_num(), 4);
    let [active] = &bench.sessions.active(Some(&peer(1)))[..] else { panic!("one session") };
    assert_eq!((active.test_id, active.remaining), (grant.test_id, seconds(10)));
    assert_eq!(active.started_at.as_millisecond(), NOON + 321);
    assert!(bench.sessions.active(Some(&peer(2))).is_empty());
}

/// G7
#[tokio::test]
async fn a_grant_is_on_disk_before_it_is_sent() {
    let bench = Bench::new();
    let _granted = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap();
    bench.ledger.vanish();
    let now = Arc::clone(&bench.now);
    let path = bench.folder.path().join("ledger.redb");
    let ledger = Ledger::open(&path, Arc::new(move || *now.lock().unwrap())).unwrap();
    let book = ledger.account(peer(1)).snapshot(ledger.moment());
    assert_eq!(book.grants.len(), 1);
    assert!(book.last_end.is_some(), "the cooldown runs after a crash too");
}

#[tokio::test]
async fn one_record_tells_the_whole_session_to_everybody() {
    let bench = Bench::new();
    let granted = bench.up(&bench.connect(3), &with(|_| ())).await.unwrap();
    let strings = bench.strings(&granted).await;
    let meter = strings.control.meter();
    let lease = meter.lease(1000);
    lease.settle(700);
    meter.charge_unread(44);
    let record = bench.complete(granted).await;
    assert_eq!((record.bytes, record.unread_bytes), (700, 44));
    assert_eq!(meter.lease(1).bytes(), 0, "nothing moves after the end");
    assert_eq!((record.peer, &*record.peer_name), (peer(3), "living-room"));
    assert_eq!(record.duration(), Duration::from_millis(1234));
    assert_eq!(*bench.diary.ended.lock().unwrap(), vec![record.clone()]);
    let usage = bench.ledger.usage(&peer(3)).unwrap();
    assert_eq!((usage.bytes_today, usage.tests_today), (744, 1));
    assert_eq!(usage.last_test.unwrap().test_id, record.test_id);
}

#[tokio::test]
async fn the_cooldown_runs_from_the_end_and_a_new_connection_does_not_dodge_it() {
    let bench = Bench::new();
    let policy = with(|_| ());
    let granted = bench.up(&bench.connect(1), &policy).await.unwrap();
    bench.pass(seconds(8));
    bench.complete(granted).await;
    bench.pass(Duration::from_millis(1500));
    let denied = bench.up(&bench.connect(1), &policy).await.unwrap_err();
    assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::RateLimited, Some(4)));
    assert_eq!(*bench.diary.denied.lock().unwrap(), vec![denied]);
    assert_eq!(bench.ledger.usage(&peer(1)).unwrap().denied_today, 1);
    bench.pass(seconds(4));
    bench.up(&bench.connect(1), &policy).await.unwrap();
}

/// P3: an appliance's speed test is one test in two sessions.
#[tokio::test]
async fn the_two_halves_of_a_speed_test_count_as_one_and_a_third_does_not() {
    let bench = Bench::new();
    let (policy, from) = (with(|policy| policy.quotas.tests_per_hour = 1), bench.connect(1));
    let up = bench.up(&from, &policy).await.unwrap();
    bench.complete(up).await;
    let down = bench.down(&from, &policy).await.unwrap();
    let record = bench.complete(down).await;
    assert!(record.plan.second_half);
    let third = bench.up(&from, &policy).await.unwrap_err();
    assert_eq!((third.reason, third.retry_after_sec), (DenyReason::RateLimited, Some(5)));
    bench.pass(seconds(5));
    let third = bench.up(&from, &policy).await.unwrap_err();
    assert_eq!((third.reason, third.retry_after_sec), (DenyReason::RateLimited, Some(3595)));
    assert_eq!(bench.ledger.usage(&peer(1)).unwrap().tests_today, 1);
}

#[tokio::test]
async fn a_second_half_that_could_not_be_prepared_may_be_asked_for_again() {
    let bench = Bench::new();
    let (policy, from) = (with(|_| ()), bench.connect(1));
    let up = bench.up(&from, &policy).await.unwrap();
    bench.complete(up).await;
    bench.act(Act::Exhausted);
    assert_eq!(bench.down(&from, &policy).await.unwrap_err().reason, DenyReason::Busy);
    bench.act(Act::Obey);
    bench.down(&from, &policy).await.unwrap();
}

#[tokio::test]
async fn a_second_half_is_granted_once_even_while_it_runs() {
    let bench = Bench::new();
    let (policy, from) = (with(|policy| policy.quotas.max_concurrent_tests = 2), bench.connect(1));
    let up = bench.up(&from, &policy).await.unwrap();
    bench.complete(up).await;
    let _down = bench.down(&from, &policy).await.unwrap();
    assert_eq!(bench.down(&from, &policy).await.unwrap_err().reason, DenyReason::RateLimited);
}

/// G2: the slot is free when the client's last byte was seen, not when the last goodbye is said.
#[tokio::test]
async fn a_released_session_no_longer_holds_its_slot() {
    let bench = Bench::new();
    let (policy, from) = (with(|_| ()), bench.connect(1));
    let up = bench.up(&from, &policy).await.unwrap();
    bench.strings(&up).await.control.released();
    let down = bench.down(&from, &policy).await.unwrap();
    assert_eq!(bench.sessions.active(None).len(), 2);
    bench.complete(up).await;
    bench.complete(down).await;
}

#[tokio::test]
async fn a_request_during_the_last_exchange_of_the_own_test_waits_for_it() {
    let bench = Bench::new();
    let (policy, from) = (with(|_| ()), bench.connect(1));
    let up = bench.up(&from, &policy).await.unwrap();
    let strings = bench.strings(&up).await;
    assert_eq!(bench.down(&from, &policy).await.unwrap_err().reason, DenyReason::Busy);
    strings.control.closing();
    let both = tokio::join!(bench.down(&from, &policy), async {
        tokio::task::yield_now().await;
        strings.end(EndReason::Completed);
    });
    both.0.unwrap();
}

#[tokio::test]
async fn a_last_exchange_that_does_not_end_is_waited_for_one_second() {
    let bench = Bench::new();
    let (policy, from) = (with(|_| ()), bench.connect(1));
    let up = bench.up(&from, &policy).await.unwrap();
    bench.strings(&up).await.control.closing();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(bench.down(&from, &policy).await.unwrap_err().reason, DenyReason::Busy);
    let waited = started.elapsed();
    assert!(waited >= seconds(1) && waited < Duration::from_millis(1100), "{waited:?}");
}

#[tokio::test]
async fn what_cannot_be_prepared_leaves_no_trace_and_says_why() {
    let bench = Bench::new();
    let policy = with(|_| ());
    let deny = |act: Act, from: Requester| {
        bench.act(act);
        let (bench, policy) = (&bench, &policy);
        async move {
            let denied = bench.up(&from, policy).await.unwrap_err();
            bench.assert_untouched(1);
            denied
        }
    };
    let exhausted = deny(Act::Exhausted, bench.connect(1)).await;
    assert_eq!((exhausted.reason, exhausted.retry_after_sec), (DenyReason::Busy, Some(60)));
    let mut modern = bench.connect(1);
    modern.peer.features = Features::of(&[Feature::ResourceExhausted]);
    assert_eq!(deny(Act::Exhausted, modern).await.reason, DenyReason::ResourceExhausted);
    let unsupported = deny(Act::Unsupported, bench.connect(1)).await;
    assert_eq!((unsupported.reason, unsupported.retry_after_sec), (DenyReason::InvalidParams, None));
    assert!(unsupported.message.contains("only IPv4 here"));
    assert_eq!(deny(Act::PanicInPrepare, bench.connect(1)).await.reason, DenyReason::Busy);
}

#[tokio::test]
async fn a_client_that_hangs_up_before_its_grant_leaves_no_trace() {
    let bench = Bench::new();
    bench.act(Act::HangInPrepare);
    let (from, policy) = (bench.connect(1), with(|_| ()));
    let request = bench.up(&from, &policy);
    let _ = tokio::time::timeout(Duration::from_millis(20), request).await.unwrap_err();
    bench.assert_untouched(1);
}

#[tokio::test]
async fn a_listener_that_does_not_come_up_is_given_up_after_five_seconds() {
    let bench = Bench::new();
    bench.act(Act::HangInPrepare);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let (from, policy) = (bench.connect(1), with(|_| ()));
    let answer = tokio::time::timeout(seconds(60), bench.up(&from, &policy)).await;
    assert_eq!(answer.expect("an answer").unwrap_err().reason, DenyReason::Busy);
    assert!(started.elapsed() >= seconds(5) && started.elapsed() < Duration::from_millis(5_100));
    bench.assert_untouched(1);
}

/// A8
#[tokio::test]
async fn a_peer_revoked_while_its_listener_comes_up_gets_no_grant() {
    let bench = Bench::new();
    for (told, answer) in [
        (EndReason::Revoked, (DenyReason::Unauthorized, None)),
        (EndReason::Shutdown, (DenyReason::Busy, Some(60))),
    ] {
        bench.act(Act::WaitInPrepare);
        let (from, policy) = (bench.connect(1), with(|_| ()));
        let (denied, ()) = tokio::join!(bench.up(&from, &policy), async {
            assert_eq!(bench.stop(1, told), 1);
            bench.puppet.gate.notify_one();
        });
        let denied = denied.unwrap_err();
        assert_eq!((denied.reason, denied.retry_after_sec), answer);
        bench.assert_untouched(1);
    }
}

#[tokio::test]
async fn a_test_that_never_started_leaves_no_cooldown_on_disk() {
    let bench = Bench::new();
    bench.act(Act::Exhausted);
    bench.up(&bench.connect(1), &with(|_| ())).await.unwrap_err();
    bench.ledger.commit().await.unwrap();
    bench.ledger.vanish();
    let now = Arc::clone(&bench.now);
    let path = bench.folder.path().join("ledger.redb");
    let ledger = Ledger::open(&path, Arc::new(move || *now.lock().unwrap())).unwrap();
    assert_eq!(ledger.account(peer(1)).snapshot(ledger.moment()).last_end, None);
}

#[tokio::test]
async fn nothing_is_granted_that_cannot_be_recorded() {
    let closed = Bench::new();
    closed.ledger.close().await.unwrap();
    let full = Bench::on(|clock, _| crate::ledger::tests::ledger_on_a_full_disk(clock));
    for bench in [closed, full] {
        let denied = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap_err();
        assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::Busy, Some(60)));
        bench.assert_untouched(1);
    }
}

#[tokio::test]
async fn a_type_without_an_engine_is_denied_and_says_so() {
    let bench = Bench::new();
    let echo = bench
        .sessions
        .request(&bench.connect(1), ticket(), &with(|_| ()), TestType::UdpEcho, &ask(10, false))
        .await;
    let denied = echo.unwrap_err();
    assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::InvalidParams, None));
    assert!(denied.message.contains("no engine for udp_echo"), "{}", denied.message);
}

/// L3
#[tokio::test]
async fn nothing_is_granted_while_audit_refuses() {
    let bench = Bench::new();
    bench.diary.refuses.store(true, Ordering::SeqCst);
    let denied = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap_err();
    assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::Busy, Some(60)));
}

/// G11
#[tokio::test]
async fn inside_a_window_the_wait_is_to_its_edge() {
    let bench = Bench::new();
    *bench.closed_until.lock().unwrap() = Some(Timestamp::from_millisecond(NOON + 90_000).unwrap());
    let denied = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap_err();
    assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::RateLimited, Some(90)));
}
