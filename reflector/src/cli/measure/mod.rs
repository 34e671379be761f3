//! `reflector test`: from a configuration and a wish to an answer.
//!
//! In: what to measure. Out: a result on standard output; on standard error what it will cost, what is going on and what
//! there is to know. The measuring itself is `client/`.

mod args;
mod show;

use std::path::Path;

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::backend::{Keep, Measurement};
use super::connect::places;
use super::output::Answer;
use crate::client::key::{self, ClientKey};
use crate::client::link::Link;
use crate::client::pairing;
use crate::client::plan::{self, Limits, Plan};
use crate::client::report::history;
use crate::client::result::TestResult;
use crate::client::run::{self, Measured, RunError, Server};
use crate::client::{LinkError, Target};
use crate::config::Loaded;
use crate::link::features::Features;
use crate::{clock, daemon};

pub(super) use args::{TestArgs, code};
use show::{Screen, Tested};

/// Measures, or says why not.
pub(super) fn measure(loaded: &Loaded, what: &Measurement) -> anyhow::Result<Box<dyn Answer>> {
    let mut screen = Screen::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = match &what.save {
        None => None,
        Some(Keep::AsUsual) => Some(history::default_folder()?),
        Some(Keep::In(folder)) => Some(folder.clone()),
    };
    if let Some(page) = &what.page {
        // Before it costs anything.
        history::may_be_written(page)?;
    }
    let measured = runtime.block_on(async {
        let stop = CancellationToken::new();
        let (interrupted, again) = (signals()?, stop.clone());
        tokio::select! {
            measured = one(loaded, what, &stop, &mut screen) => measured,
            () = twice(interrupted, again) => bail!("interrupted again before the test was over"),
        }
    })?;
    // What was measured is shown whether or not it can be kept.
    let mut kept = true;
    let mut note = |what: &str, done: anyhow::Result<()>, screen: &mut Screen| {
        if let Err(error) = done {
            kept = false;
            screen.line(&format!("{what}: {error:#}"));
        }
    };
    if let Some(folder) = folder {
        note("not saved", keep(&folder, &measured.result, &mut screen), &mut screen);
    }
    if let Some(page) = &what.page {
        let written = history::write_page(page, &measured.result).map_err(anyhow::Error::new);
        note("no page", written, &mut screen);
    }
    Ok(Box::new(Tested { measured, kept }))
}

/// Keeps a result and says how it compares with the one before.
fn keep(folder: &Path, result: &TestResult, screen: &mut Screen) -> anyhow::Result<()> {
    let before = history::list(folder)?;
    let file = history::save(folder, result)?;
    screen.line(&format!("saved {} and {}", file.display(), history::page_of(&file).display()));
    for line in history::previous(&before, result).iter().flat_map(|old| history::compare(old, result)) {
        screen.line(&line);
    }
    Ok(())
}

/// A denial is an answer, and has an exit code of its own.
pub(super) fn is_denial(error: &anyhow::Error) -> bool {
    error.downcast_ref::<RunError>().is_some_and(RunError::is_denial)
        || error.downcast_ref::<LinkError>().is_some_and(LinkError::is_denial)
}

async fn one(
    loaded: &Loaded,
    what: &Measurement,
    stop: &CancellationToken,
    screen: &mut Screen,
) -> anyhow::Result<Measured> {
    match &what.target {
        Target::Reflector(address) => {
            let key = our_key(loaded)?;
            screen.key(&key);
            if let Some(code) = &what.code {
                screen.line(&pairing::pair(address, &key.current, code).await?);
            }
            let connected = async {
                let mut link = Link::connect(address, &key.current).await?;
                link.admitted().await.map(|()| link)
            };
            let mut link = tokio::select! {
                link = connected => link?,
                () = stop.cancelled() => return Err(RunError::Interrupted.into()),
            };
            let features = link.features();
            let plan = plan::plan(&what.wish, Limits { hello: Some(link.hello()), features });
            let plan = plan.map_err(RunError::from)?;
            let mut server = Server::Reflector(&mut link, &key.current);
            let measured = drive(&mut server, &plan, stop, screen).await;
            link.close().await;
            measured
        }
        Target::Iperf3(at) => {
            if what.code.is_some() {
                bail!("a stock iperf3 server pairs with nobody: leave out --code");
            }
            let plan = plan::plan(&what.wish, Limits { hello: None, features: Features::NONE });
            let plan = plan.map_err(RunError::from)?;
            drive(&mut Server::Iperf3(at), &plan, stop, screen).await
        }
    }
}

async fn drive(
    server: &mut Server<'_>,
    plan: &Plan,
    stop: &CancellationToken,
    screen: &mut Screen,
) -> anyhow::Result<Measured> {
    screen.plan(plan);
    let now = clock::now().wall;
    let measured = run::run(server, plan, now, stop, &mut |event| screen.event(&event)).await;
    screen.clear();
    Ok(measured?)
}

fn our_key(loaded: &Loaded) -> anyhow::Result<ClientKey> {
    key::load(&places(loaded), daemon::in_pod(), clock::now().wall).context("this client has no identity")
}

fn signals() -> anyhow::Result<[Signal; 2]> {
    let listen = |kind| signal(kind).context("listen for signals");
    Ok([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?])
}

/// The first signal ends the test well; resolves at the second.
async fn twice([mut interrupt, mut terminate]: [Signal; 2], stop: CancellationToken) {
    let mut either = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    either().await;
    stop.cancel();
    either().await;
}
