//! Who gets through the handshake, who does not, and what each side hears.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::server::Acceptor;
use rustls::{
    AlertDescription, CipherSuite, ClientConnection, Error, HandshakeKind, NamedGroup, ServerConnection,
};

use super::sides::{
    CLIENT, Outcome, SERVER, appliance, appliance_with, certified, identity, refused, server, shake, succeeds,
};
use super::*;
use crate::link::cert::samples::{self, id_of};
use crate::reason::RefuseReason;

fn plain(reason: RefuseReason) -> Refusal {
    Refusal { reason, key: None, claimed: None }
}

/// I7, P4
#[test]
fn an_appliance_with_over_long_names_and_no_alpn_gets_in() {
    let outcome = succeeds(appliance(&samples::appliance(CLIENT)), &server());
    assert_eq!(peer_id_of(&outcome.server), Some(id_of(CLIENT)));
    assert_eq!(peer_id_of(&outcome.client), Some(id_of(SERVER)));
    assert_eq!(outcome.server.alpn_protocol(), None);
    assert_eq!(Alpn::of(&outcome.server), Alpn::Link);
    assert_eq!(outcome.server.handshake_kind(), Some(HandshakeKind::Full), "no second round trip");
}

/// P4
#[test]
fn our_client_and_server_agree_on_the_link_protocol() {
    let client = client_config(&identity(&samples::ours(CLIENT)), Some(id_of(SERVER)), Alpn::Link).unwrap();
    let outcome = succeeds(client, &server());
    assert_eq!(outcome.server.alpn_protocol(), Some(&b"pp-link/1"[..]));
    assert_eq!(peer_id_of(&outcome.server), Some(id_of(CLIENT)));
    assert_eq!(peer_id_of(&outcome.client), Some(id_of(SERVER)));
}

/// P4
#[test]
fn data_connections_are_told_apart_by_alpn() {
    let both = server_config(&identity(&samples::ours(SERVER)), &[Alpn::Link, Alpn::Data]).unwrap();
    for protocol in [Alpn::Link, Alpn::Data] {
        let client = client_config(&identity(&samples::ours(CLIENT)), None, protocol).unwrap();
        assert_eq!(Alpn::of(&succeeds(client, &both).server), protocol);
    }
    let data = client_config(&identity(&samples::ours(CLIENT)), None, Alpn::Data).unwrap();
    assert_eq!(refused(data, &server()).0.reason, RefuseReason::WrongAlpn, "not offered, not served");
}

/// P4
#[test]
fn another_alpn_is_alert_120() {
    let mut client = appliance(&samples::appliance(CLIENT));
    client.alpn_protocols = vec![b"h2".to_vec(), b"pp-link/2".to_vec()];
    let expected = (plain(RefuseReason::WrongAlpn), AlertDescription::NoApplicationProtocol);
    assert_eq!(refused(client, &server()), expected);
}

/// P4
#[test]
fn the_record_for_clients_without_alpn_is_understood_as_alert_120() {
    let config = Arc::new(appliance(&samples::appliance(CLIENT)));
    let mut client = ClientConnection::new(config, server_name()).unwrap();
    client.write_tls(&mut Vec::new()).unwrap();
    client.read_tls(&mut NO_APPLICATION_PROTOCOL.as_slice()).unwrap();
    let heard = client.process_new_packets().unwrap_err();
    assert_eq!(heard, Error::AlertReceived(AlertDescription::NoApplicationProtocol));
}

/// P4
#[test]
fn the_accept_code_sees_that_a_client_names_no_protocol() {
    let named = client_config(&identity(&samples::ours(CLIENT)), None, Alpn::Link).unwrap();
    for (config, none) in [(Arc::new(appliance(&samples::appliance(CLIENT))), true), (named, false)] {
        let mut hello = Vec::new();
        ClientConnection::new(config, server_name()).unwrap().write_tls(&mut hello).unwrap();
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut hello.as_slice()).unwrap();
        let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().unwrap();
        assert_eq!(offers_no_alpn(&accepted.client_hello()), none);
    }
}

/// A `ClientHello` of TLS 1.2 as any browser of its time sent it.
fn tls12_hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]); // random
    body.push(0); // no session id
    body.extend([0, 2, 0xc0, 0x2b, 1, 0]); // ECDHE-ECDSA-AES128-GCM, no compression
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut hello = vec![22, 3, 1];
    hello.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    hello.extend([1, 0]);
    hello.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    hello.extend(body);
    hello
}

