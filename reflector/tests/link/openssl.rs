//! OpenSSL on the other end of a real socket: what it thinks of our certificate, and both sides of a handshake.
//!
//! As a client it stands for the appliance: it offers TLS 1.2 and 1.3, names no protocol, sends SNI `reflector` and
//! takes ED25519 and RSA-PSS signatures only.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crds::EndpointId;
use reflector::link::cert::{make_own, parse_peer, pkcs8_of_seed};
use reflector::link::tls::{Alpn, LinkIdentity, client_config, peer_id_of, server_config, server_name};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, ServerConnection, Stream};
use tempfile::TempDir;

/// Nothing here takes longer than milliseconds; a machine under load gets this much.
const DEADLINE: Duration = Duration::from_secs(20);

/// `false` after saying why. A missing OpenSSL fails in CI: a test must not pass by absence.
fn openssl_is_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok_and(|o| o.status.success());
    if !here {
        e2e::skipping::skip_test("the command openssl");
    }
    here
}

struct Endpoint {
    id: EndpointId,
    identity: LinkIdentity,
    dir: TempDir,
}

impl Endpoint {
    fn new(seed: u8) -> Self {
        let pkcs8 = pkcs8_of_seed(&[seed; 32]);
        let cert: CertificateDer<'static> =
            make_own(pkcs8.as_ref(), "2026-03-01T00:00:00Z".parse().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key.der"), pkcs8.as_ref()).unwrap();
        std::fs::write(dir.path().join("cert.der"), &cert).unwrap();
        let id = parse_peer(&cert).unwrap().id;
        Self { id, identity: LinkIdentity::new(pkcs8.as_ref(), cert).unwrap(), dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Arguments that make OpenSSL this endpoint; PEM, because `s_server` of 3.0 wants its certificate so.
    fn openssl_identity(&self) -> Vec<String> {
        for (tool, from, to) in [("x509", "cert.der", "cert.pem"), ("pkey", "key.der", "key.pem")] {
            let (from, to) = (self.file(from), self.file(to));
            run(&[tool, "-inform", "DER", "-in", text(&from), "-out", text(&to)]);
        }
        let [cert, key] = ["cert.pem", "key.pem"].map(|f| text(&self.file(f)).to_owned());
        ["-cert".to_owned(), cert, "-key".to_owned(), key].to_vec()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(args: &[&str]) -> Output {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn spawn(args: &[&str], identity: &[String]) -> Child {
    let mut command = Command::new("openssl");
    command.args(args).args(identity);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// I7
#[test]
fn openssl_reads_our_certificate() {
    if !openssl_is_here() {
        return;
    }
    let ours = Endpoint::new(3);
    let file = ours.file("cert.der");
    let shown = run(&["x509", "-inform", "DER", "-noout", "-text", "-in", text(&file)]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [
        "Version: 3 (0x2)".to_owned(),
        "Public Key Algorithm: ED25519".to_owned(),
        format!("Subject: CN = {}", ours.id.label()),
        format!("DNS:pp-id-{}", ours.id),
        "Not After : Mar  1 00:00:00 2036 GMT".to_owned(),
    ] {
        // OpenSSL 3.2 and later write CN=… without blanks.
        assert!(shown.contains(&line) || shown.contains(&line.replace("CN = ", "CN=")), "{line} in\n{shown}");
    }
    let cert = ours.openssl_identity().remove(1);
    run(&["verify", "-partial_chain", "-check_ss_sig", "-attime", "1790000000", "-CAfile", &cert, &cert]);
}

struct Served {
    peer: Option<EndpointId>,
    alpn: Option<Vec<u8>>,
    said: Vec<u8>,
}

/// One connection of `s_client` against our server configuration; `Err` is the handshake's.
fn serve_openssl(
    server: &Endpoint,
    client: &Endpoint,
    args: &[&str],
    certificate: bool,
) -> (std::io::Result<Served>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let base = ["s_client", "-connect", &address, "-servername", "reflector", "-ign_eof"];
    let identity = if certificate { client.openssl_identity() } else { Vec::new() };
    let mut openssl = spawn(&[&base[..], args].concat(), &identity);
    openssl.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let config = server_config(&server.identity, &[Alpn::Link]).unwrap();
    let mut socket = accept(listener);
    let outcome = answer(&mut socket, ServerConnection::new(config).unwrap());
    drop(socket);
    let output = openssl.wait_with_output().unwrap();
    (outcome, [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned()).concat())
}

/// With a deadline: an OpenSSL that refuses its arguments never connects.
fn accept(listener: TcpListener) -> TcpStream {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(listener.accept()));
    receive.recv_timeout(DEADLINE).expect("openssl did not connect").unwrap().0
}

fn answer(socket: &mut TcpStream, mut tls: ServerConnection) -> std::io::Result<Served> {
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut said = vec![0; 6];
    let shaken = tls.complete_io(socket);
    if let Err(error) = shaken {
        // Ends the connection in order, so the alert is not lost to a reset.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
        return Err(error);
    }
    Stream::new(&mut tls, socket).read_exact(&mut said)?;
    tls.send_close_notify();
    tls.write_tls(socket)?;
    Ok(Served { peer: peer_id_of(&tls), alpn: tls.alpn_protocol().map(<[u8]>::to_vec), said })
}

const APPLIANCE: [&str; 2] = ["-sigalgs", "ed25519:rsa_pss_rsae_sha256"];

/// I7, P4
#[test]
fn a_client_like_an_appliance_gets_in() {
    if !openssl_is_here() {
        return;
    }
    let (server, client) = (Endpoint::new(3), Endpoint::new(4));
    let (outcome, log) = serve_openssl(&server, &client, &APPLIANCE, true);
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{log}"));
    assert_eq!((outcome.peer, outcome.alpn), (Some(client.id), None));
    assert_eq!(outcome.said, b"hello\n");
    assert!(log.contains("TLSv1.3") && log.contains(&server.id.label()), "{log}");

    let with_alpn = [&APPLIANCE[..], &["-alpn", "pp-link/1"]].concat();
    let (outcome, log) = serve_openssl(&server, &client, &with_alpn, true);
    assert_eq!(outcome.unwrap().alpn.as_deref(), Some(&b"pp-link/1"[..]), "{log}");
}

/// P4, P5
#[test]
fn openssl_hears_which_alert_refused_it() {
    if !openssl_is_here() {
        return;
    }
    let (server, client) = (Endpoint::new(3), Endpoint::new(4));
    for (args, certificate, alert) in
        [(["-tls1_2", "-no_ticket"], true, 70), (["-alpn", "h2"], true, 120), (APPLIANCE, false, 116)]
    {
        let (outcome, log) = serve_openssl(&server, &client, &args, certificate);
        assert!(outcome.is_err(), "{args:?}");
        assert!(log.contains(&format!("SSL alert number {alert}")), "{args:?}: {log}");
    }
}

/// I7, I8
#[test]
fn our_client_reaches_an_openssl_server_and_checks_its_key() {
    if !openssl_is_here() {
        return;
    }
    let (server, client) = (Endpoint::new(3), Endpoint::new(4));
    let args = ["s_server", "-accept", "127.0.0.1:0", "-naccept", "2", "-Verify", "1", "-alpn", "pp-link/1"];
    let mut openssl = Ended(spawn(&args, &server.openssl_identity()));
    let port = port_of(&mut openssl.0);
    for (pin, fits) in [(client.id, false), (server.id, true)] {
        let config = client_config(&client.identity, Some(pin), Alpn::Link).unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&config), server_name()).unwrap();
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(tls.complete_io(&mut socket).is_ok(), fits);
        assert_eq!(peer_id_of(&tls), fits.then_some(server.id));
        tls.send_close_notify();
        tls.write_tls(&mut socket).unwrap();
    }
}

/// Ends with the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `s_server` prints `ACCEPT 127.0.0.1:PORT` once it listens.
fn port_of(openssl: &mut Child) -> u16 {
    let mut out = openssl.stdout.take().unwrap();
    let mut seen = String::new();
    loop {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "s_server ended: {seen}");
        seen.push(char::from(byte[0]));
        if let Some(port) = seen.strip_suffix('\n').and_then(|s| s.rsplit_once("ACCEPT 127.0.0.1:")) {
            // The rest of its words must not fill the pipe.
            std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
            return port.1.parse().unwrap();
        }
    }
}
