//! What each command does, up to its answer. Peers, status and configuration have files of their own.

use crds::EndpointId;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::args::{Audit, Command, Config as ConfigCommand};
use super::backend::{AuditHead, Backend, Extra, Forwarding, Rotated};
use super::output::{Answer, Said, Style, pretty};
use super::settings::{Checked, Shown};
use super::{pages, peers};
use crate::admin::client::AskError;
use crate::admin::protocol::{Request, Response};
use crate::config::{Config, Loaded, reference};

/// Runs a command that needs no configuration. `None`: it needs one.
pub(super) fn run_without_config(command: &Command) -> anyhow::Result<Option<Box<dyn Answer>>> {
    let message = match command {
        Command::Completions { shell } => pages::completions(*shell),
        Command::Config(ConfigCommand::Reference) => reference::markdown(),
        Command::Man { dir } => {
            let count = pages::write_man_pages(dir).map_err(|e| {
                anyhow::Error::new(e).context(format!("write man pages into {}", dir.display()))
            })?;
            format!("{count} man pages written")
        }
        _ => return Ok(None),
    };
    Ok(Some(Box::new(Said { message })))
}

/// Runs a command; its answer, and whether JSON was asked for.
pub(super) fn run(
    command: &Command,
    loaded: Loaded,
    backend: &dyn Backend,
    extra: Extra,
) -> anyhow::Result<(Box<dyn Answer>, bool)> {
    let config = &loaded.config;
    let socket = config.admin_socket_path();
    Ok(match command {
        Command::Serve { .. } => {
            backend.serve(loaded, extra)?;
            (Box::new(Said { message: String::new() }), false)
        }
        Command::Pair { close: true, json, .. } => match backend.ask(&socket, &Request::ClosePairing)? {
            Response::Ok => {
                (Box::new(Said { message: "the pairing window is closed".to_owned() }), json.json)
            }
            other => return Err(unexpected(other)),
        },
        Command::Pair { ttl, json, .. } => {
            match backend.ask(&socket, &Request::OpenPairing { ttl_sec: ttl.as_secs() })? {
                Response::Pairing { code, expires_at, endpoint_id } => {
                    (Box::new(Window { code, expires_at, endpoint_id }), json.json)
                }
                other => return Err(unexpected(other)),
            }
        }
        Command::Peers(command) => peers::run(command, config, backend)?,
        Command::RotateIdentity { json } => (Box::new(rotate(config, backend)?), json.json),
        Command::Status { json } => match backend.ask(&socket, &Request::Status)? {
            Response::Status(status) => (status, json.json),
            other => return Err(unexpected(other)),
        },
        Command::ShowId { json } => {
            let endpoint_id = backend.endpoint_id(config)?;
            (
                Box::new(Ours { endpoint_id, label: endpoint_id.label(), short: endpoint_id.short() }),
                json.json,
            )
        }
        Command::ExportIdentity { json, .. } => {
            let (endpoint_id, private_key) = backend.private_key(config)?;
            (Box::new(Exported { endpoint_id, private_key }), json.json)
        }
        Command::SelfTest { json } => (backend.self_test(config, &extra)?, json.json),
        Command::Test(args) => (backend.measure(&loaded, &args.measurement())?, args.json.json),
        Command::Connect { reflector, forward, code } => {
            let what = Forwarding { reflector: reflector.clone(), port: *forward, code: code.clone() };
            (backend.connect(&loaded, &what)?, false)
        }
        Command::Audit(Audit::Verify { files, json }) => {
            let head = if files.is_empty() { audit_head(config, backend)? } else { None };
            (backend.audit_verify(config, files, head)?, json.json)
        }
        Command::Audit(Audit::Export { files }) => {
            backend.audit_export(config, files)?;
            (Box::new(Said { message: String::new() }), false)
        }
        Command::Config(ConfigCommand::Check { json }) => (Box::new(Checked::new(&loaded)), json.json),
        Command::Config(ConfigCommand::Show { json }) => (Box::new(Shown::new(&loaded)), json.json),
        Command::Config(ConfigCommand::Reference) | Command::Completions { .. } | Command::Man { .. } => {
            anyhow::bail!("this command takes no configuration")
        }
    })
}

/// An answer that does not fit the question: most often the server's own words on why not.
pub(super) fn unexpected(response: Response) -> anyhow::Error {
    match response {
        Response::Error { message } => anyhow::anyhow!("{message}"),
        _ => anyhow::anyhow!(
            "the reflector answered another question; is it of the same version as this program?"
        ),
    }
}

/// Where the log must end, when a server runs that knows.
fn audit_head(config: &Config, backend: &dyn Backend) -> anyhow::Result<Option<AuditHead>> {
    match backend.ask(&config.admin_socket_path(), &Request::AuditHead) {
        Ok(Response::AuditHead { seq, hash }) => Ok(Some(AuditHead { seq, hash })),
        Ok(other) => Err(unexpected(other)),
        Err(AskError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The running server rotates its own identity, so that files keep their owner and live sessions go on; without one the
/// key file is replaced here.
fn rotate(config: &Config, backend: &dyn Backend) -> anyhow::Result<Rotation> {
    let (rotated, live) = match backend.ask(&config.admin_socket_path(), &Request::RotateIdentity) {
        Ok(Response::Rotated { old, new, backup }) => (Rotated { old, new, backup: backup.into() }, true),
        Ok(other) => return Err(unexpected(other)),
        Err(AskError::NotRunning { .. }) => (backend.rotate(config)?, false),
        Err(error) => return Err(error.into()),
    };
    let Rotated { old, new, backup } = rotated;
    Ok(Rotation { old_endpoint_id: old, endpoint_id: new, backup: backup.display().to_string(), live })
}

/// An open pairing window.
#[derive(Debug, Serialize)]
struct Window {
    code: String,
    expires_at: Timestamp,
    endpoint_id: EndpointId,
}

impl Answer for Window {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, style: Style) -> String {
        let code = style.paint(super::output::HEAD, &self.code);
        format!(
            "code         {code}\nvalid until  {:.0}\nendpoint id  {}\n\n\
             Enter both on the appliance. The code works once.\n",
            self.expires_at, self.endpoint_id
        )
    }
}

/// Who we are.
#[derive(Debug, Serialize)]
struct Ours {
    endpoint_id: EndpointId,
    /// Fits a Kubernetes label.
    label: String,
    short: String,
}

impl Answer for Ours {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        format!("{}\n", self.endpoint_id)
    }
}

/// Who we are, and what makes us that.
#[derive(Serialize)]
struct Exported {
    endpoint_id: EndpointId,
    #[serde(serialize_with = "as_text")]
    private_key: Zeroizing<String>,
}

fn as_text<S: Serializer>(text: &Zeroizing<String>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(text)
}

impl Answer for Exported {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        format!("{}\n", self.private_key.as_str())
    }
}

/// A rotated identity.
#[derive(Debug, Serialize)]
struct Rotation {
    old_endpoint_id: EndpointId,
    endpoint_id: EndpointId,
    backup: String,
    /// The running server uses it already.
    live: bool,
}

impl Answer for Rotation {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        let effect = if self.live {
            "The running reflector uses the new key; live tests go on."
        } else {
            "The reflector is not running; it uses the new key when it starts."
        };
        format!(
            "old          {}\nnew          {}\nbackup       {}\n\n{effect}\n",
            self.old_endpoint_id, self.endpoint_id, self.backup
        )
    }
}

#[cfg(test)]
mod tests;
