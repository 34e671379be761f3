//! The real backend: each method hands over to the room that does the work.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use crds::EndpointId;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::backend::{
    AuditHead, Backend, Edited, Extra, Forwarding, ManifestPeer, Measurement, NewPeer, Rotated,
};
use super::connect;
use super::exit::Exit;
use super::measure;
use super::output::{Answer, Style, pretty};
use crate::access::configured_name;
use crate::access::directory;
use crate::access::edit::{self, Listed, PeersDir};
use crate::access::manifest::Mine;
use crate::admin::client::{self, AskError};
use crate::admin::protocol::{Request, Response};
use crate::audit::verify::Report as AuditReport;
use crate::audit::{self, Audit, Event, EventType, Head, OnFailure, Target};
use crate::config::{self, Config, Loaded};
use crate::engine::sys;
use crate::link::message::TestType;
use crate::metrics::{Metrics, PerPeer};
use crate::selftest;
use crate::{clock, daemon, identity};

/// This program.
pub(super) struct Wired;

impl Backend for Wired {
    fn ask(&self, socket: &Path, request: &Request) -> Result<Response, AskError> {
        client::ask(socket, request)
    }

    fn serve(&self, loaded: Loaded, extra: Extra) -> anyhow::Result<()> {
        daemon::serve(loaded, extra.engines)
    }

    fn endpoint_id(&self, config: &Config) -> anyhow::Result<EndpointId> {
        Ok(known_key(&config.identity.private_key_path)?.id())
    }

    fn private_key(&self, config: &Config) -> anyhow::Result<(EndpointId, Zeroizing<String>)> {
        let identity = known_key(&config.identity.private_key_path)?;
        anstream::eprintln!(
            "This is the private key of {}: whoever has it is this reflector.",
            identity.id()
        );
        Ok((identity.id(), identity.exported()))
    }

    fn rotate(&self, config: &Config) -> anyhow::Result<Rotated> {
        let path = &config.identity.private_key_path;
        let old = known_key(path)?;
        // The audit log first: a rotation nobody could write down is not made.
        let audit = offline_audit(config, old.id())?;
        let now = clock::now().wall;
        let (new, _, backup) = identity::replace(path, &old, now)?;
        audit.record_now(Event {
            params: Some(serde_json::json!({ "old": old.id(), "new": new.id() })),
            decision: Some("allowed"),
            ..Event::new(EventType::IdentityRotated)
        });
        written(&audit).with_context(|| {
            format!("the identity is {} now, but the audit log does not say so", new.id())
        })?;
        Ok(Rotated { old: old.id(), new: new.id(), backup })
    }

    fn self_test(&self, config: &Config, extra: &Extra) -> anyhow::Result<Box<dyn Answer>> {
        let options = selftest::Options {
            state_dir: config.state_dir().to_owned(),
            quick: false,
            throughput_engine: extra.engines.serve(TestType::Throughput),
            clock_synced: || sys::clock_is_synchronised().ok(),
        };
        let report = selftest::run(&options, &mut |check| anstream::eprintln!("checking {check} …"));
        Ok(Box::new(report))
    }

    fn measure(&self, loaded: &Loaded, what: &Measurement) -> anyhow::Result<Box<dyn Answer>> {
        measure::measure(loaded, what)
    }

    fn connect(&self, loaded: &Loaded, what: &Forwarding) -> anyhow::Result<Box<dyn Answer>> {
        connect::run(loaded, what)
    }

    fn audit_verify(
        &self,
        config: &Config,
        files: &[PathBuf],
        head: Option<AuditHead>,
    ) -> anyhow::Result<Box<dyn Answer>> {
        let head = head.as_ref().map(parse_head).transpose()?;
        let report = match (files, config.audit_path()) {
            ([], None) => bail!("the audit log goes to standard output: name the files it was kept in"),
            ([], Some(path)) => audit::files::verify_log(&path, head)?,
            (files, _) => audit::files::verify_files(files, head)?,
        };
        Ok(Box::new(report))
    }

