//! The real backend: each method hands over to the room that does the work.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use crds::EndpointId;

use super::backend::{AuditHead, Backend, Edited, Extra, ManifestPeer, NewPeer, Rotated};
use super::exit::Exit;
use super::output::{Answer, Style, pretty};
use crate::admin::client::{self, AskError};
use crate::admin::protocol::{Request, Response};
use crate::audit::verify::Report as AuditReport;
use crate::audit::{self, Audit, Event, EventType, Head, OnFailure, Target};
use crate::config::{Config, Loaded};
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
        Ok(identity::load(&config.identity.private_key_path, daemon::in_pod())?.identity.id())
    }

    fn rotate(&self, config: &Config) -> anyhow::Result<Rotated> {
        let path = &config.identity.private_key_path;
        let old = identity::load(path, daemon::in_pod())?.identity;
        // The audit log first: a rotation nobody could write down is not made.
        let audit = offline_audit(config, old.id())?;
        let now = clock::now().wall;
        let (new, _, backup) = identity::replace(path, &old, now)?;
        audit.record_now(Event {
            params: Some(serde_json::json!({ "old": old.id(), "new": new.id() })),
            decision: Some("allowed"),
            ..Event::new(EventType::IdentityRotated)
        });
        Ok(Rotated { old: old.id(), new: new.id(), backup })
    }

    fn self_test(&self, config: &Config, extra: &Extra) -> anyhow::Result<Box<dyn Answer>> {
        let options = selftest::Options {
            state_dir: config.state_dir().to_owned(),
            quick: false,
            throughput_engine: extra.engines.iter().any(|e| e.test_type() == TestType::Throughput),
            clock_synced: || sys::clock_is_synchronised().ok(),
        };
        let report = selftest::run(&options, &mut |check| anstream::eprintln!("checking {check} …"));
        Ok(Box::new(report))
    }

    fn audit_verify(
        &self,
        config: &Config,
        files: &[PathBuf],
        head: Option<AuditHead>,
    ) -> anyhow::Result<Box<dyn Answer>> {
        let head = head.map(parse_head).transpose()?;
        let report = match (files, config.audit_path()) {
            ([], None) => bail!("the audit log goes to standard output: name the files it was kept in"),
            ([], Some(path)) => audit::files::verify_log(&path, head)?,
            (files, _) => audit::files::verify_files(files, head)?,
        };
        Ok(Box::new(report))
    }

    fn peers(&self, _: &Config) -> anyhow::Result<Vec<ManifestPeer>> {
        bail!("tmp")
    }

    fn add_peer(&self, _: &Config, _: &NewPeer) -> anyhow::Result<Edited> {
        bail!("tmp")
    }

    fn remove_peer(&self, _: &Config, _: &str) -> anyhow::Result<Edited> {
        bail!("tmp")
    }

    fn revoke_peer(&self, _: &Config, _: &str) -> anyhow::Result<Edited> {
        bail!("tmp")
    }
}

fn parse_head(head: AuditHead) -> anyhow::Result<Head> {
    let hash = head.hash.parse().map_err(|_| anyhow::anyhow!("the running reflector gave no hash"))?;
    Ok(Head { seq: head.seq, hash })
}

/// The log of a reflector that does not run. Dropping it writes what waits.
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
        format!("{self}\n")
    }

    fn exit(&self) -> Exit {
        if self.intact { Exit::Done } else { Exit::No }
    }
}
