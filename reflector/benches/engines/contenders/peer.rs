//! The small peers of this bench. They are this program again, with [`FLAG`] and a part to play.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reflector::identity::Identity;
use reflector::link::cert::make_own;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::echo::parts;
use super::process::Running;

/// First word of a peer's command line.
pub(crate) const FLAG: &str = "--peer";
/// Parts with nothing but echo.
pub(crate) const ECHO_LOOP: &str = "echo-loop";
pub(crate) const ECHO_ENGINE: &str = "echo-engine";
/// What a copy loop usually moves at a time.
const BUFFER: usize = 128 * 1024;

/// This program as a peer.
pub(crate) fn command(part: &str, words: &[String]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(FLAG).arg(part).args(words);
    Ok(command)
}

/// Starts a peer that listens; its first line says where.
pub(crate) fn start(part: &str, words: &[String]) -> Result<(Running, SocketAddr)> {
    let mut command = command(part, words)?;
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    let stdout = running.stdout().context("a pipe")?;
    let mut line = String::new();
    // One byte at a time: what follows the line is read later, by others.
    BufReader::with_capacity(1, stdout).read_line(&mut line)?;
    Ok((running, line.trim().parse().context("the peer's address")?))
}

/// Plays a part. Called by `main` in the peer's process.
pub(crate) fn serve(words: &[String]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    runtime.block_on(async {
        match words.as_slice() {
            [ECHO_LOOP] => parts::tokio_loop().await,
            [ECHO_ENGINE] => parts::engine().await,
            ["tls-sink", streams] => sink(streams.parse()?).await,
            ["tls-source", to, streams, seconds] => {
                source(to.parse()?, streams.parse()?, seconds.parse()?).await
            }
            other => bail!("no such peer: {other:?}"),
        }
    })
}

fn provider() -> Arc<CryptoProvider> {
    // The suite ours prefers, so that the ciphers are not what is compared.
    let cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
    Arc::new(CryptoProvider { cipher_suites, ..default_provider() })
}

async fn sink(streams: u32) -> Result<()> {
    let pkcs8 = Identity::from_seed(&[31; 32]).pkcs8();
    let certificate = make_own(&pkcs8, reflector::clock::now().wall)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let received = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..streams {
        let (stream, _) = listener.accept().await?;
        let (acceptor, received) = (acceptor.clone(), Arc::clone(&received));
        tasks.push(tokio::spawn(async move {
            let mut tls = acceptor.accept(stream).await?;
            let mut buffer = vec![0; BUFFER];
            // An end without goodbye is an end.
            while let Ok(length @ 1..) = tls.read(&mut buffer).await {
                received.fetch_add(length as u64, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    let began = Instant::now();
    for task in tasks {
        task.await??;
    }
    println!("{} {}", received.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
    Ok(())
}

async fn source(to: SocketAddr, streams: u32, seconds: u64) -> Result<()> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Careless))
        .with_no_client_auth();
    config.enable_sni = false;
    let connector = TlsConnector::from(Arc::new(config));
    let mut opened = Vec::new();
    for _ in 0..streams {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        opened.push(connector.connect(reflector::link::tls::server_name(), stream).await?);
    }
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> = opened
        .into_iter()
        .map(|mut tls| {
            tokio::spawn(async move {
                let buffer = vec![0x5a; BUFFER];
                let mut sent = 0_u64;
                while tokio::time::Instant::now() < until {
                    sent += tls.write(&buffer).await? as u64;
                }
                tls.shutdown().await?;
                anyhow::Ok(sent)
            })
        })
        .collect();
    let mut sent = 0;
    for task in tasks {
        sent += task.await??;
    }
    println!("{sent}");
    Ok(())
}

/// Checks nothing: certificates are not what is compared.
#[derive(Debug)]
struct Careless;

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
