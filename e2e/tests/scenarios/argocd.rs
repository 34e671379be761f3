//! Argo CD makes a cluster as a git repository says. These prove the bed's Argo CD; skipped on a bed without it.

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{MINUTE, Scenario, alone_with_argocd, scenario_with_argocd, wait_until};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::sources::source;

#[tokio::test]
async fn objects_follow_a_folder_of_manifests_through_change_and_removal() {
    scenario_with_argocd("argocd-manifests", async |story: &mut Scenario| {
        let (repository, first) = story.publish(&source("manifests")).await?;
        let application = story.application(&repository, ".").await?;
        application.synced(&first).await?;
        ensure!(door(story, "colours").await? == "blue", "the door has another colour");
        let sleeper = story.api::<Deployment>().get("sleeper").await?;
        let ready = sleeper.status.and_then(|status| status.ready_replicas);
        ensure!(ready == Some(1), "healthy, with so many replicas ready: {ready:?}");

        repository.replace("colours.yaml", "blue", "green")?;
        let second = repository.commit("Paint the door").await?;
        application.refresh().await?;
        application.synced(&second).await?;
        ensure!(door(story, "colours").await? == "green", "the door was not painted");

        repository.remove("shapes.yaml")?;
        let third = repository.commit("Forget the shapes").await?;
        // Nobody tells it: it looks by itself.
        application.synced(&third).await?;
        let shapes = story.api::<ConfigMap>().get_opt("shapes").await?;
        ensure!(shapes.is_none(), "what git no longer has is still here: {shapes:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_somebody_edits_or_deletes_by_hand_is_set_right() {
    scenario_with_argocd("argocd-heal", async |story: &mut Scenario| {
        let (repository, first) = story.publish(&source("manifests")).await?;
        let application = story.application(&repository, ".").await?;
        application.synced(&first).await?;

        let red = r#"{"data":{"door":"red"}}"#;
        let edited =
            story.kubectl(["patch", "configmap", "colours", "--patch", red, "--output=yaml"]).await?;
        ensure!(edited.contains("door: red"), "the edit did nothing: {edited}");
        wait_until("the door is blue again", MINUTE, async || {
            let door = door(story, "colours").await?;
            ensure!(door == "blue", "the door is {door}; {}", application.seen().await?);
            Ok(())
        })
        .await?;

        let before = story.api::<ConfigMap>().get("shapes").await?.metadata.uid;
        story.kubectl(["delete", "configmap", "shapes"]).await?;
        wait_until("the shapes are back", MINUTE, async || {
            let shapes = story.api::<ConfigMap>().get("shapes").await?;
            ensure!(shapes.metadata.uid != before, "they were never gone");
            Ok(())
        })
        .await?;
        application.synced(&first).await
    })
    .await;
}

#[tokio::test]
async fn a_chart_is_rendered_and_follows_its_values_in_git() {
    scenario_with_argocd("argocd-chart", async |story: &mut Scenario| {
        let (repository, first) = story.publish(&source("chart")).await?;
        let application = story.application(&repository, ".").await?;
        application.synced(&first).await?;
        // Argo CD calls a release after its application, which is called after the namespace.
        let deployment = format!("deployment/{}", story.namespace);
        let log = story.kubectl(["logs", &deployment]).await?;
        ensure!(log.trim() == "good morning", "it says: {log}");

        repository.replace("values.yaml", "good morning", "good evening")?;
        let second = repository.commit("Greet the evening").await?;
        application.refresh().await?;
        application.synced(&second).await?;
        let words = story.api::<ConfigMap>().get(&format!("{}-greeting", story.namespace)).await?;
        let words = words.data.context("read the words")?;
        ensure!(words["greeting"] == "good evening", "it would say: {words:?}");
        Ok(())
    })
    .await;
}

/// No YAML. A file without the beginnings of these lines would be no manifest to Argo CD, and passed over in silence.
const TORN: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: [broken
";

/// No port has this number.
const BROKEN: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: broken
spec:
  ports:
    - port: 99999
";

#[tokio::test]
async fn a_manifest_that_is_refused_is_said_in_the_words_of_the_refusal_until_it_is_mended() {
    scenario_with_argocd("argocd-broken", async |story: &mut Scenario| {
        let (repository, first) = story.publish(&source("manifests")).await?;
        let application = story.application(&repository, ".").await?;
        application.synced(&first).await?;

        repository.write("service.yaml", TORN)?;
        let torn = repository.commit("Tear a file").await?;
        application.refresh().await?;
        application.failed(&torn, "service.yaml").await?;

        repository.write("service.yaml", BROKEN)?;
        let refused = repository.commit("Ask for a port that nobody has").await?;
        application.refresh().await?;
        let words = application.failed(&refused, "99999").await?;
        ensure!(words.contains("Service broken"), "nobody says which object it is: {words}");
        ensure!(door(story, "colours").await? == "blue", "what was there suffered");

        repository.replace("service.yaml", "99999", "9999")?;
        let mended = repository.commit("Ask for another").await?;
        application.refresh().await?;
        application.synced(&mended).await
    })
    .await;
}

/// In the order in which they start.
const PROGRAMS: [&str; 4] =
    ["argocd-redis", "argocd-git", "argocd-repo-server", "argocd-application-controller"];

#[tokio::test]
async fn what_was_committed_while_argo_cd_was_away_arrives_when_it_returns() {
    alone_with_argocd("argocd-away", async |story: &mut Scenario| {
        let (repository, first) = story.publish(&source("manifests")).await?;
        let application = story.application(&repository, ".").await?;
        application.synced(&first).await?;

        for program in PROGRAMS {
            story.bed.kill(program).await?;
        }
        repository.replace("colours.yaml", "blue", "green")?;
        let second = repository.commit("Paint the door while nobody looks").await?;
        for program in PROGRAMS {
            story.bed.start(program).await?;
        }
        application.synced(&second).await?;
        ensure!(door(story, "colours").await? == "green", "the door was not painted");
        Ok(())
    })
    .await;
}

/// What a map says of the door.
async fn door(story: &Scenario, map: &str) -> Result<String> {
    let map = story.api::<ConfigMap>().get(map).await?;
    map.data.and_then(|mut data| data.remove("door")).context("the map does not mention the door")
}
