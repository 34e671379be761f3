//! The appliance against a minimal server that shares nothing with the product either.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;

/// Demands a certificate, believes any, checks that its key signed; refuses names that are not its key's.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let id = endpoint_id_of_certificate(certificate).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
        let san = parsed.subject_alternative_name().unwrap().unwrap();
        let named = format!("DNSName(pp-id-{id})");
        if san.value.general_names.iter().all(|name| name.to_string() == named) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(rustls::CertificateError::BadEncoding.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

fn server_key() -> Key {
    Key::from_seed([77; 32])
}

fn server_config() -> ServerConfig {
    let key = server_key();
    let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8()));
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyClient))
            .with_single_cert(vec![key.certificate().unwrap()], pkcs8)
            .unwrap();
    config.alpn_protocols = vec![b"pp-link/1".to_vec()];
    config
}

/// What the server knows of one client, and its end of the conversation.
struct Guest {
    stream: TlsStream<TcpStream>,
    from: SocketAddr,
}

impl Guest {
    async fn read(&mut self) -> Value {
        let length = self.stream.read_u32().await.unwrap();
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    async fn write(&mut self, request_id: &str, payload: Value) {
        let frame = frame::encode(&envelope(request_id, &payload));
        self.stream.write_all(&frame).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn hello(&mut self) {
        assert_eq!(self.read().await["request_id"], "init-0");
        self.write("init-0", server_hello()).await;
    }
}

/// A server for one client; `script` plays its part.
async fn server<T: Send + 'static, F: Future<Output = T> + Send>(
    script: impl FnOnce(Guest) -> F + Send + 'static,
) -> (SocketAddr, JoinHandle<io::Result<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server_config()));
    let task = tokio::spawn(async move {
        let (tcp, from) = listener.accept().await?;
        // Else an answer may still wait for an acknowledgement when a reset throws it away.
        tcp.set_nodelay(true)?;
        let stream = acceptor.accept(tcp).await?;
        Ok(script(Guest { stream, from }).await)
    });
    (addr, task)
}

fn server_hello() -> Value {
    json!({"type": "server_hello", "version": "1.0", "features": ["throughput", "udp_echo"],
        "policy_summary": {"max_test_duration_sec": 60, "max_concurrent_tests": 1, "max_tests_per_hour": 10,
        "allowed_test_types": ["throughput", "udp_echo"]}})
}

fn grant(port: u16) -> Value {
    json!({"type": "session_grant", "test_id": "0b6cfd5c-3f3d-4c62-9a4e-a4f0b1f9f6a1", "mode": "direct_ephemeral",
        "port": port, "token": "7f0c9d0e-6a52-4c0b-8f63-0f6a7f6f6b11", "expires_at": "2026-02-03T04:05:06Z"})
}

fn appliance() -> Appliance {
    Appliance::builder(Key::from_seed([5; 32]))
}

#[tokio::test]
async fn the_server_sees_the_field_s_handshake() {
    let (addr, task) = server(|mut guest| async move {
        guest.hello().await;
        let tls = guest.stream.get_ref().1;
        let id = endpoint_id_of_certificate(&tls.peer_certificates().unwrap()[0]);
        let version = tls.protocol_version();
        (
            id,
            version,
            tls.alpn_protocol().map(<[u8]>::to_vec),
            tls.server_name().map(str::to_owned),
            guest.from,
        )
    })
    .await;
    let source = "127.0.0.9".parse().unwrap();
    let (link, hello) = appliance().bind(source).open(addr).await.unwrap();
    assert_eq!(hello["policy_summary"]["max_tests_per_hour"], 10);
    assert_eq!(link.server_endpoint_id(), Some(server_key().endpoint_id()));
    assert_eq!((link.alpn(), link.local_addr().ip()), (None, source));
    let (id, version, alpn, name, from) = task.await.unwrap().unwrap();
    assert_eq!(id, Some(appliance().key().endpoint_id()));
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!((alpn, name.as_deref(), from.ip()), (None, Some("reflector"), source));
}

