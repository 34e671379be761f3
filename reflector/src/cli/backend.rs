//! What the commands need from the rest of the program, as one small seam, so that they are tested without it.

use std::path::{Path, PathBuf};

use crds::EndpointId;
use zeroize::Zeroizing;

use super::output::Answer;
use crate::admin::client::AskError;
use crate::admin::protocol::{Request, Response};
use crate::client::Address;
use crate::client::Target;
use crate::client::plan::Wish;
use crate::config::{Config, Loaded};
use crate::daemon::Engines;

/// What a program built on this one adds.
#[derive(Default, Clone)]
pub struct Extra {
    /// Other ways of testing than the shipped ones.
    pub engines: Engines,
}

/// A peer as its manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPeer {
    /// Object name.
    pub name: String,
    /// Missing while it waits to be paired, or when it cannot be read.
    pub endpoint_id: Option<EndpointId>,
    /// `authorized`, `suspended`, `expired`, `pairing`, `invalid`, …
    pub state: String,
}

/// A peer to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPeer {
    /// Who.
    pub endpoint_id: EndpointId,
    /// Object name; made from the ID when missing.
    pub name: Option<String>,
    /// What a person calls it.
    pub display_name: Option<String>,
}

/// A manifest after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Object name.
    pub name: String,
    /// Who it is about, if it says.
    pub endpoint_id: Option<EndpointId>,
    /// The file that was written or removed.
    pub file: PathBuf,
    /// After a removal: what goes on naming the same Endpoint ID and decides about it now.
    pub still_named_by: Vec<String>,
}

/// An identity after its rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Before.
    pub old: EndpointId,
    /// From now on.
    pub new: EndpointId,
    /// Where the old key is kept.
    pub backup: PathBuf,
}

/// The last line the running server wrote to its audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Its number.
    pub seq: u64,
    /// Its hash, hex.
    pub hash: String,
}

/// What `reflector test` is to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// Against whom.
    pub target: Target,
    /// What.
    pub wish: Wish,
    /// Pair with this code first.
    pub code: Option<String>,
    /// Keep the result.
    pub save: Option<Keep>,
    /// Write its page to this file.
    pub page: Option<PathBuf>,
}

/// What `reflector connect` is to forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarding {
    /// To whom.
    pub reflector: Address,
    /// On this port of loopback.
    pub port: u16,
    /// Pair with this code first.
    pub code: Option<String>,
}

/// Where a result is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// With the rest of the user's state.
    AsUsual,
    /// In this folder.
    In(PathBuf),
}

/// The rest of the program.
pub trait Backend {
    /// Asks the running server.
    fn ask(&self, socket: &Path, request: &Request) -> Result<Response, AskError>;
    /// Serves until it is told to stop.
    fn serve(&self, loaded: Loaded, extra: Extra) -> anyhow::Result<()>;
    /// Our own ID, from the key file. Creates nothing.
    fn endpoint_id(&self, config: &Config) -> anyhow::Result<EndpointId>;
    /// Our own private key, in base64. Creates nothing.
    fn private_key(&self, config: &Config) -> anyhow::Result<(EndpointId, Zeroizing<String>)>;
    /// Makes a new key, keeps the old one as a dated backup, signs the succession.
    fn rotate(&self, config: &Config) -> anyhow::Result<Rotated>;
    /// Looks at the host.
    fn self_test(&self, config: &Config, extra: &Extra) -> anyhow::Result<Box<dyn Answer>>;
    /// Measures. Shows on standard error what is going on.
    fn measure(&self, loaded: &Loaded, what: &Measurement) -> anyhow::Result<Box<dyn Answer>>;
    /// Verifies these audit files, or the configured log when none is named; `head` is where it must end.
    fn audit_verify(
        &self,
        config: &Config,
        files: &[PathBuf],
        head: Option<AuditHead>,
    ) -> anyhow::Result<Box<dyn Answer>>;
    /// Prints these audit files, or the configured log when none is named.
    fn audit_export(&self, config: &Config, files: &[PathBuf]) -> anyhow::Result<()>;
    /// Lets iperf3 clients on a port of loopback measure through a reflector's tunnel, until interrupted.
    fn connect(&self, loaded: &Loaded, what: &Forwarding) -> anyhow::Result<Box<dyn Answer>>;
    /// Every peer that the manifests and `authorized_peers` name.
    fn peers(&self, config: &Config) -> anyhow::Result<Vec<ManifestPeer>>;
    /// Writes a manifest.
    fn add_peer(&self, config: &Config, peer: &NewPeer) -> anyhow::Result<Edited>;
    /// Removes the manifest of a peer, given by name or Endpoint ID.
    fn remove_peer(&self, config: &Config, peer: &str) -> anyhow::Result<Edited>;
    /// Sets `suspend: true`, given a name or an Endpoint ID.
    fn revoke_peer(&self, config: &Config, peer: &str) -> anyhow::Result<Edited>;
}
