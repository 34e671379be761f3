//! Handshakes that must fail, each with its alert.

use e2e::appliance::{Appliance, Closed, Ending, Error, Key, raw};
use tokio::io::AsyncWriteExt;

use super::{Bed, Good, denied, loopback, until_metric};

/// P5
#[tokio::test]
async fn no_client_certificate_is_alert_116() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let key = Key::generate();
    bed.add(&key, "bare");
    let abuse = Appliance::builder(key).no_client_certificate();
    let refused = good.during(abuse.open(bed.addr)).await.unwrap_err();
    assert_eq!(refused.alert(), Some(116), "{refused}");
    let line = denied(&bed, "no_client_certificate").await;
    assert_eq!((&line["peer_id"], &line["decision"]), (&serde_json::Value::Null, &"denied".into()));
    until_metric(&bed, "reflector_handshakes_total{result=\"no_client_certificate\"}", 1.0).await;
}

/// P5
#[tokio::test]
async fn tls_1_2_is_alert_70() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let abuse = async {
        let mut socket = raw::connect(bed.addr, Some(loopback(2))).await.unwrap();
        socket.write_all(&raw::tls12_client_hello()).await.unwrap();
        let alert = raw::read_alert(&mut socket).await.unwrap();
        (alert, raw::read_until_closed(&mut socket).await)
    };
    let (alert, closed) = good.during(abuse).await;
    assert_eq!(alert, (2, 70));
    assert_eq!(closed, Closed { how: Ending::Fin, unread: Vec::new() });
    denied(&bed, "tls_version").await;
    until_metric(&bed, "reflector_handshakes_total{result=\"tls_version\"}", 1.0).await;
}

/// P4
#[tokio::test]
async fn pp_link_is_chosen_and_none_is_accepted_and_another_alpn_is_alert_120() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let key = Key::generate();
    bed.add(&key, "alpn");
    let with = |alpn: Option<&'static [u8]>| Appliance::builder(key.clone()).alpn(alpn);
    for offered in [None, Some(b"pp-link/1".as_slice())] {
        let (connection, _) = with(offered).open(bed.addr).await.unwrap();
        assert_eq!(connection.alpn(), offered);
    }
    // Data connections have their own protocol, and so far there is no engine for them.
    for (count, offered) in [(1.0, b"h2".as_slice()), (2.0, b"pp-data/1"), (3.0, b"pp-link/2")] {
        let refused = good.during(with(Some(offered)).open(bed.addr)).await.unwrap_err();
        assert_eq!(refused.alert(), Some(120), "{refused}");
        until_metric(&bed, "reflector_handshakes_total{result=\"wrong_alpn\"}", count).await;
    }
    denied(&bed, "wrong_alpn").await;
}

/// P4
#[tokio::test]
async fn no_alpn_is_alert_120_where_the_configuration_requires_one() {
    let bed = Bed::launch("", &[("REFLECTOR__NETWORK__REQUIRE_ALPN", "true")]).await;
    let key = Key::generate();
    bed.add(&key, "alpn");
    let offering = Appliance::builder(key.clone()).alpn(Some(b"pp-link/1"));
    let stock = Appliance::builder(key);
    let (refused, served) = tokio::join!(stock.open(bed.addr), offering.open(bed.addr));
    let refused = refused.unwrap_err();
    assert_eq!(refused.alert(), Some(120), "{refused}");
    let (mut connection, _) = served.unwrap();
    assert_eq!(connection.alpn(), Some(b"pp-link/1".as_slice()));
    connection.status().await.unwrap();
    let line = denied(&bed, "wrong_alpn").await;
    assert!(line["params"]["detail"].as_str().unwrap().contains("network.require_alpn"), "{line}");
}

/// I6
#[tokio::test]
async fn a_forged_name_is_alert_42_audited_and_counted() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (thief, victim) = (Key::generate(), Key::generate());
    // Even whom policy knows may not call itself somebody else.
    bed.add(&thief, "thief");
    bed.add(&victim, "victim");
    let honest = Appliance::builder(thief.clone());
    let forgeries = [
        honest.clone().forged_san(&victim.endpoint_id()),
        honest.clone().forged_common_name(&victim.endpoint_id()),
    ];
    for (count, forgery) in [1.0, 2.0].into_iter().zip(forgeries) {
        let refused = good.during(forgery.open(bed.addr)).await.unwrap_err();
        assert_eq!(refused.alert(), Some(42), "{refused}");
        until_metric(&bed, "reflector_handshakes_total{result=\"identity_forged\"}", count).await;
        until_metric(&bed, "reflector_connections_refused_total{reason=\"identity_forged\"}", count).await;
    }
    let line = denied(&bed, "identity_forged").await;
    assert_eq!(
        line["peer_id"],
        thief.endpoint_id(),
        "the key that was proven, not the name that was claimed"
    );
    assert!(line["params"]["detail"].as_str().unwrap().contains(&victim.endpoint_id()), "{line}");
    assert_eq!(line["decision"], "denied");
    honest.open(bed.addr).await.unwrap();
}

/// I6
#[tokio::test]
async fn a_stolen_certificate_opens_nothing() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (thief, victim) = (Key::generate(), Key::generate());
    bed.add(&victim, "victim");
    let abuse = Appliance::builder(thief).stolen_certificate(victim.certificate().unwrap());
    let refused = good.during(abuse.open(bed.addr)).await.unwrap_err();
    // decrypt_error: RFC 8446 section 4.4.3 wants it for a signature that does not verify.
    assert_eq!(refused.alert(), Some(51), "{refused}");
    assert!(!matches!(refused, Error::Refused { .. }));
    denied(&bed, "bad_certificate").await;
    let accepted = |id: &str| {
        bed.audit()
            .iter()
            .filter(|line| line["event_type"] == "connection_accepted" && line["peer_id"] == id)
            .count()
    };
    assert_eq!(accepted(&victim.endpoint_id()), 0, "nobody came in under the victim's name");
    Appliance::builder(victim).open(bed.addr).await.unwrap();
}

/// P9: whoever announces a `ClientHello` larger than anybody's is closed when more than 16 KiB of it came, not before the
/// rest does.
#[tokio::test]
async fn a_hello_without_an_end_is_closed() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    // A record of 16 KiB that begins a handshake message of 65 535 bytes, and another.
    let mut record = vec![0x16, 3, 1, 0x40, 0];
    record.extend([1, 0, 0xff, 0xff]);
    record.resize(5 + 16 * 1024, 0);
    let mut more = vec![0x16, 3, 1, 0x40, 0];
    more.resize(5 + 16 * 1024, 0);
    let abuse = async {
        let mut socket = raw::connect(bed.addr, Some(loopback(2))).await.unwrap();
        socket.write_all(&record).await.unwrap();
        // It may be closed under the second one.
        let _ = socket.write_all(&more).await;
        raw::read_until_closed(&mut socket).await
    };
    let closed = good.during(abuse).await;
    assert_ne!(closed.how, Ending::Deadline);
    until_metric(&bed, "reflector_handshakes_total{result=\"failed\"}", 1.0).await;
    let line = denied(&bed, "handshake_failed").await;
    assert!(line["params"]["detail"].as_str().unwrap().contains("ClientHello"), "{line}");
}
