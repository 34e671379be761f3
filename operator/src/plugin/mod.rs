//! `kubectl reflector`: what people do by hand, with their own rights.
//!
//! In: the command line and the person's kubeconfig. Out: text or objects on standard output, edits of `spec` under the
//! manager `packetparamedic-cli`. `cluster` is the only file that talks to the API server; a file per command has what it
//! does, and what it shows is made from objects and `now` alone.

mod answer;
mod approve;
mod args;
mod cluster;
mod complete;
mod denials;
mod drain;
mod export;
mod from_here;
mod gitops;
mod identities;
mod inside;
mod logs;
mod pair;
mod peers;
#[cfg(test)]
mod reference;
mod report;
mod revoke;
mod selftest;
mod status;
#[cfg(test)]
mod testing;
mod text;
mod why;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use clap::error::ErrorKind;

use crate::clock;
use answer::{Answer, Exit, emit};
use args::{Cli, Command};
use cluster::Cluster;

/// What kubectl calls for completions: a link of this name to this program.
const COMPLETER: &str = "kubectl_complete-reflector";

/// The program.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    if words.first().is_some_and(|name| Path::new(name).file_name().is_some_and(|name| name == COMPLETER)) {
        let words: Vec<String> =
            words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        return emit(&complete::complete(&words)).into();
    }
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that hung up has what it wanted.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    if cli.global.output.is_some() && !cli.command.takes_output() {
        anstream::eprintln!("error: this command answers in words alone: leave out --output");
        return Exit::Usage.into();
    }
    match start(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            anstream::eprintln!("error: {}", answer::said(&error));
            Exit::Failed.into()
        }
    }
}

fn start(cli: Cli) -> Result<Exit> {
    if let Command::Completion { shell } = cli.command {
        return Ok(emit(&complete::script(shell)));
    }
    // Fails when it is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start the runtime")?.block_on(Box::pin(run(cli)))
}

async fn run(cli: Cli) -> Result<Exit> {
    let cluster = Cluster::connect(&cli.global).await?;
    let format = cli.global.output;
    let answer = match cli.command {
        Command::Status { reflector } => status::run(&cluster, reflector.as_deref(), format).await?,
        Command::Peers => peers::run(&cluster, format).await?,
        Command::Pair(wanted) => pair::run(&cluster, &wanted, format).await?,
        Command::Approve(wanted) => approve::run(&cluster, &wanted, format).await?,
        Command::Revoke(wanted) => revoke::run(&cluster, &wanted).await?,
        Command::Why { name } => why::run(&cluster, &name, format).await?,
        Command::Export { identities: true } => identities::run(&cluster, &cli.global).await?,
        Command::Export { .. } => export::run(&cluster, format).await?,
        Command::Drain(wanted) => drain::run(&cluster, &wanted).await?,
        Command::Logs(wanted) => return logs::run(&cluster, &wanted).await,
        Command::Test(wanted) if wanted.from_here => return from_here::run(&cluster, &wanted, format).await,
        Command::Test(wanted) => return selftest::run(&cluster, &wanted.reflector, &cli.global).await,
        Command::Report => report::run(&cluster, clock::now()).await?,
        Command::Completion { shell } => Answer::text(complete::script(shell)),
    };
    let exit = emit(&answer.text);
    Ok(if exit == Exit::Done { answer.exit } else { exit })
}
