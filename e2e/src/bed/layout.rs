//! Where everything of a bed is: folders, addresses, names.
//!
//! Pure: the folder and the number of nodes decide the rest, so that whoever reads a state file finds every part again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the folder and the cgroups are called. A sweep finds a killed bed by it.
pub(super) const NAME: &str = "reflector-bed";
/// How network interfaces begin in the root namespace. The kernel allows 15 characters in all.
pub(super) const LINK_PREFIX: &str = "rbed-";
/// The bridge that joins the members.
pub(super) const BRIDGE: &str = "rbed-bridge";
/// The control plane, as members and the person at the keyboard reach it.
pub(super) const CONTROL_PLANE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Addresses of services.
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// The API server as pods see it: the first address of [`SERVICES`].
pub(super) const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Where pods would ask for names. The bed runs no DNS server: nobody answers.
pub(super) const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// Addresses of pods, all nodes.
pub(super) const PODS: &str = "10.244.0.0/16";
/// Enough for any scenario; a kubelet and its containerd take 150 MiB.
pub(super) const MAX_NODES: u8 = 5;
/// Appliances get 10.99.0.101 and up.
pub(super) const MAX_APPLIANCES: u8 = 100;

/// The machine that Argo CD runs on, on a bed that has it.
const ARGOCD: u8 = 2;
/// How much longer than the one before it a member has been running, by its own clock.
const UPTIME_STEP: Duration = Duration::from_secs(100_000);
const FIRST_NODE: u8 = 10;
const FIRST_APPLIANCE: u8 = 100;

/// A bed's places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    folder: PathBuf,
    nodes: u8,
}

/// A network namespace on the bridge: a node, or an appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `node-1`, or what the appliance is called.
    pub name: String,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// Its files.
    pub folder: PathBuf,
    /// The part of `PODS` that a node hands out.
    pub pods: Option<String>,
}

/// Where a component runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// In the root namespaces, beside the person.
    Control,
    /// In the namespaces of this member.
    Member(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("control plane"),
            Self::Member(name) => f.write_str(name),
        }
    }
}

impl Layout {
    /// A bed with so many nodes in this folder.
    pub fn new(folder: &Path, nodes: u8) -> Self {
        Self { folder: folder.into(), nodes }
    }

    /// Everything the bed writes is here.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = Member> + '_ {
        (1..=self.nodes).map(|number| self.node(number))
    }

    fn node(&self, number: u8) -> Member {
        let name = format!("node-{number}");
        Member {
            address: Ipv4Addr::new(10, 99, 0, FIRST_NODE + number),
            folder: self.folder.join("members").join(&name),
            pods: Some(format!("10.244.{number}.0/24")),
            name,
        }
    }

    /// An appliance; `number` counts from 1.
    pub fn appliance(&self, name: &str, number: u8) -> Member {
        Member {
            name: name.into(),
            address: Ipv4Addr::new(10, 99, 0, FIRST_APPLIANCE + number),
            folder: self.folder.join("members").join(name),
            pods: None,
        }
    }

    /// Argo CD's machine. Its programs listen on every address they have: the namespace keeps them off the person's.
    pub fn argocd(&self) -> Member {
        Member {
            name: "argocd".into(),
            address: Ipv4Addr::new(10, 99, 0, ARGOCD),
            folder: self.folder.join("members/argocd"),
            pods: None,
        }
    }

    /// The file that says what runs.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// Keys and certificates.
    pub fn pki(&self, file: &str) -> PathBuf {
        self.folder.join("pki").join(file)
    }

    /// How a client of this name reaches the API server.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join("kubeconfig").join(user)
    }

    /// What a component printed.
    pub fn log(&self, component: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{component}.log"))
    }

    /// A file of a component of the control plane.
    pub fn control(&self, file: &str) -> PathBuf {
        self.folder.join("control").join(file)
    }

    /// Where a component of the control plane listens.
    pub fn at(port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(CONTROL_PLANE), port)
    }
}

impl Member {
    /// A file of this member.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Its end of the cable in the root namespace. A long name is cut and its number kept, so that two never clash.
    pub fn link(&self) -> String {
        let number = self.address.octets()[3];
        let short: String = self.name.chars().take(6).collect();
        format!("{LINK_PREFIX}{short}-{number}")
    }

    /// Where a node's component listens, on the bridge.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), port)
    }

    /// How long before the machine it has booted, by its own clock. No two members agree.
    pub fn booted_before(&self) -> Duration {
        UPTIME_STEP * u32::from(self.address.octets()[3])
    }

    /// Where a node's claims are: a small disk of its own, which outlives its power.
    pub fn disk(&self) -> PathBuf {
        self.file("storage")
    }

    /// The cgroup below which the kubelet puts its pods, as a path inside every hierarchy.
    pub fn cgroup(&self) -> String {
        format!("/{NAME}/{}", self.name)
    }

    /// The process that holds the member's namespaces open.
    pub fn anchor(&self) -> String {
        format!("anchor-{}", self.name)
    }

    /// Where its containerd listens.
    pub fn containerd(&self) -> PathBuf {
        self.file("containerd.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_members_share_an_address_a_folder_or_a_cable() {
        let layout = Layout::new(Path::new("/run/reflector-bed"), MAX_NODES);
        let mut members: Vec<Member> = layout.nodes().chain([layout.argocd()]).collect();
        members.extend((1..=MAX_APPLIANCES).map(|n| layout.appliance(&format!("appliance-{n}"), n)));
        for (index, one) in members.iter().enumerate() {
            assert!(one.link().len() <= 15, "{}", one.link());
            assert!(one.link().starts_with(LINK_PREFIX) && one.link() != BRIDGE);
            for other in &members[index + 1..] {
                assert_ne!(one.address, other.address);
                assert_ne!(one.folder, other.folder);
                assert_ne!(one.link(), other.link());
                assert_ne!(one.booted_before(), other.booted_before());
            }
        }
    }

    #[test]
    fn everything_is_below_the_folder_and_sockets_fit_their_108_bytes() {
        let layout = Layout::new(Path::new("/run/reflector-bed"), 2);
        let node = layout.nodes().last().unwrap();
        for path in [layout.state(), layout.pki("ca.crt"), layout.log("kine"), node.containerd()] {
            assert!(path.starts_with(layout.folder()), "{}", path.display());
        }
        assert!(node.containerd().as_os_str().len() < 100);
        assert_eq!(node.cgroup(), "/reflector-bed/node-2");
        assert_eq!(node.pods.as_deref(), Some("10.244.2.0/24"));
    }
}
