//! The handle: channels, times, the clock task under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::super::fixtures::{at, id, key, numbered, peer, reflector};
use super::super::*;

fn access_with(authorized_peers: Vec<EndpointId>) -> Access {
    let start = Instant::now();
    let clock: Clock = Arc::new(move || {
        let passed = start.elapsed();
        let mut now = at(passed.as_secs());
        now.mono_ms = u64::try_from(passed.as_millis()).unwrap();
        now
    });
    Access::new(
        Settings { reflector: reflector(), authorized_peers, offline_grace: Duration::from_secs(3600) },
        clock,
    )
}

fn access() -> Access {
    access_with(vec![])
}

fn load(access: &Access, objects: &[(&str, fixtures::PeerBuilder)], received: u64) {
    access.load(objects.iter().map(|(file, p)| (key(file), p.object())).collect(), 0, received);
}

fn refusal(standing: &Standing) -> Option<Refusal> {
    match &standing.verdict {
        Verdict::Refused(refusal) => Some(refusal.clone()),
        Verdict::Allowed(_) => None,
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(7200), what).await.expect("within the deadline")
}

/// A1
#[tokio::test(start_paused = true)]
async fn a_removed_peer_is_told_with_the_time_the_change_arrived() {
    let access = access();
    load(&access, &[("a.yaml", peer("a").endpoint(1))], 0);
    let mut standing = access.subscribe(id(1));
    assert_eq!(refusal(&standing.borrow_and_update()), None);
    load(&access, &[], 1234);
    soon(standing.changed()).await.unwrap();
    let told = standing.borrow_and_update().clone();
    assert_eq!((refusal(&told), told.since_mono_ms), (Some(Refusal::Removed), 1234));
}

/// A1
#[tokio::test(start_paused = true)]
async fn an_added_peer_is_told() {
    let access = access();
    load(&access, &[], 0);
    let mut standing = access.subscribe(id(1));
    assert_eq!(refusal(&standing.borrow_and_update()), Some(Refusal::Unknown));
    load(&access, &[("a.yaml", peer("a").endpoint(1))], 5);
    soon(standing.changed()).await.unwrap();
    assert_eq!(refusal(&standing.borrow()), None);
}

