//! Clocks: what stands still while the world goes on, and machines that have been running for different times.

use anyhow::{Context as _, Result, ensure};
use e2e::bed::{Member, Still};
use e2e::scenario::{MINUTE, Pods as _, Scenario, alone, breaking_a_node, busybox, scenario, wait_until};
use serde_json::{Value, json};

const SERVE: &str =
    "mkdir /tmp/www && echo awake >/tmp/www/index.html && exec busybox httpd -f -p 18083 -h /tmp/www";
const PORT: u16 = 18083;

fn server(node: &str) -> Value {
    let more = json!({
        "nodeName": node,
        "hostNetwork": true,
        "containers": [{ "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }] }],
        "volumes": [{ "name": "tmp", "emptyDir": {} }],
    });
    busybox("server", SERVE, &more)
}

async fn served(story: &Scenario, address: &str) -> Result<()> {
    wait_until("node-1 reads the page", MINUTE, async || story.fetch("node-1", address, PORT).await)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_pod_that_stands_still_answers_nobody_and_goes_on_as_the_same_process() {
    scenario("still-pod", async |story: &mut Scenario| {
        story.create_pod(&server("node-1")).await?;
        story.ready_pod("server").await?;
        served(story, "10.99.0.11").await?;
        let before = story.container("server").await?;

        story.bed.pause(before.still()).await?;
        ensure!(story.fetch("node-1", "10.99.0.11", PORT).await.is_err(), "somebody answered");
        story.bed.resume(before.still()).await?;
        served(story, "10.99.0.11").await?;
        let after = story.container("server").await?;
        ensure!(after == before, "it was {before:?} and is {after:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_stalled_holder_of_a_lease_is_given_up_and_renews_it_when_it_goes_on() {
    breaking_a_node("still-holder", async |story: &mut Scenario, node: &Member| {
        let (node, address) = (node.name.as_str(), node.address.to_string());
        let kubelet = format!("kubelet-{node}");
        story.create_pod(&server(node)).await?;
        story.ready_pod("server").await?;
        let before = story.container("server").await?;

        // Every kubelet holds a Lease of its node's name.
        story.bed.pause(Still::Component(&kubelet)).await?;
        story.bed.noticed_lost(node).await?;
        served(story, &address).await?;
        story.bed.resume(Still::Component(&kubelet)).await?;
        story.bed.noticed_ready(node).await?;

        // Now the whole of it, as a virtual machine whose host is busy.
        story.bed.pause(Still::Member(node)).await?;
        ensure!(story.fetch("node-1", &address, PORT).await.is_err(), "somebody answered");
        story.bed.noticed_lost(node).await?;
        story.bed.resume(Still::Member(node)).await?;
        story.bed.noticed_ready(node).await?;
        served(story, &address).await?;
        let after = story.container("server").await?;
        ensure!(after == before, "it was {before:?} and is {after:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_api_server_that_stands_still_takes_connections_and_answers_none() {
    alone("still-api", async |story: &mut Scenario| {
        story.bed.pause(Still::Component("apiserver")).await?;
        let asked = story.kubectl(["get", "nodes", "--request-timeout=2s"]).await;
        let Err(silence) = asked else { anyhow::bail!("somebody answered") };
        // Refused would be a server that is not there.
        ensure!(!format!("{silence:#}").contains("refused"), "{silence:#}");
        story.bed.resume(Still::Component("apiserver")).await?;
        wait_until("the API server answers again", MINUTE, async || story.kubectl(["get", "nodes"]).await)
            .await?;
        for node in ["node-1", "node-2"] {
            story.bed.noticed_ready(node).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn every_machine_has_its_own_clock_since_boot_and_the_same_time_of_day() {
    scenario("clocks", async |story: &mut Scenario| {
        let mut seen = Vec::new();
        for node in ["node-1", "node-2"] {
            let more = json!({ "nodeName": node, "restartPolicy": "Never" });
            let name = format!("clock-{node}");
            story.create_pod(&busybox(&name, "cat /proc/uptime; exec busybox date +%s", &more)).await?;
            seen.push(read(&story.ended_pod(&name).await?)?);
        }
        let here = read(&story.exec("node-1", ["sh", "-c", "cat /proc/uptime; date +%s"]).await?)?;
        let [one, two] = seen.as_slice() else { anyhow::bail!("two nodes, and {} clocks", seen.len()) };
        // Hours apart by one clock, the seconds of a scenario by the other.
        ensure!(two.uptime.abs_diff(one.uptime) > 36_000, "they boot together: {one:?}, {two:?}");
        ensure!(here.uptime.abs_diff(one.uptime) < 3600, "a node and its pod differ: {here:?}, {one:?}");
        for clock in [two, &here] {
            ensure!(clock.day.abs_diff(one.day) < 3600, "the time of day differs: {one:?}, {clock:?}");
        }
        Ok(())
    })
    .await;
}

/// Both in whole seconds.
#[derive(Debug)]
struct Clock {
    uptime: u64,
    day: u64,
}

/// Reads `/proc/uptime` and a line of `date +%s`.
fn read(text: &str) -> Result<Clock> {
    let mut lines = text.lines();
    let (uptime, day) = (lines.next().context("no uptime")?, lines.next().context("no time of day")?);
    let whole = uptime.split('.').next().unwrap_or_default();
    Ok(Clock { uptime: whole.parse()?, day: day.trim().parse()? })
}
