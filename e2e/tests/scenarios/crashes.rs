//! Processes that are killed: a pod's, and the bed's own.

use anyhow::{Context as _, ensure};
use e2e::scenario::{MINUTE, Pods as _, Scenario, alone, busybox, scenario, wait_until};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::PostParams;
use serde_json::json;

#[tokio::test]
async fn a_killed_process_is_started_again_in_the_same_pod() {
    scenario("crash", async |story: &mut Scenario| {
        story.create_pod(&busybox("victim", "echo begun; exec sleep 600", &json!({}))).await?;
        story.ready_pod("victim").await?;
        let before = story.container("victim").await?;

        story.kill_process("victim").await?;
        let after = wait_until("its process was started again", MINUTE, async || {
            let now = story.container("victim").await?;
            ensure!(now.restarts > before.restarts, "{now:?} is what it was");
            Ok(now)
        })
        .await?;
        story.ready_pod("victim").await?;
        ensure!(after.restarts == 1, "it was started {} times again", after.restarts);
        ensure!(after.id != before.id && after.node == before.node, "it was {before:?} and is {after:?}");
        let pod = story.api::<Pod>().get("victim").await?;
        let all = pod.status.and_then(|status| status.container_statuses).context("read its containers")?;
        let last = all.into_iter().next().and_then(|one| one.last_state?.terminated);
        let code = last.context("read how it ended")?.exit_code;
        ensure!(code == 137, "it ended with {code}, not by a kill");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn killed_components_come_back_by_start_and_no_pod_notices() {
    alone("components", async |story: &mut Scenario| {
        let pinned = json!({ "nodeName": "node-1" });
        story.create_pod(&busybox("steady", "exec sleep 600", &pinned)).await?;
        story.ready_pod("steady").await?;
        let before = story.container("steady").await?;
        story.api::<ConfigMap>().create(&PostParams::default(), &note("before")).await?;

        let killed = ["kine", "scheduler", "containerd-node-1", "kubelet-node-1"];
        for component in killed {
            story.bed.kill(component).await?;
        }
        let mut dead = story.bed.state().dead();
        dead.sort_unstable();
        let mut all = killed;
        all.sort_unstable();
        ensure!(dead == all, "these are dead: {dead:?}");
        for component in killed {
            story.bed.start(component).await?;
        }

        wait_until("what was written before is read", MINUTE, async || {
            Ok(story.api::<ConfigMap>().get("before").await?)
        })
        .await?;
        story.create_pod(&busybox("later", "exec sleep 600", &json!({}))).await?;
        story.ready_pod("later").await?;
        story.bed.noticed_ready("node-1").await?;
        let user = wait_until("one can look into the pod", MINUTE, async || {
            story.kubectl(["exec", "steady", "--", "id", "-u"]).await
        })
        .await?;
        ensure!(user.trim() == "65532", "who runs there: {user}");
        let after = story.container("steady").await?;
        ensure!(after == before, "it was {before:?} and is {after:?}");
        Ok(())
    })
    .await;
}

fn note(name: &str) -> ConfigMap {
    let data = [("written".to_owned(), name.to_owned())].into();
    let mut note = ConfigMap { data: Some(data), ..ConfigMap::default() };
    note.metadata.name = Some(name.into());
    note
}
