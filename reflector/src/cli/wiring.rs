//! The real backend: each method hands over to the room that does the work.

use std::path::{Path, PathBuf};

use anyhow::bail;
use crds::EndpointId;

use super::backend::{AuditHead, Backend, Edited, Extra, ManifestPeer, NewPeer, Rotated};
use super::output::Answer;
use crate::admin::client::{self, AskError};
use crate::admin::protocol::{Request, Response};
use crate::config::{Config, Loaded};

/// This program.
pub(super) struct Wired;

/// Ends a command whose room is not part of this build.
const ABSENT: &str = "this build of reflector cannot do that";

impl Backend for Wired {
    fn ask(&self, socket: &Path, request: &Request) -> Result<Response, AskError> {
        client::ask(socket, request)
    }

    fn serve(&self, _: Loaded, _: Extra) -> anyhow::Result<()> {
        bail!(ABSENT)
    }

    fn endpoint_id(&self, _: &Config) -> anyhow::Result<EndpointId> {
        bail!(ABSENT)
    }

    fn rotate(&self, _: &Config) -> anyhow::Result<Rotated> {
        bail!(ABSENT)
    }

    fn self_test(&self, _: &Config, _: &Extra) -> anyhow::Result<Box<dyn Answer>> {
        bail!(ABSENT)
    }

    fn audit_verify(
        &self,
        _: &Config,
        _: &[PathBuf],
        _: Option<AuditHead>,
    ) -> anyhow::Result<Box<dyn Answer>> {
        bail!(ABSENT)
    }

    fn peers(&self, _: &Config) -> anyhow::Result<Vec<ManifestPeer>> {
        bail!(ABSENT)
    }

    fn add_peer(&self, _: &Config, _: &NewPeer) -> anyhow::Result<Edited> {
        bail!(ABSENT)
    }

    fn remove_peer(&self, _: &Config, _: &str) -> anyhow::Result<Edited> {
        bail!(ABSENT)
    }

    fn revoke_peer(&self, _: &Config, _: &str) -> anyhow::Result<Edited> {
        bail!(ABSENT)
    }
}
