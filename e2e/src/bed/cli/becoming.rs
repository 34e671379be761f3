//! `cargo bed shell`, `exec` and `logs`: this process becomes the command, so that its terminal, its signals and its exit
//! code are the user's own. Each returns only when the command could not be started.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::bed::layout::Layout;
use crate::bed::running::Bed;
use crate::bed::state::State;

/// A shell with kubectl, or the words with its environment.
#[expect(clippy::disallowed_methods, reason = "a shell is the user's own, and inherits their PATH")]
pub(super) fn shell(bed: &Bed, command: &[OsString]) -> anyhow::Error {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = [bed.tools().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let path = match std::env::join_paths(all) {
        Ok(path) => path,
        Err(error) => return anyhow::Error::new(error).context("put kubectl on the PATH"),
    };
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut words = command.iter();
    let mut process = Command::new(words.next().unwrap_or(&shell));
    process.args(words).env("KUBECONFIG", bed.kubeconfig()).env("PATH", path);
    if command.is_empty() {
        let names: Vec<String> = bed.state().members(bed.layout()).into_iter().map(|one| one.name).collect();
        anstream::eprintln!(
            "kubectl speaks to the bed. Members: {}. Run something there: cargo bed exec NAME COMMAND",
            names.join(", ")
        );
    }
    become_words(&mut process)
}

/// A command as a node or an appliance.
pub(super) fn inside(bed: &Bed, member: &str, command: &[OsString]) -> Result<anyhow::Error> {
    let words = bed.inside(member, command)?;
    Ok(become_words(Command::new(&words[0]).args(&words[1..])))
}

/// `tail` of one log, or of all.
pub(super) fn logs(folder: &Path, component: Option<&str>, follow: bool) -> Result<anyhow::Error> {
    // Half a bed has logs, too; they are why one looks.
    let state = State::read(folder)?.context("no bed runs here; start one with `cargo bed up`")?;
    let layout = Layout::new(folder, state.nodes);
    let names: Vec<&str> = state.components.keys().map(String::as_str).collect();
    let mut tail = Command::new("tail");
    if follow {
        tail.arg("-F");
    }
    match component {
        Some(name) if names.contains(&name) => tail.arg("--lines=+1").arg(layout.log(name)),
        Some(name) => bail!("no component is called {name}; there are: {}", names.join(", ")),
        None => tail.args(names.iter().map(|name| layout.log(name))),
    };
    Ok(become_words(&mut tail))
}

fn become_words(command: &mut Command) -> anyhow::Error {
    let program = command.get_program().to_string_lossy().into_owned();
    anyhow::Error::new(command.exec()).context(format!("start {program}"))
}
