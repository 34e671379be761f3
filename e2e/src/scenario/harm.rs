//! Harm to one pod: its process is killed, or stands still.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;

use super::story::Scenario;
use crate::bed::Still;

/// The container of a pod, as the kubelet reports it. Two that are equal are the same process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Where it runs.
    pub node: String,
    /// Its id, without what runs it.
    pub id: String,
    /// How often the kubelet has started the pod's process again.
    pub restarts: i32,
}

impl Container {
    /// As something that can be made to stand still.
    pub fn still(&self) -> Still<'_> {
        Still::Container { node: &self.node, id: &self.id }
    }
}

impl Scenario {
    /// The first container of a pod.
    pub async fn container(&self, pod: &str) -> Result<Container> {
        let found = self.api::<Pod>().get(pod).await.with_context(|| format!("look at the pod {pod}"))?;
        of(&found).with_context(|| format!("the pod {pod} has no container yet"))
    }

    /// Ends its process as a crash would.
    pub async fn kill_process(&self, pod: &str) -> Result<()> {
        let container = self.container(pod).await?;
        self.bed.kill_container(&container.node, &container.id).await
    }
}

fn of(pod: &Pod) -> Option<Container> {
    let node = pod.spec.as_ref()?.node_name.clone()?;
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    let (_, id) = status.container_id.as_ref()?.split_once("://")?;
    Some(Container { node, id: id.to_owned(), restarts: status.restart_count })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_is_named_without_its_runtime_and_not_before_it_is_there() {
        let mut pod = json!({
            "spec": { "nodeName": "node-2", "containers": [] },
            "status": { "containerStatuses": [{
                "name": "main", "image": "i", "imageID": "", "ready": true, "restartCount": 3,
                "containerID": "containerd://0a1b",
            }] },
        });
        let expected = Container { node: "node-2".into(), id: "0a1b".into(), restarts: 3 };
        let read = |pod: &serde_json::Value| of(&serde_json::from_value(pod.clone()).unwrap());
        assert_eq!(read(&pod), Some(expected));
        pod["status"]["containerStatuses"][0]["containerID"].take();
        assert_eq!(read(&pod), None);
    }
}
