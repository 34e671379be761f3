//! What a component is before it runs: a command line, its files, and the sign by which it is ready. Nothing here runs it.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::layout::Host;

/// How long a component may take to show its sign. Starting everything on two busy cores takes ten seconds.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// What shows that a component is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ready {
    /// The process has become this program: the shell before it has done its work.
    Became(&'static str),
    /// Somebody accepts on this Unix socket.
    Socket(PathBuf),
    /// Somebody accepts on this port.
    Port(SocketAddr),
    /// A GET of this path answers 200.
    Http(SocketAddr, &'static str),
    /// The same over TLS, with a certificate of the bed's own authority.
    Https(SocketAddr, &'static str),
    /// A line of its log contains this.
    Line(&'static str),
}

/// A program of the bed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    /// Its name in logs and on the command line; one per bed.
    pub(super) name: String,
    /// Where it runs.
    pub(super) host: Host,
    /// The program and its arguments.
    pub(super) command: Vec<OsString>,
    /// What is put in front of PATH.
    pub(super) path: Vec<PathBuf>,
    /// What it finds in its environment, beside what we have.
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// Files written before it starts.
    pub(super) files: Vec<(PathBuf, String)>,
    /// When it is ready.
    pub(super) ready: Ready,
}

impl Component {
    /// A component without files, in the root namespaces.
    pub(super) fn new(name: impl Into<String>, program: impl Into<OsString>, ready: Ready) -> Self {
        let command = vec![program.into()];
        Self {
            name: name.into(),
            host: Host::Control,
            command,
            path: Vec::new(),
            environment: Vec::new(),
            files: Vec::new(),
            ready,
        }
    }

    /// More arguments.
    #[must_use]
    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// `--name=value`.
    #[must_use]
    pub(super) fn flag(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut word = OsString::from(format!("--{name}="));
        word.push(value);
        self.command.push(word);
        self
    }

    /// In a member's namespaces.
    #[must_use]
    pub(super) fn on(mut self, member: &str) -> Self {
        self.host = Host::Member(member.into());
        self
    }

    /// With a file, written before it starts.
    #[must_use]
    pub(super) fn file(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.files.push((path.into(), text.into()));
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// With a folder in front of PATH.
    #[must_use]
    pub(super) fn path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.path.push(folder.into());
        self
    }
}
