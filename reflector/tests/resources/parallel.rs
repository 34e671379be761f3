//! Admission under a stampede: every request at the same instant, round after round.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use e2e::appliance::{Answer, Appliance, Connection, Error, Grant, Key, Test};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::bed::{Bed, PATIENCE, until};
use crate::good::{Good, run};
use crate::{count, long, source, turn};

const PEERS: usize = 8;
const CONNECTIONS: usize = 8;
/// Sessions of all peers together, and of one peer.
const IN_ALL: usize = 5;
const OF_ONE: usize = 2;

const ROUNDS: usize = 100;
const LONG_ROUNDS: usize = 1000;

/// One of the 64, and whose it is.
struct One {
    peer: usize,
    connection: Connection,
}

/// All of them ask at once.
async fn stampede(all: Vec<One>) -> Vec<(One, Result<Answer, Error>)> {
    let barrier = Arc::new(Barrier::new(all.len()));
    let mut asking = JoinSet::new();
    for mut one in all {
        let barrier = Arc::clone(&barrier);
        asking.spawn(async move {
            barrier.wait().await;
            let answer = one.connection.request(&Test::throughput(5)).await;
            (one, answer)
        });
    }
    asking.join_all().await
}

/// Ends the sessions of a round: by their data, or by a word from another connection of the same peer.
async fn end(granted: Vec<(usize, Grant)>, all: &mut [One], by_word: bool) -> Vec<(usize, u64)> {
    if by_word {
        for (peer, grant) in &granted {
            let mine = all.iter_mut().find(|one| one.peer == *peer).unwrap();
            mine.connection.close_session(&grant.test_id).await.unwrap();
        }
        return Vec::new();
    }
    let mut running = JoinSet::new();
    for (peer, grant) in granted {
        running.spawn(async move { (peer, run(&grant).await) });
    }
    running.join_all().await
}

/// G1, G2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_parallel_requests_never_exceed_a_cap_or_share_a_port() {
    let _turn = turn().await;
    let bed = Bed::with(&format!(
        "[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 10000\nmax_concurrent_tests = {IN_ALL}\n"
    ))
    .await;
    let keys: Vec<Key> = (0..PEERS).map(|_| Key::generate()).collect();
    for (n, key) in keys.iter().enumerate() {
        bed.write_peer(key, &format!("peer-{n}"), &format!("  quotas: {{ maxConcurrentTests: {OF_ONE} }}\n"));
    }
    until(|| (bed.status()["policy"]["authorized"] == PEERS).then_some(()), "eight peers").await;
    let bystander = Good::new(&bed, "bystander");
    let mut bystander = bystander.connect().await.unwrap();
    let mut all = Vec::new();
    for (peer, key) in keys.iter().enumerate() {
        let appliance = Appliance::builder(key.clone()).bind(source(peer)).wait(PATIENCE);
        for _ in 0..CONNECTIONS {
            all.push(One { peer, connection: appliance.open(bed.addr).await.unwrap().0 });
        }
    }

    let mut bytes = [0; PEERS];
    for round in 0..if long() { LONG_ROUNDS } else { ROUNDS } {
        let (answers, status) = tokio::join!(stampede(std::mem::take(&mut all)), bystander.status());
        status.unwrap();
        let mut granted = Vec::new();
        for (one, answer) in answers {
            match answer.unwrap() {
                Answer::Granted(grant) => granted.push((one.peer, grant)),
                Answer::Denied(denial) => {
                    assert_eq!(denial.reason, "busy", "round {round}: {denial}");
                    assert!((1..=10).contains(&denial.retry_after_sec.unwrap()), "round {round}: {denial}");
                }
            }
            all.push(one);
        }
        // As many as there are slots, not one more; and not one less, or an ended session had kept its slot.
        assert_eq!(granted.len(), IN_ALL, "round {round}");
        let mut of_one = HashMap::new();
        for (peer, _) in &granted {
            *of_one.entry(*peer).or_insert(0) += 1;
        }
        assert!(of_one.values().all(|sessions| *sessions <= OF_ONE), "round {round}: {of_one:?}");
        let ports: HashSet<u16> = granted.iter().map(|(_, grant)| grant.port).collect();
        assert_eq!(ports.len(), IN_ALL, "round {round}: {granted:?}");
        let ids: HashSet<&str> = granted.iter().map(|(_, grant)| grant.test_id.as_str()).collect();
        assert_eq!(ids.len(), IN_ALL, "round {round}");
        for (peer, moved) in end(granted, &mut all, round % 10 == 9).await {
            bytes[peer] += moved;
        }
    }

    for (peer, bytes) in bytes.into_iter().enumerate() {
        let one = all.iter_mut().find(|one| one.peer == peer).unwrap();
        assert_eq!(one.connection.status().await.unwrap()["bytes_today"], bytes, "peer {peer}");
    }
    assert_eq!(bed.status()["active_tests"], 0);
    assert_eq!(count(&bed, r#"reflector_sessions_active{type="throughput"}"#).await, 0);
}
