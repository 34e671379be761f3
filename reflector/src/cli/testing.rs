//! What the tests of this room share: two styles, a status, and a backend that does as it is told.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use clap::Parser;
use crds::EndpointId;
use zeroize::Zeroizing;

use super::args::Cli;
use super::backend::{
    AuditHead, Backend, Edited, Extra, Forwarding, ManifestPeer, Measurement, NewPeer, Rotated,
};
use super::output::{Answer, Said, Style};
use crate::admin::client::AskError;
use crate::admin::protocol::{PolicyStatus, Request, Response, Status};
use crate::config::{Config, Loaded, Variables, parse};

pub(super) const PIPE: Style = Style { colour: false, aligned: false };
pub(super) const TERMINAL: Style = Style { colour: true, aligned: true };
pub(super) const ID: &str = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";
pub(super) const OTHER: &str = "PP-0EGG-FFZK-SR8B-W7BG-VMCE-EJY0-K5KY-9NHG-KEJG-TQRX-VJ36-84JN-66W0-A";

pub(super) fn id(text: &str) -> EndpointId {
    text.parse().unwrap()
}

pub(super) fn status() -> Status {
    Status {
        endpoint_id: id(ID),
        version: "0.1.0".to_owned(),
        uptime_sec: 61,
        listen_address: "0.0.0.0:4000".to_owned(),
        health_address: "0.0.0.0:7301".to_owned(),
        network_position: "lan".to_owned(),
        serving: true,
        problems: Vec::new(),
        connections: 3,
        active_tests: 1,
        running: Vec::new(),
        last_tests: Vec::new(),
        policy: PolicyStatus {
            state: "current".to_owned(),
            authorized: 4,
            refused: 2,
            broken: Vec::new(),
            foreign: 0,
        },
        pairing: None,
    }
}

/// A backend with these manifests, whose server gives this answer (none: it does not run). It remembers what it
/// was asked and told.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) manifests: Vec<ManifestPeer>,
    pub(super) answer: Option<Response>,
    /// What goes on naming a removed peer.
    pub(super) still_named_by: Vec<String>,
    pub(super) seen: RefCell<Vec<String>>,
}

impl Fake {
    pub(super) fn answering(answer: Response) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }

    fn saw(&self, what: String) {
        self.seen.borrow_mut().push(what);
    }

    fn edited(&self, what: &str, name: &str) -> Edited {
        self.saw(format!("{what} {name}"));
        let file = PathBuf::from(format!("/p/{name}.yaml"));
        Edited {
            name: name.to_owned(),
            endpoint_id: (name != "waiting").then(|| id(ID)),
            file,
            still_named_by: self.still_named_by.clone(),
        }
    }
}

impl Backend for Fake {
    fn ask(&self, socket: &Path, request: &Request) -> Result<Response, AskError> {
        self.saw(format!("ask {}", serde_json::to_string(request).unwrap()));
        self.answer.clone().ok_or_else(|| AskError::NotRunning { path: socket.to_path_buf() })
    }

    fn serve(&self, loaded: Loaded, extra: Extra) -> anyhow::Result<()> {
        self.saw(format!("serve {} with {:?}", loaded.config.network.listen_address, extra.engines));
        Ok(())
    }

    fn endpoint_id(&self, _: &Config) -> anyhow::Result<EndpointId> {
        Ok(id(ID))
    }

    fn private_key(&self, _: &Config) -> anyhow::Result<(EndpointId, Zeroizing<String>)> {
        Ok((id(ID), Zeroizing::new("a2V5".to_owned())))
    }

    fn rotate(&self, _: &Config) -> anyhow::Result<Rotated> {
        Ok(Rotated { old: id(ID), new: id(OTHER), backup: PathBuf::from("/k/old") })
    }

    fn self_test(&self, _: &Config, _: &Extra) -> anyhow::Result<Box<dyn Answer>> {
        Ok(Box::new(Said { message: "READY".to_owned() }))
    }

    fn measure(&self, _: &Loaded, what: &Measurement) -> anyhow::Result<Box<dyn Answer>> {
        self.saw(format!("measure {what:?}"));
        Ok(Box::new(Said { message: "measured".to_owned() }))
    }

    fn connect(&self, _: &Loaded, what: &Forwarding) -> anyhow::Result<Box<dyn Answer>> {
        self.saw(format!("connect {what:?}"));
        Ok(Box::new(Said { message: String::new() }))
    }

    fn audit_verify(
        &self,
        _: &Config,
        files: &[PathBuf],
        head: Option<AuditHead>,
    ) -> anyhow::Result<Box<dyn Answer>> {
        self.saw(format!("verify {files:?} up to {:?}", head.map(|h| h.seq)));
        Ok(Box::new(Said { message: "intact".to_owned() }))
    }

    fn audit_export(&self, _: &Config, files: &[PathBuf]) -> anyhow::Result<()> {
        self.saw(format!("export {files:?}"));
        Ok(())
    }

    fn peers(&self, _: &Config) -> anyhow::Result<Vec<ManifestPeer>> {
        Ok(self.manifests.clone())
    }

    fn add_peer(&self, _: &Config, peer: &NewPeer) -> anyhow::Result<Edited> {
        Ok(self.edited("add", peer.name.as_deref().unwrap_or("peer-7dn2-ff6e")))
    }

    fn remove_peer(&self, _: &Config, peer: &str) -> anyhow::Result<Edited> {
        Ok(self.edited("remove", peer))
    }

    fn revoke_peer(&self, _: &Config, peer: &str) -> anyhow::Result<Edited> {
        Ok(self.edited("revoke", peer))
    }
}

/// Runs a command line on a backend with the default configuration; the answer as text in a pipe.
pub(super) fn text(backend: &Fake, line: &str) -> anyhow::Result<String> {
    Ok(answer(backend, line)?.text(PIPE))
}

/// Runs a command line; the answer as JSON.
pub(super) fn json(backend: &Fake, line: &str) -> serde_json::Value {
    serde_json::from_str(&answer(backend, line).unwrap().json().unwrap()).unwrap()
}

fn answer(backend: &Fake, line: &str) -> anyhow::Result<Box<dyn Answer>> {
    let cli = Cli::try_parse_from(std::iter::once("reflector").chain(line.split_whitespace()))?;
    let loaded = parse("", &Variables::new()).unwrap();
    let (answer, json) = super::commands::run(&cli.command, loaded, backend, Extra::default())?;
    assert_eq!(json, line.contains("--json"), "{line}");
    Ok(answer)
}
