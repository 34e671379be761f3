//! Reads the logs that denials stand in. What cannot be read is said, and the rest is shown.

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::LogParams;

use super::{Denials, Whose};
use crate::plugin::cluster::Cluster;
use crate::plugin::logs;
use crate::reflectors::REFLECTOR_LABEL;

/// Last lines of each log that are looked at. A flood makes at most 200 a minute.
const LINES: i64 = 2_000;
/// Logs that are read at one time: a fleet has up to 64 members.
const AT_ONCE: usize = 8;

/// The last denials by these Reflectors.
pub(in crate::plugin) async fn read(cluster: &Cluster, whose: &Whose, reflectors: &[String]) -> Denials {
    let pods: Vec<Pod> = match cluster.labelled(REFLECTOR_LABEL).await {
        Ok(pods) => pods,
        Err(error) => return Denials { unread: vec![format!("{error:#}")], ..Denials::default() },
    };
    let read = reflectors.iter().map(|name| one(cluster, &pods, name));
    let read: Vec<_> = futures_util::stream::iter(read).buffered(AT_ONCE).collect().await;
    let mut unread = Vec::new();
    let mut texts = Vec::new();
    for (name, result) in reflectors.iter().zip(read) {
        match result {
            Ok(text) => texts.push((name.clone(), text)),
            Err(why) => unread.push(why),
        }
    }
    Denials { unread, ..Denials::of(whose, &texts) }
}

/// What the pod of a Reflector logged lately, and what it logged before it was restarted.
async fn one(cluster: &Cluster, pods: &[Pod], name: &str) -> Result<String, String> {
    let labelled = |pod: &&Pod| pod.labels().get(REFLECTOR_LABEL).is_some_and(|of| of == name);
    let own = pods.iter().filter(labelled).cloned().collect();
    let pod = logs::newest(own);
    let pod = pod.ok_or_else(|| format!("{name} has no pod whose log could be read"))?;
    let parameters = |previous| LogParams { previous, tail_lines: Some(LINES), ..LogParams::default() };
    let text = logs::read(cluster, &pod, &parameters(false)).await.map_err(|error| format!("{error:#}"))?;
    // Most have none before; those that have it may not keep it.
    let before = logs::read(cluster, &pod, &parameters(true)).await.unwrap_or_default();
    Ok(format!("{before}\n{text}"))
}
