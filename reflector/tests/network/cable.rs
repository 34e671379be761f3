//! The two hosts, the reflector on one and `reflector test` on the other.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::bed::Bed;

const PROGRAM: &str = env!("CARGO_BIN_EXE_reflector");
const NEAR: &str = "10.77.0.1";
const FAR: &str = "10.77.0.2";
/// The same by the interface alone.
const NEAR_LINK: &str = "fe80::77:1";
const FAR_LINK: &str = "fe80::77:2";

/// Where the reflector runs when each end has a core of its own.
pub(crate) const SERVER_CORE: usize = 0;

/// The key that everybody uses who does not say which.
pub(crate) const FIRST: &str = "key";

/// As many tests as it takes, without a pause between them.
pub(crate) const BUSY: &str = "[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 100\n";

/// Two network namespaces and the cable between them; gone when dropped.
pub(crate) struct Cable {
    near: String,
    far: String,
    /// What one test measures another one's bytes would disturb.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::const_new(());

impl Cable {
    /// `None`, said aloud: this machine gives no network of one's own.
    pub(crate) async fn plug() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("rfl{}{side}{number}", std::process::id());
        let cable = Self { near: name("n"), far: name("f"), _alone: ALONE.lock().await };
        match cable.connect() {
            Ok(()) => Some(cable),
            Err(why) => {
                e2e::skipping::skip_test(&format!("network namespaces with a veth pair: {why}"));
                None
            }
        }
    }

    fn connect(&self) -> Result<(), String> {
        let Self { near, far, .. } = self;
        for name in [near, far] {
            said("ip", &["netns", "add", name])?;
            said("ip", &["-n", name, "link", "set", "lo", "up"])?;
        }
        said(
            "ip",
            &["-n", near, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", far],
        )?;
        for (name, device, address, link) in [(near, "near", NEAR, NEAR_LINK), (far, "far", FAR, FAR_LINK)] {
            said("ip", &["-n", name, "address", "add", &format!("{address}/24"), "dev", device])?;
            // Nobody else can have it, so nobody is asked.
            let link = format!("{link}/64");
            said("ip", &["-n", name, "address", "add", &link, "dev", device, "nodad"])?;
            said("ip", &["-n", name, "link", "set", device, "up"])?;
            // Where the default is BBR, loss and queues mean something else.
            let route = ["-n", name, "route", "replace", "10.77.0.0/24", "dev", device, "src", address];
            said("ip", &[&route[..], &["congctl", "cubic"]].concat())?;
        }
        Ok(())
    }

    /// The cable carries this much, both ways, with a queue of 50 ms before it.
    pub(crate) fn shape(&self, rate: &str) {
        for (name, device) in [(&self.near, "near"), (&self.far, "far")] {
            let words = ["-n", name, "qdisc", "add", "dev", device, "root", "tbf", "rate", rate];
            said("tc", &[&words[..], &["burst", "64kb", "latency", "50ms"]].concat()).unwrap();
        }
    }

    /// The same, but the queue holds so many packets, however small they are: one of bytes has room for an echo when it has
    /// none for data.
    pub(crate) fn shape_in_packets(&self, rate: &str, packets: u32) {
        for (name, device) in [(&self.near, "near"), (&self.far, "far")] {
            let root =
                ["-n", name, "qdisc", "add", "dev", device, "root", "handle", "1:", "tbf", "rate", rate];
            said("tc", &[&root[..], &["burst", "64kb", "latency", "50ms"]].concat()).unwrap();
            let inner = ["-n", name, "qdisc", "add", "dev", device, "parent", "1:1", "pfifo", "limit"];
            said("tc", &[&inner[..], &[&packets.to_string()]].concat()).unwrap();
        }
    }

    /// A setting of the measuring host's network.
    pub(crate) fn set_far(&self, setting: &str) {
        said("nsenter", &[&net(&self.far), "sysctl", "-qw", setting]).unwrap();
    }

    /// Bytes that the reflector's interface received and sent.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let text = said("nsenter", &[&net(&self.near), "cat", "/proc/net/dev"]).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("near:")).unwrap();
        let numbers: Vec<u64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        (numbers[0], numbers[8])
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            // Not there when plugging it in failed half way.
            let _ = said("ip", &["netns", "delete", name]);
        }
    }
}

