//! `logs`: what the pod of a Reflector logs.

use std::io::{self, Write as _};

use std::time::Duration;

use anyhow::{Context as _, Result};
use crds::Reflector;
use futures_util::{AsyncRead, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::LogParams;
use tokio::time::timeout;

use super::answer::Exit;
use super::args::Logs;
use super::cluster::Cluster;
use crate::reflectors::REFLECTOR_LABEL;

/// Read at one time.
const CHUNK: usize = 16 * 1_024;
/// Longest log that is taken in whole. Test: `what_is_taken_in_of_a_log_has_a_bound`.
const MAX_LOG: u64 = 4 * 1_024 * 1_024;
/// For a log that is read to its end: a person waits for it.
const DEADLINE: Duration = Duration::from_secs(15);

pub(super) async fn run(cluster: &Cluster, wanted: &Logs) -> Result<Exit> {
    let pod = pod(cluster, &wanted.reflector).await?;
    let follow = if wanted.follow { " --follow" } else { "" };
    cluster.stands_for(&format!("logs {pod}{follow}"));
    let parameters = LogParams {
        follow: wanted.follow,
        previous: wanted.previous,
        tail_lines: wanted.tail,
        ..LogParams::default()
    };
    let mut log = std::pin::pin!(cluster.log(&pod, &parameters).await?);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = log.read(&mut chunk).await.context("read the log")?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(Exit::Done) };
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => {}
            // Who hung up has what it wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
            Err(error) => return Err(error).context("write the log"),
        }
    }
}

/// The pod of a Reflector.
pub(super) async fn pod(cluster: &Cluster, name: &str) -> Result<String> {
    cluster.get::<Reflector>(name).await?;
    let pods: Vec<Pod> = cluster.labelled(&format!("{REFLECTOR_LABEL}={name}")).await?;
    newest(pods).with_context(|| format!("{name} has no pod: kubectl reflector why {name} says why"))
}

/// What a pod logged until now.
pub(super) async fn read(cluster: &Cluster, pod: &str, parameters: &LogParams) -> Result<String> {
    let log = std::pin::pin!(cluster.log(pod, parameters).await?);
    let whole = timeout(DEADLINE, whole(log)).await;
    whole.with_context(|| format!("the log of pod {pod} did not end within {} s", DEADLINE.as_secs()))?
}

async fn whole(log: impl AsyncRead + Unpin) -> Result<String> {
    let mut text = Vec::new();
    log.take(MAX_LOG).read_to_end(&mut text).await.context("read the log")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The one that was made last, which is the one that runs or should.
pub(super) fn newest(mut pods: Vec<Pod>) -> Option<String> {
    pods.sort_by_key(|pod| (pod.metadata.deletion_timestamp.is_none(), pod.creation_timestamp()));
    pods.pop().map(|pod| pod.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::yaml;

    #[tokio::test]
    async fn what_is_taken_in_of_a_log_has_a_bound() {
        let endless = futures_util::io::repeat(b'x');
        assert_eq!(whole(endless).await.unwrap().len() as u64, MAX_LOG);
    }

    #[test]
    fn the_pod_that_stays_is_read_before_one_that_goes() {
        let pods = [
            "{ name: going, creationTimestamp: '2026-11-22T12:00:00Z', deletionTimestamp: '2026-11-22T12:00:00Z' }",
            "{ name: old, creationTimestamp: '2026-11-22T10:00:00Z' }",
            "{ name: new, creationTimestamp: '2026-11-22T11:00:00Z' }",
        ];
        let pods = pods.map(|metadata| yaml(&format!("{{ metadata: {metadata} }}"))).to_vec();
        assert_eq!(newest(pods).as_deref(), Some("new"));
        assert_eq!(newest(vec![]), None);
    }
}
