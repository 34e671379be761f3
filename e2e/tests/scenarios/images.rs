//! Images of ours, made from a program of this machine and given to a node.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::image::{self, Digest, Name};
use e2e::scenario::{MINUTE, Pods as _, Scenario, busybox, scenario, wait_until};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::{Value, json};

const NAME: &str = "localhost/id:scenario";
/// It is linked to libraries, which must come along.
const PROGRAM: &str = "/usr/bin/id";

#[tokio::test]
async fn an_image_runs_on_the_node_that_got_it_under_a_digest_that_is_always_the_same() {
    scenario("image", async |story: &mut Scenario| {
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("id.tar");
        let digest = write(&archive)?;
        ensure!(digest == write(&folder.path().join("again.tar"))?, "the second time it has another digest");

        story.bed.import_into("node-1", &archive).await?;
        story.create_pod(&id("here", "node-1")).await?;
        let user = story.ended_pod("here").await?;
        ensure!(user.trim() == "65532", "its user is {user}");
        let ran = status(&story.api::<Pod>().get("here").await?)?.image_id;
        ensure!(ran.ends_with(&digest.to_string()), "it ran {ran}, and was given {digest}");

        story.create_pod(&id("elsewhere", "node-2")).await?;
        wait_until("the other node says that it lacks the image", MINUTE, async || {
            let state = status(&story.api::<Pod>().get("elsewhere").await?)?.state;
            let why = state.and_then(|state| state.waiting?.reason).context("it does not wait")?;
            ensure!(why == "ErrImageNeverPull", "it waits because of {why}");
            Ok(())
        })
        .await
    })
    .await;
}

fn write(archive: &Path) -> Result<Digest> {
    let file = File::create(archive).with_context(|| format!("create {}", archive.display()))?;
    image::write(&Name::new(NAME)?, &[image::program(Path::new(PROGRAM))?], BufWriter::new(file))
}

/// Restricted as every pod of a scenario, with a command of its own.
fn id(name: &str, node: &str) -> Value {
    let more = json!({ "nodeName": node, "restartPolicy": "Never", "containers": [{ "image": NAME }] });
    let mut pod = busybox(name, "", &more);
    pod["spec"]["containers"][0]["command"] = json!(["/id", "-u"]);
    pod
}

fn status(pod: &Pod) -> Result<ContainerStatus> {
    let all = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    Ok(all.and_then(|all| all.first()).context("it has no container yet")?.clone())
}
