//! Whether a component shows its sign of readiness. One look, no waiting: `process.rs` looks again.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::component::Ready;

/// Looks at signs; knows whose certificates to believe.
#[derive(Clone)]
pub(super) struct Looker {
    tls: Arc<ClientConfig>,
}

impl Looker {
    /// Believes what this authority signed.
    pub(super) fn new(authority: &Path) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(authority).context("read the bed's authority")?;
        roots.add(certificate).context("use the bed's authority")?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choose TLS versions")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(config) })
    }

    /// Whether the process `pid`, whose log this is, shows it. Refused, cut short, not 200: all of them mean "not yet".
    pub(super) async fn shows(&self, sign: &Ready, pid: u32, log: &Path) -> bool {
        match sign {
            Ready::Became(program) => {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == *program)
            }
            Ready::Socket(path) => UnixStream::connect(path).await.is_ok(),
            Ready::Port(addr) => TcpStream::connect(addr).await.is_ok(),
            Ready::Http(addr, path) => http(*addr, path).await.unwrap_or(false),
            Ready::Https(addr, path) => self.https(*addr, path).await.unwrap_or(false),
            Ready::Line(text) => fs::read_to_string(log).is_ok_and(|log| log.contains(text)),
        }
    }

    async fn https(&self, addr: SocketAddr, path: &str) -> io::Result<bool> {
        let tcp = TcpStream::connect(addr).await?;
        let name = ServerName::IpAddress(addr.ip().into());
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await?;
        answers_200(stream, addr, path).await
    }
}

async fn http(addr: SocketAddr, path: &str) -> io::Result<bool> {
    answers_200(TcpStream::connect(addr).await?, addr, path).await
}

async fn answers_200<S>(mut stream: S, addr: SocketAddr, path: &str) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(status.ends_with(b" 200"))
}