#[tokio::test]
async fn the_client_hello_offers_two_signatures_and_no_alpn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut acceptor = rustls::server::Acceptor::default();
        loop {
            let mut bytes = [0; 4096];
            let count = tcp.read(&mut bytes).await.unwrap();
            acceptor.read_tls(&mut &bytes[..count]).unwrap();
            if let Some(accepted) = acceptor.accept().unwrap() {
                let hello = accepted.client_hello();
                return (hello.signature_schemes().to_vec(), hello.alpn().is_some());
            }
        }
    });
    let refused = appliance().connect(addr).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Tls(_)), "{refused}");
    let expected = [SignatureScheme::ED25519, SignatureScheme::RSA_PSS_SHA256];
    assert_eq!(task.await.unwrap(), (expected.to_vec(), false));
}

#[tokio::test]
async fn refusals_in_and_after_the_handshake_carry_their_alert() {
    let victim = Key::from_seed([6; 32]);
    let id = victim.endpoint_id();
    let table = [
        (appliance().alpn(Some(b"http/1.1")), 120),
        (appliance().no_client_certificate(), 116),
        (appliance().forged_san(&id), 42),
        (appliance().stolen_certificate(victim.certificate().unwrap()), 51),
    ];
    for (hostile, alert) in table {
        let (addr, task) = server(|_| async {}).await;
        let error = hostile.open(addr).await.unwrap_err();
        assert_eq!(error.alert(), Some(alert), "{error}");
        assert!(task.await.unwrap().is_err());
    }
    let (addr, _task) = server(|mut guest| async move { guest.hello().await }).await;
    let (link, _) = appliance().alpn(Some(b"pp-link/1")).open(addr).await.unwrap();
    assert_eq!(link.alpn(), Some(b"pp-link/1".as_slice()));
}

#[tokio::test]
async fn a_tls_1_2_hello_is_answered_by_alert_70() {
    let (addr, task) = server(|_| async {}).await;
    let mut tcp = raw::connect(addr, None).await.unwrap();
    tcp.write_all(&raw::tls12_client_hello()).await.unwrap();
    assert_eq!(raw::read_alert(&mut tcp).await.unwrap(), (2, 70));
    assert!(task.await.unwrap().is_err());
    assert_eq!(raw::read_until_closed(&mut tcp).await, Closed { how: Ending::Fin, unread: vec![] });
}

