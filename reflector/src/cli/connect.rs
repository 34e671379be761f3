//! `reflector connect`: hands a stock iperf3 on this host to the tunnel.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::backend::Forwarding;
use super::exit::Exit;
use super::output::{Answer, Style, pretty};
use crate::client::forward::{self, Local, Tally};
use crate::client::key::{self, Places};
use crate::client::{LinkError, pairing};
use crate::config::{Loaded, Origin};
use crate::{clock, daemon};

/// How it ended. There is nothing to print: a person has read along on standard error.
#[derive(Debug, Serialize)]
struct Over {
    refused: bool,
}

impl Answer for Over {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        String::new()
    }

    fn exit(&self) -> Exit {
        if self.refused { Exit::No } else { Exit::Done }
    }
}

/// Forwards until it is interrupted.
pub(super) fn run(loaded: &Loaded, what: &Forwarding) -> anyhow::Result<Box<dyn Answer>> {
    let Forwarding { reflector, port, code } = what;
    let key = key::load(&places(loaded), daemon::in_pod(), clock::now().wall)?;
    for note in &key.notes {
        say(note);
    }
    if key.created {
        say(&format!("a key for this client was made: {}", key.path.display()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let stop = interrupted().context("listen for signals")?;
        let local = Local::bind(*port).await?;
        let hint = format!("on this host: iperf3 -c {} -p {}", local.address().ip(), local.address().port());
        let tell = |line: &str| {
            say(line);
            if line.starts_with("forwarding") {
                say(&hint);
            }
        };
        let work = async {
            if let Some(code) = code {
                say(&pairing::pair(reflector, &key.current, code).await?);
            }
            forward::forward(reflector, &key.current, local, &stop, &tell).await
        };
        anyhow::Ok(work.await)
    })?;
    match outcome {
        Ok(tally) => {
            say(&forwarded(tally));
            Ok(Box::new(Over { refused: false }))
        }
        Err(error) if is_refusal(&error) => {
            say(&error.to_string());
            Ok(Box::new(Over { refused: true }))
        }
        Err(error) => Err(error.into()),
    }
}

/// The last line: what there was, and what of it this host lost.
fn forwarded(tally: Tally) -> String {
    let Tally { tests, datagrams_dropped } = tally;
    let tests = match tests {
        1 => "1 test".to_owned(),
        tests => format!("{tests} tests"),
    };
    match datagrams_dropped {
        0 => format!("{tests} forwarded"),
        lost => format!("{tests} forwarded; {}", forward::dropped(lost)),
    }
}

const fn is_refusal(error: &LinkError) -> bool {
    error.is_denial() || matches!(error, LinkError::Feature(_))
}

/// Where this client's key may be.
pub(super) fn places(loaded: &Loaded) -> Places {
    let origin = loaded.origins.get("identity.private_key_path");
    Places {
        configured: loaded.config.identity.private_key_path.clone(),
        named: origin.is_some_and(|origin| *origin != Origin::Default),
        state_home: folder("XDG_STATE_HOME"),
        home: folder("HOME"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// Cancelled by the first SIGINT or SIGTERM.
fn interrupted() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                stop.cancel();
            }
        });
    }
    Ok(stop)
}

/// To the person at the terminal; who has closed it does not read along.
fn say(line: &str) {
    anstream::eprintln!("{line}");
}