/// P5
#[test]
fn tls_1_2_is_alert_70() {
    let groups = [0, 10, 0, 4, 0, 2, 0, 29];
    let signatures = [0, 13, 0, 4, 0, 2, 8, 7];
    let only_12 = [0, 43, 0, 3, 2, 3, 3];
    for extensions in [[&groups[..], &signatures].concat(), [&groups[..], &signatures, &only_12].concat()] {
        let mut server = ServerConnection::new(server()).unwrap();
        server.read_tls(&mut tls12_hello([3, 3], &extensions).as_slice()).unwrap();
        let error = server.process_new_packets().unwrap_err();
        assert_eq!(refusal(&error), plain(RefuseReason::TlsVersion));
        let mut answer = Vec::new();
        server.write_tls(&mut answer).unwrap();
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
    }
}

#[test]
fn still_older_clients_count_as_a_version_problem() {
    let mut server = ServerConnection::new(server()).unwrap();
    server.read_tls(&mut tls12_hello([3, 1], &[0, 10, 0, 4, 0, 2, 0, 29]).as_slice()).unwrap();
    let error = server.process_new_packets().unwrap_err();
    assert_eq!(refusal(&error), plain(RefuseReason::TlsVersion));
}

/// P5
#[test]
fn no_client_certificate_is_alert_116() {
    let missing = (plain(RefuseReason::NoClientCertificate), AlertDescription::CertificateRequired);
    assert_eq!(refused(appliance_with(default_provider(), None), &server()), missing);
    // rustls has no key for the one scheme we take, so it sends none.
    let other = samples::other_key_type();
    assert_eq!(refused(appliance(&other), &server()), missing);
}

/// I6
#[test]
fn a_forged_san_is_alert_42_and_names_both() {
    let victim = id_of(2).to_string();
    let forged = samples::with_names(CLIENT, Some(&id_of(CLIENT).to_string()), &[&format!("pp-id-{victim}")]);
    let expected = Refusal {
        reason: RefuseReason::IdentityForged,
        key: Some(id_of(CLIENT)),
        claimed: Some(victim.clone()),
    };
    assert_eq!(refused(appliance(&forged), &server()), (expected.clone(), AlertDescription::BadCertificate));
    let forged_cn = samples::with_names(CLIENT, Some(&victim), &[]);
    assert_eq!(refused(appliance(&forged_cn), &server()), (expected, AlertDescription::BadCertificate));
}

/// I6: a certificate is public; without its key it proves nothing, and blames nobody.
#[test]
fn a_copied_certificate_without_its_key_is_refused() {
    let victim = samples::appliance(2);
    let thief = samples::appliance(CLIENT);
    for cert in [&victim.cert, &samples::with_names(2, None, &["pp-id-nobody"]).cert] {
        let config = appliance_with(default_provider(), Some(certified(&thief.pkcs8, cert)));
        assert_eq!(refused(config, &server()).0, plain(RefuseReason::BadCertificate));
    }
}

#[test]
fn what_is_no_certificate_is_alert_42() {
    let sample = samples::appliance(CLIENT);
    for junk in
        [b"junk".to_vec(), [sample.cert.as_ref(), b"more"].concat(), samples::other_key_type().cert.to_vec()]
    {
        let config =
            appliance_with(default_provider(), Some(certified(&sample.pkcs8, &CertificateDer::from(junk))));
        let expected = (plain(RefuseReason::BadCertificate), AlertDescription::BadCertificate);
        assert_eq!(refused(config, &server()), expected);
    }
}

/// I8
#[test]
fn a_man_in_the_middle_is_refused_by_name_and_learns_nothing() {
    let client = || client_config(&identity(&samples::ours(CLIENT)), Some(id_of(3)), Alpn::Link).unwrap();
    let outcome = shake(client(), &server());
    let refused = outcome.client_error.as_ref().and_then(ServerRefused::in_error).expect("a typed refusal");
    assert_eq!(refused, &ServerRefused::WrongKey { expected: id_of(3), found: id_of(SERVER) });
    let text = refused.to_string();
    assert!(text.contains(&id_of(3).to_string()) && text.contains(&id_of(SERVER).to_string()), "{text}");
    assert!(outcome.server.peer_certificates().is_none(), "our certificate was not sent");
    assert!(matches!(outcome.server_error, Some(Error::AlertReceived(_))));
    assert_eq!(peer_id_of(&outcome.client), None);
    succeeds(client(), &server_config(&identity(&samples::ours(3)), &[Alpn::Link]).unwrap());
}

/// I8
#[test]
fn a_copied_server_certificate_does_not_satisfy_the_pin() {
    let copied = certified(&samples::ours(SERVER).pkcs8, &samples::ours(3).cert);
    let thief = LinkIdentity { key: copied, ..identity(&samples::ours(SERVER)) };
    let client = client_config(&identity(&samples::ours(CLIENT)), Some(id_of(3)), Alpn::Link).unwrap();
    let outcome = shake(client, &server_config(&thief, &[Alpn::Link]).unwrap());
    assert!(matches!(outcome.client_error, Some(Error::InvalidCertificate(_))), "{:?}", outcome.client_error);
    assert!(outcome.server.peer_certificates().is_none());
}

