//! Places: silent sockets and home-made certificates fill those of strangers, and nobody else's.

use std::net::{IpAddr, SocketAddr};

use e2e::appliance::{Appliance, Connection, Key};
use futures_util::future::join_all;
use reflector::server::limits::{
    MAX_CONNECTIONS, MAX_HALF_OPEN, MAX_HALF_OPEN_PER_SOURCE, MAX_KNOWN, MAX_PER_ID,
};

use crate::bed::{Bed, PATIENCE, until};
use crate::crowd::Crowd;
use crate::good::Good;
use crate::{GENEROUS, count, source, turn};

const HALF_OPEN: &str = r#"reflector_connections{state="half_open"}"#;
const KNOWN: &str = r#"reflector_connections{state="known"}"#;
const CROWDED: &str = r#"reflector_connections_refused_total{reason="crowded"}"#;

/// P9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_silent_sockets_do_not_keep_a_good_peer_waiting() {
    let _turn = turn().await;
    let bed = Bed::with(GENEROUS).await;
    let good = Good::new(&bed, "good");
    let before = good.connect().await.unwrap();

    // From fifty sources: they fill the places of strangers and push each other out.
    let sources: Vec<IpAddr> = (0..50).map(source).collect();
    let crowd = Crowd::gather(bed.addr, &sources, 10).await;
    good.is_served_in_time(10).await;
    good.at(sources[7]).is_served_in_time(5).await;
    let half_open = count(&bed, HALF_OPEN).await;
    assert!((200..=MAX_HALF_OPEN).contains(&half_open), "{half_open}");
    assert!(count(&bed, CROWDED).await >= 200);
    crowd.leave().await;

    // All from one source, which a good peer shares: it pushes out its own, and the good peer still comes in.
    let crowd = Crowd::gather(bed.addr, &[source(99)], 500).await;
    good.is_served_in_time(10).await;
    let half_open = count(&bed, HALF_OPEN).await;
    assert!(half_open <= MAX_HALF_OPEN_PER_SOURCE + 1, "{half_open}");
    good.at(source(99)).is_served_in_time(5).await;
    assert!(crowd.opened() >= 500);
    crowd.leave().await;

    let mut before = before;
    before.status().await.unwrap();
    before.close().await.unwrap();
    until(|| (bed.status()["connections"] == 0).then_some(()), "every place to be free").await;
}

/// A TLS connection of somebody nobody knows, held open: with a pairing window open, hello is answered.
async fn stranger(addr: SocketAddr, from: IpAddr) -> Connection {
    let appliance = Appliance::builder(Key::generate()).bind(from).wait(PATIENCE);
    appliance.open(addr).await.unwrap().0
}

/// P9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn home_made_certificates_cannot_fill_every_place() {
    let _turn = turn().await;
    // One ID for each eight places of known ones, and one too many.
    let known: Vec<Key> = (0..=MAX_KNOWN / MAX_PER_ID).map(|_| Key::generate()).collect();
    let ids: Vec<String> = known.iter().map(|key| format!("{:?}", key.endpoint_id())).collect();
    let bed = Bed::with(&format!(
        "[access]\nname = \"attic\"\nauthorized_peers = [{}]\n{GENEROUS}",
        ids.join(", ")
    ))
    .await;
    bed.pair();
    let good = Good::new(&bed, "good");

    // 300 strangers, three from each of a hundred sources, each of them through the handshake and past its hello.
    let mut strangers = Vec::new();
    for batch in 0..30 {
        let knock = |n: usize| stranger(bed.addr, source(100 + (batch * 10 + n) % 100));
        strangers.extend(join_all((0..10).map(knock)).await);
        if batch % 5 == 4 {
            good.is_served_in_time(1).await;
        }
    }
    good.is_served_in_time(10).await;
    // The good peer pushed one out before policy knew it, and left that place empty.
    assert!(count(&bed, HALF_OPEN).await >= MAX_HALF_OPEN - 1);
    assert!(count(&bed, CROWDED).await >= 44);

    // Every place of known IDs fills up beside them: eight for each ID and no ninth.
    let mut inside = Vec::new();
    let (spare, full) = known.split_last().unwrap();
    for key in full {
        // Each from an address of its own: eight handshakes of one source would make it the most loaded one.
        let appliance = Appliance::builder(key.clone()).wait(PATIENCE);
        let open = async |n: usize| appliance.clone().bind(source(300 + n)).open(bed.addr).await;
        let eight = join_all((0..MAX_PER_ID).map(open)).await;
        inside.extend(eight.into_iter().map(|opened| opened.unwrap().0));
    }
    let ninth = Appliance::builder(full[0].clone()).open(bed.addr).await.unwrap_err();
    assert_eq!(ninth.code(), Some(403), "{ninth}");
    assert!(ninth.to_string().contains("of this identity"), "{ninth}");
    let one_too_many = Appliance::builder(spare.clone()).open(bed.addr).await.unwrap_err();
    assert_eq!(one_too_many.code(), Some(403), "{one_too_many}");
    assert!(!one_too_many.to_string().contains("of this identity"), "{one_too_many}");
    assert_eq!(count(&bed, KNOWN).await, MAX_KNOWN);
    assert!(bed.status()["connections"].as_u64().unwrap() <= MAX_CONNECTIONS as u64);

    // Whoever is inside is served as ever, and one that leaves makes room for one.
    inside.last_mut().unwrap().status().await.unwrap();
    inside.pop().unwrap().close().await.unwrap();
    until(|| (bed.status()["connections"].as_u64()? < MAX_CONNECTIONS as u64).then_some(()), "room").await;
    good.is_served_in_time(1).await;
}