#[tokio::test]
async fn request_ids_count_up_and_foreign_answers_are_skipped() {
    let (addr, task) = server(|mut guest| async move {
        guest.hello().await;
        assert_eq!(guest.read().await["request_id"], "req-1");
        guest.write("somebody-else", json!({"type": "ok"})).await;
        let paired = json!({"type": "pair_response", "success": false, "message": "wrong code"});
        guest.write("req-1", paired).await;
        assert_eq!(guest.read().await, json!({"request_id": "req-2", "payload": {"type": "get_status"}}));
        guest.write("req-2", json!({"type": "error", "code": 403, "message": "pair first"})).await;
        assert_eq!(guest.read().await["payload"]["test_id"], "t-1");
        guest.write("req-3", json!({"type": "ok"})).await;
    })
    .await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    assert_eq!(link.pair("ABCD2345").await.unwrap()["success"], false);
    assert_eq!(link.status().await.unwrap_err().code(), Some(403));
    link.close_session("t-1").await.unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unknown_type_ends_the_conversation_even_in_a_foreign_answer() {
    let (addr, _task) = server(|mut guest| async move {
        guest.hello().await;
        guest.read().await;
        guest.write("other", json!({"type": "session_result"})).await;
        guest.read().await
    })
    .await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    let error = link.path_meta().await.unwrap_err();
    assert!(matches!(error, Error::Abort(_)), "{error}");
}

#[tokio::test]
async fn a_speed_test_is_an_upload_and_a_download_back_to_back() {
    let (addr, task) = server(|mut guest| async move {
        guest.hello().await;
        let mut asked = Vec::new();
        for port in [5001, 5002] {
            let request = guest.read().await;
            asked.push(request["payload"]["params"].clone());
            guest.write(request["request_id"].as_str().unwrap(), grant(port)).await;
        }
        asked
    })
    .await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    let local = link.local_addr().ip();
    let run = async |grant: Grant, direction| (grant.data_addr(), grant.local, direction);
    // On a task of its own, as a test with several appliances runs it: the future must be Send.
    let done = tokio::spawn(async move { link.speed_test(10, run).await }).await.unwrap().unwrap();
    assert_eq!(done.upload.1, ("127.0.0.1:5001".parse().unwrap(), local, Direction::Upload));
    assert_eq!(done.download.1, ("127.0.0.1:5002".parse().unwrap(), local, Direction::Download));
    let upload = json!({"duration_sec": 10, "protocol": "tcp", "streams": 4, "reverse": false});
    let download = json!({"duration_sec": 10, "protocol": "tcp", "streams": 4, "reverse": true});
    assert_eq!(task.await.unwrap().unwrap(), [upload, download]);
}

#[tokio::test]
async fn a_denied_speed_test_says_why() {
    let (addr, _task) = server(|mut guest| async move {
        guest.hello().await;
        guest.read().await;
        let deny =
            json!({"type": "session_deny", "reason": "busy", "message": "wait", "retry_after_sec": 31});
        guest.write("req-1", deny).await;
        guest.stream.shutdown().await
    })
    .await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    let error = link.speed_test(10, async |_, _| panic!("nothing was granted")).await.map(drop).unwrap_err();
    let Error::Denied(denial) = error else { panic!("{error}") };
    assert_eq!((denial.reason.as_str(), denial.retry_after_sec), ("busy", Some(31)));
}

#[tokio::test]
async fn the_ways_a_connection_ends_are_told_apart() {
    let (addr, _task) = server(|mut guest| async move {
        guest.hello().await;
        guest.stream.write_all(b"\0\0\0").await.unwrap();
        guest.stream.shutdown().await.unwrap();
    })
    .await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    let closed = link.read_raw_until_closed().await;
    assert_eq!(closed, Closed { how: Ending::CloseNotify, unread: vec![0; 3] });

    let (addr, _task) = server(|mut guest| async move { guest.hello().await }).await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    assert_eq!(link.read_raw_until_closed().await.how, Ending::Fin);

    let (addr, _task) = server(|mut guest| async move {
        guest.hello().await;
        socket2::SockRef::from(guest.stream.get_ref().0).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    assert_eq!(link.read_raw_until_closed().await.how, Ending::Reset);

    let (addr, _task) = server(|mut guest| async move {
        guest.hello().await;
        std::future::pending::<()>().await;
    })
    .await;
    let (mut link, _) = appliance().open(addr).await.unwrap();
    link.set_wait(Duration::from_millis(50));
    assert_eq!(link.read_raw_until_closed().await.how, Ending::Deadline);
    assert!(matches!(link.status().await.unwrap_err(), Error::Deadline { awaited: "status_snapshot", .. }));
}

#[tokio::test]
async fn an_abort_is_a_reset_and_a_close_is_a_goodbye() {
    let read_on = |mut guest: Guest| async move {
        guest.hello().await;
        guest.stream.read(&mut [0; 1]).await.map_err(|error| error.kind())
    };
    let (addr, task) = server(read_on).await;
    appliance().open(addr).await.unwrap().0.abort().unwrap();
    assert_eq!(task.await.unwrap().unwrap(), Err(io::ErrorKind::ConnectionReset));
    let (addr, task) = server(read_on).await;
    appliance().open(addr).await.unwrap().0.close().await.unwrap();
    assert_eq!(task.await.unwrap().unwrap(), Ok(0));
}

#[tokio::test]
async fn a_silent_server_is_a_deadline_and_a_closed_port_an_error() {
    // No other test is at this address: a port that was closed stays so.
    let listener = TcpListener::bind("127.77.3.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let error = appliance().wait(Duration::from_millis(50)).connect(addr).await.unwrap_err();
    assert!(matches!(error, ConnectError::Deadline(_)), "{error}");
    drop(listener);
    let error = appliance().connect(addr).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tcp { .. }), "{error}");
}