/// A reflector at the near end, and somebody it knows at the far end.
pub(crate) struct Hosts {
    pub(crate) bed: Bed,
    home: tempfile::TempDir,
    client: PathBuf,
    /// Where the far end finds the reflector.
    at: String,
}

impl Hosts {
    pub(crate) async fn on(cable: &Cable, extra: &str) -> Self {
        Self::start(cable, extra, ["", ""]).await
    }

    /// With no address but the interface's own, IPv6, and these settings.
    pub(crate) async fn on_link_local(cable: &Cable, extra: &str, settings: &[(&str, &str)]) -> Self {
        let at = format!("[{NEAR_LINK}%far]:4000");
        let listen = [("REFLECTOR__NETWORK__LISTEN_ADDRESS", "[::]:4000")];
        Self::started(cable, extra, ["", ""], &[&listen, settings].concat(), Some(at)).await
    }

    /// Each end may run on one core only, and not on the same; on the reflector's everybody else comes first.
    pub(crate) async fn with_a_core_each(cable: &Cable, extra: &str) -> Self {
        let core = |number: usize| format!("taskset -c {number} ");
        let last = core(SERVER_CORE) + "nice -n 10 ";
        Self::start(cable, extra, [&last, &core(SERVER_CORE + 1)]).await
    }

    async fn start(cable: &Cable, extra: &str, pinned: [&str; 2]) -> Self {
        let listen = format!("{NEAR}:4000");
        Self::started(cable, extra, pinned, &[("REFLECTOR__NETWORK__LISTEN_ADDRESS", &listen)], None).await
    }

    async fn started(
        cable: &Cable,
        extra: &str,
        [near, far]: [&str; 2],
        settings: &[(&str, &str)],
        at: Option<String>,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = inside(home.path(), "server", &cable.near, near);
        let client = inside(home.path(), "client", &cable.far, far);
        let bed = Bed::run(&server, extra, settings).await;
        let at = at.unwrap_or_else(|| bed.addr.to_string());
        let hosts = Self { bed, home, client, at };
        hosts.pair(FIRST);
        hosts
    }

    /// Makes somebody known to the reflector: a key of this name at the far end.
    pub(crate) fn pair(&self, who: &str) {
        let code = self.bed.pair();
        self.test_as(who, &["--code", &code, "--up", "--udp", "1M", "-t", "1"]);
    }

    /// A measurement that must succeed; its JSON.
    pub(crate) fn test(&self, args: &[&str]) -> Value {
        self.test_as(FIRST, args)
    }

    /// The same with the key of this name.
    pub(crate) fn test_as(&self, who: &str, args: &[&str]) -> Value {
        let config = self.home.path().join("client.toml");
        let key = self.home.path().join(who);
        std::fs::write(&config, format!("[identity]\nprivate_key_path = \"{}\"\n", key.display())).unwrap();
        let address = format!("{}@{}", self.bed.endpoint_id, self.at);
        let mut command = Command::new(&self.client);
        command.arg("-c").arg(config).args(["test", &address, "--json"]).args(args);
        let output = command.env("HOME", self.home.path()).env_remove("XDG_STATE_HOME").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A process that does nothing as hard as it can. Killed when dropped.
pub(crate) struct Kept(Child);

impl Kept {
    pub(crate) fn busy(core: usize) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), "sh", "-c", "while :; do :; done"]);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The program as it runs on one of the hosts.
fn inside(folder: &Path, name: &str, network: &str, pinned: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\nexec nsenter {} {pinned}{PROGRAM} \"$@\"\n", net(network)))
        .unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    path
}

fn net(name: &str) -> String {
    format!("--net=/run/netns/{name}")
}

/// What a program says on standard output, or why it failed.
fn said(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}
