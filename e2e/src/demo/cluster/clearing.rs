//! Removing what a demo made, on a bed only: nothing is ever removed from a cluster of somebody else.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::bed::{self, Bed};

use super::super::stage::until_every;
use super::PEER;
use super::target::{CHART, NAMESPACE, RELEASE, SYSTEM, Target};

/// How often a bed that somebody is changing is asked for.
const AGAIN: Duration = Duration::from_millis(200);

/// Ends a bed that came up for a demo which was interrupted. The start it interrupts may still hold it for a moment.
pub(in super::super) async fn end_bed() -> Result<()> {
    let folder = bed::folder();
    let mut error = None;
    let ended = until_every(AGAIN, "bed that can be ended", async || match bed::down(&folder).await {
        Ok(()) => Ok(Some(())),
        Err(why) => {
            error = Some(why);
            Ok(None)
        }
    });
    match (ended.await, error) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(why)) => Err(why.context("end the bed; `cargo bed down` tries again")),
        (Err(why), None) => Err(why),
    }
}

/// `cargo demo --clear`: the release, the namespaces and the appliance. Fine when there is nothing, and no bed.
pub(in super::super) async fn clear(root: &std::path::Path) -> Result<()> {
    let Ok(bed) = Bed::running() else { return Ok(()) };
    let folder = super::home()?;
    let mut target = Target::bed(bed, root, root, folder.path());
    earlier(&target).await?;
    if let Some(bed) = target.bed.as_mut()
        && bed.member(PEER).is_ok()
    {
        bed.remove_appliance(PEER).await?;
    }
    Ok(())
}

/// What an earlier demo, or a scenario, left of the chart: a release takes nothing over that is not its own.
pub(crate) async fn earlier(target: &Target) -> Result<()> {
    target.run(&["helm", "uninstall", RELEASE, "-n", SYSTEM, "--ignore-not-found", "--wait"]).await?;
    let all = target.run(&["helm", "template", RELEASE, CHART, "-n", SYSTEM]).await?;
    let folder = super::home()?;
    let file = folder.path().join("chart.yaml");
    std::fs::write(&file, all).context("write what the chart makes")?;
    let file = file.to_str().context("the folder's name is no text")?;
    // With the kinds go their objects, and with a namespace everything in it.
    let gone = ["kubectl", "delete", "--ignore-not-found", "--timeout=2m"];
    let words: Vec<&str> = gone.into_iter().chain(["-n", SYSTEM, "-f", file]).collect();
    target.run(&words).await?;
    let words: Vec<&str> = gone.into_iter().chain(["namespace", NAMESPACE, SYSTEM]).collect();
    target.run(&words).await.map(drop)
}

/// Fails on a cluster that has reflectors: the story would be told on somebody's own.
pub(super) async fn untouched(target: &Target) -> Result<()> {
    let there = target.run(&[
        "kubectl",
        "get",
        "crd",
        "--ignore-not-found",
        "-o",
        "name",
        "reflectors.packetparamedic.io",
    ]);
    let there = there.await.context("look at your cluster")?;
    ensure!(
        there.trim().is_empty(),
        "this cluster has the kind Reflector already, and the demo touches nobody's reflectors: use another cluster, \
         or look at yours with `kubectl reflector status`"
    );
    let node = target.run(&["kubectl", "get", "node", &target.node, "-o", "name"]).await;
    if let Err(error) = node {
        let all = target.run(&["kubectl", "get", "nodes", "-o", "name"]).await?;
        bail!(
            "{error:#}; --node takes one of: {}",
            all.replace("node/", "").lines().collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}