#[tokio::test(start_paused = true)]
async fn a_removed_peer_becomes_a_stranger_when_its_last_connection_is_gone() {
    let access = access();
    load(&access, &[("a.yaml", peer("a").endpoint(1))], 0);
    let standing = access.subscribe(id(1));
    load(&access, &[], 1);
    assert_eq!(access.verdict(&id(1)), Verdict::Refused(Refusal::Removed));
    assert_eq!(
        refusal(&access.subscribe(id(1)).borrow()),
        Some(Refusal::Removed),
        "also for a new connection"
    );
    drop(standing);
    assert_eq!(access.verdict(&id(1)), Verdict::Refused(Refusal::Unknown));
    assert_eq!(refusal(&access.subscribe(id(1)).borrow()), Some(Refusal::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_not_sent_to_when_nothing_changed_for_it() {
    let access = access();
    load(&access, &[("a.yaml", peer("a").endpoint(1))], 0);
    let mut standing = access.subscribe(id(1));
    standing.mark_unchanged();
    load(&access, &[("a.yaml", peer("a").endpoint(1)), ("b.yaml", peer("b").endpoint(2))], 1);
    access.source_away("gone".into());
    assert!(!standing.has_changed().unwrap());
}

/// A10
#[tokio::test(start_paused = true)]
async fn the_clock_ends_a_peer_when_it_expires() {
    let access = access();
    let cancel = CancellationToken::new();
    let task = tokio::spawn({
        let (access, cancel) = (access.clone(), cancel.clone());
        async move { access.run_clock(cancel).await }
    });
    load(&access, &[("a.yaml", peer("a").endpoint(1).expires(500))], 0);
    let mut standing = access.subscribe(id(1));
    let start = Instant::now();
    soon(standing.changed()).await.unwrap();
    assert_eq!(refusal(&standing.borrow()), Some(Refusal::Expired { peer: "a".into() }));
    assert!((500..502).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    cancel.cancel();
    soon(task).await.unwrap();
}

/// G12, X2
#[tokio::test(start_paused = true)]
async fn the_clock_ends_the_grace_of_an_absent_source() {
    let access = access();
    let cancel = CancellationToken::new();
    let task = tokio::spawn({
        let (access, cancel) = (access.clone(), cancel.clone());
        async move { access.run_clock(cancel).await }
    });
    load(&access, &[("a.yaml", peer("a").endpoint(1))], 0);
    let mut standing = access.subscribe(id(1));
    assert!(access.may_pair());
    access.source_away("the directory is gone".into());
    assert!(!access.may_pair(), "no pairing while the source is away");
    assert_eq!(access.status().state, "stale");
    assert_eq!(access.status().broken[0].problem, "the directory is gone");
    let start = Instant::now();
    soon(standing.changed()).await.unwrap();
    assert_eq!(refusal(&standing.borrow()), Some(Refusal::GraceOver));
    assert_eq!(start.elapsed().as_secs(), 3600);
    assert_eq!((access.status().state.as_str(), access.status().authorized), ("grace_over", 0));
    cancel.cancel();
    soon(task).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_object_that_arrives_expired_is_never_allowed() {
    let access = access();
    tokio::time::advance(Duration::from_secs(600)).await;
    load(&access, &[("a.yaml", peer("a").endpoint(1).expires(500))], 0);
    assert_eq!(access.verdict(&id(1)), Verdict::Refused(Refusal::Expired { peer: "a".into() }));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_strangers_leave_a_bounded_number_of_channels() {
    let access = access();
    load(&access, &[], 0);
    let kept = access.subscribe(id(1));
    for n in 0..10_000 {
        drop(access.subscribe(numbered(n)));
    }
    assert!(access.channels() <= 65, "{}", access.channels());
    load(&access, &[("a.yaml", peer("a").endpoint(1))], 0);
    assert_eq!(refusal(&kept.borrow()), None, "the one in use is still served");
}

#[tokio::test(start_paused = true)]
async fn status_and_list_name_every_state() {
    let access = access_with(vec![id(9)]);
    load(
        &access,
        &[
            ("a.yaml", peer("good").endpoint(1)),
            ("b.yaml", peer("off").endpoint(2).suspended()),
            ("c.yaml", peer("late").endpoint(3).expires(0)),
            ("d.yaml", peer("bad").endpoint(4).broken()),
            ("e.yaml", peer("twice").endpoint(1)),
            ("f.yaml", peer("soon")),
        ],
        0,
    );
    let listed: Vec<_> = access.peers().iter().map(|p| (p.name.to_string(), p.state.as_str())).collect();
    let expected = [
        ("good", "authorized"),
        ("off", "suspended"),
        ("late", "expired"),
        ("bad", "invalid"),
        ("twice", "duplicate"),
        ("soon", "waiting"),
        ("config-14JM-2J4M", "authorized"),
    ];
    assert_eq!(listed.len(), expected.len());
    for ((name, state), (expected_name, expected_state)) in listed.iter().zip(expected) {
        assert!(name.eq_ignore_ascii_case(expected_name) || expected_name.starts_with("config-"), "{name}");
        assert_eq!(*state, expected_state, "{name}");
    }
    let status = access.status();
    assert_eq!((status.authorized, status.refused, status.broken.len()), (2, 2, 2));
    assert!(status.broken[0].problem.contains("maxStreams"), "{:?}", status.broken);
    assert!(status.broken[1].problem.contains("Duplicate: good (a.yaml)"), "{:?}", status.broken);
    let counts = access.counts();
    assert_eq!((counts.broken, counts.waiting), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_status_names_a_page_of_broken_objects_and_counts_the_rest() {
    let access = access();
    let many = (0..=255u8).chain(0..=255).take(300);
    let objects = many
        .enumerate()
        .map(|(i, n)| (key(&format!("{i:03}.yaml")), peer("x").endpoint(n).broken().object()));
    access.load(objects.collect(), 0, 0);
    let broken = access.status().broken;
    assert_eq!(broken.len(), report::MAX_NAMED_BROKEN + 1);
    assert_eq!(broken.last().unwrap().name, "250 more");
}
