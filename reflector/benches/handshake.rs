//! TLS handshakes per second and CPU per handshake, beside `openssl s_server` in the same run.
//!
//! Both servers hold an Ed25519 certificate of ours, ask for a client certificate and speak TLS 1.3 with the same
//! group and cipher; the same client makes full handshakes against them in turn. What counts is the ratio.
//!
//! `cargo bench -p reflector --bench handshake [-- --rounds 7 --handshakes 400 --gate]`

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::vitals::Vitals;
use reflector::identity::{Current, Identity};
use reflector::link::tls::{Alpn, client_config, server_name};
use rustls::{ClientConfig, ClientConnection, Stream};

/// Least acceptable ratio of ours to OpenSSL's, in handshakes per second and in CPU per handshake.
const TARGET: f64 = 0.9;
const SEED_SERVER: [u8; 32] = [11; 32];
const SEED_CLIENT: [u8; 32] = [12; 32];

struct Options {
    rounds: usize,
    handshakes: u32,
    gate: bool,
}

struct Server {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    rates: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The bench is over; a child that is gone already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() -> Result<()> {
    let options = options()?;
    let now = reflector::clock::now().wall;
    let dir = tempfile::tempdir()?;
    let client = Current::new(Identity::from_seed(&SEED_CLIENT), None, now)?;
    let config = client_config(&client.credentials, None, Alpn::Link)?;
    let mut servers = [ours(dir.path())?, openssl(dir.path())?];
    for server in &servers {
        await_listener(server.address)?;
    }
    // A discarded round warms both up.
    for server in &mut servers {
        round(server, &config, options.handshakes / 4)?;
        server.rates.clear();
        server.cpu_us.clear();
    }
    for _ in 0..options.rounds {
        for server in &mut servers {
            round(server, &config, options.handshakes)?;
        }
    }
    report(&servers, &options)
}

fn options() -> Result<Options> {
    let mut options = Options { rounds: 7, handshakes: 400, gate: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number =
            || words.next().context("a number follows")?.parse::<u32>().context("a number follows");
        match word.as_str() {
            "--bench" => {}
            "--gate" => options.gate = true,
            "--rounds" => options.rounds = usize::try_from(number()?)?,
            "--handshakes" => options.handshakes = number()?,
            other => bail!("unknown option {other}: --rounds N, --handshakes N, --gate"),
        }
    }
    ensure!(options.rounds >= 5, "at least 5 rounds: fewer say nothing on a shared machine");
    Ok(options)
}

fn ours(dir: &Path) -> Result<Server> {
    let home = dir.join("reflector");
    fs::create_dir(&home)?;
    let (address, health) = (free_port()?, free_port()?);
    let config = home.join("reflector.toml");
    fs::write(
        &config,
        format!(
            "[identity]\nprivate_key_path = {:?}\n[network]\nlisten_address = \"{address}\"\nlisten_address_health = \"{health}\"\n[logging]\nlevel = \"error\"\n",
            home.join("identity.ed25519"),
        ),
    )?;
    let child = Command::new(env!("CARGO_BIN_EXE_reflector"))
        .arg("-c")
        .arg(&config)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("start the reflector")?;
    Ok(Server { name: "reflector", child, address, rates: Vec::new(), cpu_us: Vec::new() })
}

fn openssl(dir: &Path) -> Result<Server> {
    let identity = Identity::from_seed(&SEED_SERVER);
    let pkcs8 = identity.pkcs8();
    let certificate = reflector::link::cert::make_own(&pkcs8, reflector::clock::now().wall)?;
    let (key, cert) = (dir.join("key.der"), dir.join("cert.der"));
    fs::write(&key, &*pkcs8)?;
    fs::write(&cert, &certificate)?;
    let address = free_port()?;
    let child = Command::new("openssl")
        .args(["s_server", "-quiet", "-tls1_3", "-num_tickets", "0", "-Verify", "1"])
        .args(["-groups", "X25519", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-alpn", "pp-link/1"])
        .args(["-keyform", "DER", "-certform", "DER"])
        .arg("-key")
        .arg(&key)
        .arg("-cert")
        .arg(&cert)
        .arg("-accept")
        .arg(address.to_string())
        // s_server takes the end of its standard input for the end of the connection.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start openssl s_server; install the openssl command")?;
    Ok(Server { name: "openssl s_server", child, address, rates: Vec::new(), cpu_us: Vec::new() })
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn await_listener(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("nobody listens on {address}")
}

fn round(server: &mut Server, config: &Arc<ClientConfig>, handshakes: u32) -> Result<()> {
    let vitals = Vitals::of(server.child.id());
    let ticks = vitals.cpu_ticks()?;
    let began = Instant::now();
    for _ in 0..handshakes {
        handshake(server.address, config).with_context(|| format!("handshake with {}", server.name))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = vitals.cpu_ticks()?.saturating_sub(ticks);
    // USER_HZ is 100 on every Linux architecture Rust supports.
    server.cpu_us.push(cpu as f64 * 10_000.0 / f64::from(handshakes));
    server.rates.push(f64::from(handshakes) / seconds);
    Ok(())
}

/// A full handshake, and the end of the connection as the server sees it: the client's certificate is verified
/// only after the client thinks it is done.
fn handshake(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut connection = ClientConnection::new(Arc::clone(config), server_name())?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    connection.send_close_notify();
    let mut stream = Stream::new(&mut connection, &mut socket);
    stream.flush()?;
    stream.sock.shutdown(std::net::Shutdown::Write)?;
    let mut rest = Vec::new();
    // The server's end: close_notify, FIN or reset are all the same to this measurement; an alert is not.
    match stream.read_to_end(&mut rest) {
        Err(error) if error.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => Err(error.into()),
        _ => Ok(()),
    }
}

fn report(servers: &[Server; 2], options: &Options) -> Result<()> {
    let openssl = Command::new("openssl").arg("version").output()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!(
        "TLS 1.3 handshakes, both sides Ed25519, X25519, AES-128-GCM; one client, one at a time, loopback"
    );
    println!(
        "reflector {} beside {}; kernel {}; {} rounds of {} handshakes, alternating",
        env!("CARGO_PKG_VERSION"),
        String::from_utf8_lossy(&openssl.stdout).trim(),
        kernel.trim(),
        options.rounds,
        options.handshakes
    );
    println!("\n| server | handshakes/s min | median | max | server CPU µs/handshake min | median | max |");
    println!("|---|---|---|---|---|---|---|");
    for server in servers {
        let (rate, cpu) = (spread(&server.rates), spread(&server.cpu_us));
        println!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            server.name, rate[0], rate[1], rate[2], cpu[0], cpu[1], cpu[2]
        );
    }
    let [ours, theirs] = servers;
    let rate = spread(&ours.rates)[1] / spread(&theirs.rates)[1];
    let cpu = spread(&theirs.cpu_us)[1] / spread(&ours.cpu_us)[1];
    println!(
        "\nratio of medians, ours to OpenSSL: handshakes/s {rate:.2}×, handshakes per CPU second {cpu:.2}× (target ≥ {TARGET}×)"
    );
    if options.gate && (rate < TARGET || cpu < TARGET) {
        bail!("below target");
    }
    Ok(())
}

/// Minimum, median, maximum.
fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    [at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1))]
}
