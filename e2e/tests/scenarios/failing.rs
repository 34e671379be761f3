//! The harness itself: a scenario that fails tells what it saw, keeps it, and leaves a bed that works.

use std::cell::Cell;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use e2e::bed::Still;
use e2e::scenario::{Pods as _, Scenario, alone, busybox, scenario, wait_until};
use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

const SOON: Duration = Duration::from_secs(5);

/// What the failed test prints; `None` where no story is told. Once it has begun it must fail.
async fn failure_of(begun: &Cell<bool>, told: impl Future<Output = ()>) -> Option<String> {
    match AssertUnwindSafe(told).catch_unwind().await {
        Ok(()) => {
            assert!(!begun.get(), "it was to fail");
            None
        }
        Err(failure) => {
            Some(failure.downcast::<String>().map_or_else(|_| "no text".to_owned(), |text| *text))
        }
    }
}

#[tokio::test]
async fn a_failing_scenario_reads_like_a_story_and_keeps_what_was_to_see() {
    let begun = Cell::new(false);
    let told = scenario("fails-on-purpose", async |story: &mut Scenario| {
        begun.set(true);
        story.create_pod(&busybox("talker", "echo here I am; exec sleep 600", &json!({}))).await?;
        story.ready_pod("talker").await?;
        let absent = json!({ "containers": [{ "image": "localhost/absent:none" }] });
        story.create_pod(&busybox("waiter", "", &absent)).await?;
        wait_until("the pod waiter runs", SOON, async || {
            let pod = story.api::<Pod>().get("waiter").await?;
            let states = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
            let why = states.into_iter().find_map(|one| one.state?.waiting?.reason);
            anyhow::bail!("it waits: {}", why.as_deref().unwrap_or("not scheduled"))
        })
        .await
    });
    let Some(text) = Box::pin(failure_of(&begun, told)).await else { return };
    let (story, kept) = text.split_once("\nwhat was to see: ").expect("the folder is named last");
    assert_eq!(
        story,
        "fails-on-purpose: waited 5s until the pod waiter runs; last seen: it waits: ErrImageNeverPull"
    );
    let read = |file: &str| fs::read_to_string(Path::new(kept).join(file)).expect(file);
    for (file, words) in [
        ("objects.yaml", &["name: talker", "name: waiter", "image: localhost/absent:none"][..]),
        ("events.txt", &["ErrImageNeverPull", "pod/talker"]),
        ("pods.txt", &["localhost/absent:none"]),
        ("nodes.txt", &["node-1", "node-2"]),
        ("volumes.yaml", &["kind: List"]),
        ("pod-talker.log", &["here I am"]),
        ("bed-apiserver.log", &[""]),
        ("bed-kubelet-node-1.log", &["node-1"]),
        ("bed-containerd-node-2.log", &["containerd"]),
    ] {
        let text = read(file);
        for word in words {
            assert!(text.contains(word), "{file} has no '{word}': {text}");
        }
    }
}

#[tokio::test]
async fn a_scenario_that_fails_in_the_middle_of_doing_harm_leaves_a_bed_that_works() {
    let begun = Cell::new(false);
    let told = alone("fails-in-harm", async |story: &mut Scenario| {
        begun.set(true);
        story.bed.set_cable("node-1", false).await?;
        story.bed.fill_disk("node-1")?;
        story.bed.pause(Still::Component("scheduler")).await?;
        story.bed.kill("controller-manager").await?;
        story.bed.lose("node-2").await?;
        story.bed.pause(Still::Component("apiserver")).await?;
        anyhow::bail!("enough harm")
    });
    let Some(text) = Box::pin(failure_of(&begun, told)).await else { return };
    assert!(text.starts_with("fails-in-harm: enough harm\nwhat was to see: "), "{text}");
    let (_, kept) = text.split_once("see: ").expect("the folder is named last");
    let silent =
        fs::read_to_string(Path::new(kept).join("api-server.txt")).expect("it says that nobody answered");
    assert!(silent.starts_with("could not be had: "), "{silent}");

    alone("works-again", async |story: &mut Scenario| {
        anyhow::ensure!(story.bed.state().dead().is_empty(), "dead: {:?}", story.bed.state().dead());
        for node in ["node-1", "node-2"] {
            story.create_pod(&busybox(node, "exec sleep 600", &json!({ "nodeName": node }))).await?;
            story.ready_pod(node).await?;
        }
        story.create_pod(&busybox("scheduled", "exec sleep 600", &json!({}))).await?;
        story.ready_pod("scheduled").await?;
        let disk = story.bed.member("node-1")?.disk();
        fs::write(disk.join("probe"), vec![1; 65_536])?;
        fs::remove_file(disk.join("probe"))?;
        Ok(())
    })
    .await;
}