    fn audit_export(&self, config: &Config, files: &[PathBuf]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        let exported = match (files, config.audit_path()) {
            ([], None) => bail!("the audit log goes to standard output: whoever collects it has it"),
            ([], Some(path)) => audit::export::export_log(&path, &mut out),
            (files, _) => audit::export::export_files(files, &mut out),
        };
        match exported {
            // A reader that hung up has what it wanted.
            Err(audit::files::Error::Write { source }) if source.kind() == io::ErrorKind::BrokenPipe => {
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn peers(&self, config: &Config) -> anyhow::Result<Vec<ManifestPeer>> {
        standing_alone(config)?;
        let dir = config.peers_dir();
        if !dir.exists() {
            let cure = match config.access.peers_dir {
                None => "the first `reflector serve` or `reflector peers add` makes it",
                Some(_) => "make it, or mend access.peers_dir",
            };
            bail!("there is no folder {} yet: {cure}", dir.display());
        }
        let now = clock::now().wall;
        let listed = peers_dir(config).list()?.into_iter().map(|peer| ManifestPeer {
            state: state_of(&peer, now).to_owned(),
            name: peer.name,
            endpoint_id: peer.endpoint_id,
        });
        let listed: Vec<ManifestPeer> = listed.collect();
        // An object decides over the configuration.
        let undecided = |id: &&EndpointId| listed.iter().all(|peer| peer.endpoint_id != Some(**id));
        let configured = config.access.authorized_peers.iter().filter(undecided).map(|id| ManifestPeer {
            name: configured_name(id),
            endpoint_id: Some(*id),
            state: "authorized".to_owned(),
        });
        let configured: Vec<ManifestPeer> = configured.collect();
        Ok(listed.into_iter().chain(configured).collect())
    }

    fn add_peer(&self, config: &Config, peer: &NewPeer) -> anyhow::Result<Edited> {
        standing_alone(config)?;
        let dir = peers_dir(config);
        directory::ensure(&config.peers_dir()).context("make the peers folder")?;
        let added = dir.add(&edit::NewPeer {
            endpoint_id: peer.endpoint_id,
            name: peer.name.clone(),
            display_name: peer.display_name.clone(),
            expires_at: None,
            suspended: false,
        })?;
        Ok(edited(config, &added))
    }

    fn remove_peer(&self, config: &Config, peer: &str) -> anyhow::Result<Edited> {
        standing_alone(config)?;
        let done = match peers_dir(config).remove(peer) {
            Err(edit::Error::UnknownPeer { .. }) if configured(config, peer).is_some() => bail!(
                "{peer} stands in access.authorized_peers of the configuration: delete it there and restart, or shut it out with `reflector peers revoke`"
            ),
            done => done?,
        };
        let mut removed = first(config, &done)?;
        removed.still_named_by = done.remaining.iter().map(|peer| peer.file.clone()).collect();
        if removed.endpoint_id.is_some_and(|id| config.access.authorized_peers.contains(&id)) {
            removed.still_named_by.push("access.authorized_peers".to_owned());
        }
        Ok(removed)
    }

    fn revoke_peer(&self, config: &Config, peer: &str) -> anyhow::Result<Edited> {
        standing_alone(config)?;
        let dir = peers_dir(config);
        match dir.revoke(peer) {
            Err(edit::Error::UnknownPeer { .. }) if configured(config, peer).is_some() => {
                // An object decides over the configuration, so one that is born suspended revokes a configured peer.
                let Some(endpoint_id) = configured(config, peer) else { bail!("no such peer: {peer}") };
                let new = edit::NewPeer {
                    endpoint_id,
                    name: None,
                    display_name: None,
                    expires_at: None,
                    suspended: true,
                };
                Ok(edited(config, &dir.add(&new)?))
            }
            done => first(config, &done?),
        }
    }
}

/// In a cluster nobody reads the peers folder.
fn standing_alone(config: &Config) -> anyhow::Result<()> {
    if let Some(namespace) = &config.access.namespace {
        bail!("in a cluster peers are objects: use kubectl on the reflectorpeers of namespace {namespace}");
    }
    Ok(())
}

/// The key, for commands that must not make one.
fn known_key(path: &Path) -> anyhow::Result<identity::Identity> {
    if !path.exists() {
        bail!("there is no key at {} yet: the first `reflector serve` makes it", path.display());
    }
    Ok(identity::load(path, daemon::in_pod())?.identity)
}

fn peers_dir(config: &Config) -> PeersDir {
    let mine = Mine { name: config.reflector_name(&config::hostname()), fleet: config.access.fleet.clone() };
    PeersDir::new(config.peers_dir(), mine)
}

fn configured(config: &Config, peer: &str) -> Option<EndpointId> {
    let known = config.access.authorized_peers.iter();
    known.copied().find(|id| peer == configured_name(id) || peer.parse() == Ok(*id))
}

fn edited(config: &Config, peer: &Listed) -> Edited {
    Edited {
        name: peer.name.clone(),
        endpoint_id: peer.endpoint_id,
        file: config.peers_dir().join(&peer.file),
        still_named_by: Vec::new(),
    }
}

fn first(config: &Config, done: &edit::Edited) -> anyhow::Result<Edited> {
    done.changed.first().map(|peer| edited(config, peer)).context("nothing was changed")
}

fn state_of(peer: &Listed, now: Timestamp) -> &'static str {
    match peer {
        Listed { problem: Some(_), .. } => "invalid",
        Listed { suspended: true, .. } => "suspended",
        Listed { expires_at: Some(at), .. } if *at <= now => "expired",
        Listed { endpoint_id: None, .. } => "waiting",
        _ => "authorized",
    }
}

fn parse_head(head: &AuditHead) -> anyhow::Result<Head> {
    let hash = head.hash.parse().map_err(|_| anyhow::anyhow!("the running reflector gave no hash"))?;
    Ok(Head { seq: head.seq, hash })
}

/// Waits for what was recorded: this process ends before the writer would come to it by itself.
fn written(audit: &Audit) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    if !runtime.block_on(audit.flush()) || audit.failing() {
        bail!("the audit log cannot be written: free space or fix the path");
    }
    Ok(())
}

/// The log of a reflector that does not run.
fn offline_audit(config: &Config, endpoint_id: EndpointId) -> anyhow::Result<Audit> {
    let target = config.audit_path().map_or(Target::Stdout, Target::File);
    let settings = audit::Settings {
        target,
        endpoint_id,
        on_failure: OnFailure::Continue,
        metrics: Metrics::new(PerPeer::Hidden),
    };
    Audit::open(settings).context("the rotation could not be audited, so it was not made")
}

impl Answer for selftest::Report {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, style: Style) -> String {
        selftest::render(self, style.colour)
    }

    fn exit(&self) -> Exit {
        match self.exit_code() {
            0 => Exit::Done,
            2 => Exit::No,
            _ => Exit::Failed,
        }
    }
}

impl Answer for AuditReport {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        self.to_string()
    }

    fn exit(&self) -> Exit {
        if self.intact { Exit::Done } else { Exit::No }
    }
}
