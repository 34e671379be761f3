//! The two servers, as child processes, each with the fastest settings that do the same work.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reflector::identity::Identity;
use reflector::link::cert::make_own;

const SEED: [u8; 32] = [11; 32];
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Where it tells what it counted, if it does.
    health: Option<SocketAddr>,
    child: Child,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Handshakes it counts as good: the client cannot know what a server thinks of it.
    pub(crate) fn counted(&self) -> Result<Option<u64>> {
        let Some(health) = self.health else { return Ok(None) };
        let mut socket = TcpStream::connect(health)?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        let line =
            text.lines().find_map(|line| line.strip_prefix("reflector_handshakes_total{result=\"ok\"}"));
        Ok(Some(line.context("no count of handshakes in the metrics")?.trim().parse()?))
    }

    fn listening(mut self) -> Result<Self> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(self);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) before it listened", self.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} does not listen on {}", self.name, self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that is gone already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The reflector, as shipped. The client is a stranger to it: it is let in, says nothing, and is let go.
pub(crate) fn ours(dir: &Path) -> Result<Server> {
    let home = dir.join("reflector");
    fs::create_dir(&home)?;
    let (address, health) = (free_port()?, free_port()?);
    let config = home.join("reflector.toml");
    let key = home.join("identity.ed25519");
    let text = format!(
        "[identity]\nprivate_key_path = \"{}\"\n[network]\nlisten_address = \"{address}\"\nlisten_address_health = \"{health}\"\n[logging]\nlevel = \"error\"\n",
        key.display(),
    );
    fs::write(&config, text)?;
    let child = Command::new(env!("CARGO_BIN_EXE_reflector"))
        .arg("-c")
        .arg(&config)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("start the reflector")?;
    let name = format!("reflector {}", env!("CARGO_PKG_VERSION"));
    Server { name, address, health: Some(health), child }.listening()
}

/// `openssl s_server` with everything off that the reflector does not do either: no tickets, no session cache, no
/// search for authorities, no output.
pub(crate) fn openssl(dir: &Path) -> Result<Server> {
    let identity = Identity::from_seed(&SEED);
    let pkcs8 = identity.pkcs8();
    let (key, certificate) = (dir.join("key.der"), dir.join("cert.der"));
    fs::write(&certificate, make_own(&pkcs8, reflector::clock::now().wall)?)?;
    fs::write(&key, &*pkcs8)?;
    let address = free_port()?;
    let child = Command::new("openssl")
        .args(["s_server", "-quiet", "-tls1_3", "-Verify", "1", "-verify_quiet"])
        .args(["-num_tickets", "0", "-no_cache", "-no-CAfile", "-no-CApath", "-no-CAstore"])
        .args(["-groups", "X25519", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-alpn", "pp-link/1"])
        .args(["-keyform", "DER", "-certform", "DER"])
        .arg("-key")
        .arg(&key)
        .arg("-cert")
        .arg(&certificate)
        .arg("-accept")
        .arg(address.to_string())
        // The end of its standard input is the end of the connection to it, so that stays open.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start openssl s_server; is the openssl command installed?")?;
    Server { name: format!("{} s_server", version()?), address, health: None, child }.listening()
}

/// `OpenSSL 3.0.19`
fn version() -> Result<String> {
    let output = Command::new("openssl").arg("version").output().context("ask openssl for its version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