/// I8
#[test]
fn our_client_refuses_a_server_that_names_someone_else() {
    let forged = samples::with_names(SERVER, None, &[&format!("pp-id-{}", id_of(3))]);
    let client = client_config(&identity(&samples::ours(CLIENT)), None, Alpn::Link).unwrap();
    let outcome = shake(client, &server_config(&identity(&forged), &[Alpn::Link]).unwrap());
    let refused = outcome.client_error.as_ref().and_then(ServerRefused::in_error);
    let claimed = id_of(3).to_string();
    let forgery = cert::CertError::Forged { key: id_of(SERVER), claimed };
    assert_eq!(refused, Some(&ServerRefused::Certificate(forgery)));
}

/// I6: a certificate that has been seen is not yet a peer.
#[test]
fn a_peer_has_an_id_only_when_the_handshake_is_complete() {
    let mut config = appliance(&samples::appliance(CLIENT));
    config.max_fragment_size = Some(32); // less than a Finished, so it cannot share a record with what it ends
    let mut client = ClientConnection::new(Arc::new(config), server_name()).unwrap();
    let mut server = ServerConnection::new(server()).unwrap();
    while server.is_handshaking() {
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        client.write_tls(&mut sent).unwrap();
        for byte in sent {
            assert_eq!(peer_id_of(&server), None);
            server.read_tls(&mut [byte].as_slice()).unwrap();
            server.process_new_packets().unwrap();
        }
        server.write_tls(&mut answered).unwrap();
        client.read_tls(&mut answered.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    assert_eq!(peer_id_of(&server), Some(id_of(CLIENT)));
}

#[test]
fn every_handshake_is_a_full_one() {
    let (client, server) = (Arc::new(appliance(&samples::appliance(CLIENT))), server());
    for _ in 0..2 {
        let outcome = succeeds(Arc::clone(&client), &server);
        assert_eq!(outcome.client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(outcome.client.tls13_tickets_received(), 0);
    }
}

#[test]
fn key_and_certificate_must_belong_together() {
    let wrong = LinkIdentity::new(&samples::ours(1).pkcs8, samples::ours(2).cert);
    assert!(matches!(wrong, Err(TlsError::Identity(_))));
    assert!(matches!(LinkIdentity::new(&[0; 48], samples::ours(2).cert), Err(TlsError::Identity(_))));
}

#[test]
fn aes_comes_first_only_where_the_processor_has_it() {
    let order =
        |aes| provider::provider(aes).cipher_suites.iter().map(rustls::SupportedCipherSuite::suite).collect();
    let (with, without): (Vec<_>, Vec<_>) = (order(true), order(false));
    assert_eq!(with[0], CipherSuite::TLS13_AES_128_GCM_SHA256);
    assert_eq!(without[0], CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    assert_eq!((with.len(), without.len()), (3, 3));
}

/// Lists ciphers and groups as given; sends a share for the first group.
fn choosy(
    suites: &[rustls::SupportedCipherSuite],
    groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
) -> Outcome {
    let provider = CryptoProvider { cipher_suites: suites.to_vec(), kx_groups: groups, ..default_provider() };
    let sample = samples::appliance(CLIENT);
    succeeds(appliance_with(provider, Some(certified(&sample.pkcs8, &sample.cert))), &server())
}

#[test]
fn a_client_without_aes_gets_chacha_from_a_server_of_either_kind() {
    let suites = [
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
    ];
    let outcome = choosy(&suites, vec![kx_group::X25519]);
    let chosen = outcome.server.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(chosen, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    assert_eq!(server().ignore_client_order, !provider::has_aes());
}

#[test]
fn the_group_a_client_prefers_is_taken_without_a_second_round_trip() {
    for (groups, name) in [
        (vec![kx_group::X25519, kx_group::X25519MLKEM768], NamedGroup::X25519),
        (vec![kx_group::X25519MLKEM768, kx_group::X25519], NamedGroup::X25519MLKEM768),
        (vec![kx_group::SECP256R1], NamedGroup::secp256r1),
    ] {
        let outcome = choosy(&[cipher_suite::TLS13_AES_128_GCM_SHA256], groups);
        assert_eq!(outcome.server.negotiated_key_exchange_group().unwrap().name(), name);
        assert_eq!(outcome.server.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn appliances_and_we_send_the_same_name() {
    assert_eq!(server_name().to_str(), "reflector");
}

#[test]
fn a_tls_error_is_found_inside_an_io_error() {
    let wrapped = std::io::Error::new(std::io::ErrorKind::InvalidData, Error::NoCertificatesPresented);
    assert_eq!(tls_error(&wrapped), Some(&Error::NoCertificatesPresented));
    assert_eq!(tls_error(&std::io::ErrorKind::UnexpectedEof.into()), None);
    assert_eq!(refusal(&Error::DecryptError), plain(RefuseReason::HandshakeFailed));
}
