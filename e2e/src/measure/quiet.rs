//! What is written into the datastore while nothing happens, by the API server's own count and by its log of who.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::time::sleep;

use super::audited::{self, Audited};
use super::crowd;
use super::scene::{Scene, sum};
use super::spread::Row;

/// Nothing was written for so long: whatever waits a minute has had its turn.
const SILENCE: Duration = Duration::from_secs(90);
/// Verbs that write, as the API server's metrics call them.
const VERBS: [&str; 6] = ["APPLY", "PATCH", "POST", "PUT", "DELETE", "DELETECOLLECTION"];

/// In so many minutes after everything has settled.
pub(super) async fn measure(
    scene: &Scene,
    waiting: u16,
    serving: u16,
    peers: u16,
    minutes: u16,
) -> Result<Vec<Row>> {
    crowd::serving(scene, serving).await?;
    crowd::reflectors(scene, serving..serving + waiting, |_| json!({})).await?;
    crowd::peers(scene, peers, serving + waiting).await?;
    crowd::calm(scene, SILENCE).await?;

    let (audited, operator) = (Audited::new(scene)?, scene.operator_writes().await?);
    let before = written(&scene.server_metrics().await?);
    pass(Duration::from_secs(60) * u32::from(minutes)).await;
    let after = written(&scene.server_metrics().await?);
    let operator = scene.operator_writes().await? - operator;

    let what = format!(
        "{minutes} quiet minutes, {} reflectors ({serving} serving), {peers} peers",
        serving + waiting
    );
    let mut rows =
        vec![Row::new(format!("{what}: writes of the operator but its Lease"), "", vec![operator])];
    let mut ours = 0.0;
    for (what, count) in changed(&before, &after) {
        if what.contains(".packetparamedic.io") {
            ours += count;
        }
        rows.push(Row::new(format!("all writes that the API server took: {what}"), "", vec![count]));
    }
    rows.insert(0, Row::new(format!("{what}: writes to our kinds, by anybody"), "", vec![ours]));
    for ((who, verb, resource), took) in audited.until_now()? {
        if audited::writes(&verb) {
            let name = format!("writes of service accounts: {who}, {verb} {resource}");
            rows.push(Row::new(name, "", vec![f64::from(took.count)]));
        }
    }
    Ok(rows)
}

#[expect(clippy::disallowed_methods, reason = "what is measured is that nothing happens")]
async fn pass(time: Duration) {
    sleep(time).await;
}

/// Writes so far by `VERB resource.group/subresource`.
fn written(metrics: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (Some(verb), Some(resource)) = (label(",verb"), label(",resource")) else { continue };
        if !VERBS.contains(&verb) {
            continue;
        }
        let mut what = format!("{verb} {resource}");
        for (name, mark) in [(",group", '.'), ("{group", '.'), (",subresource", '/')] {
            if let Some(value) = label(name).filter(|value| !value.is_empty()) {
                what.push(mark);
                what.push_str(value);
            }
        }
        *all.entry(what).or_default() += sum(line, "apiserver_request_total{", |_| true);
    }
    all
}

/// What was counted since, without what was not.
fn changed(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let since = after.iter().map(|(what, count)| (what.clone(), count - before.get(what).unwrap_or(&0.0)));
    since.filter(|(_, count)| *count > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_told_apart_by_verb_and_resource_and_reads_are_not_counted() {
        let page = |leases: u8, status: u8| {
            format!(
                "# HELP\n\
                 apiserver_request_total{{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"coordination.k8s.io\",resource=\"leases\",scope=\"resource\",subresource=\"\",verb=\"PUT\",version=\"v1\"}} {leases}\n\
                 apiserver_request_total{{code=\"409\",component=\"apiserver\",dry_run=\"\",group=\"coordination.k8s.io\",resource=\"leases\",scope=\"resource\",subresource=\"\",verb=\"PUT\",version=\"v1\"}} 1\n\
                 apiserver_request_total{{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"packetparamedic.io\",resource=\"reflectors\",scope=\"resource\",subresource=\"status\",verb=\"APPLY\",version=\"v1alpha1\"}} {status}\n\
                 apiserver_request_total{{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"pods\",scope=\"resource\",subresource=\"\",verb=\"GET\",version=\"v1\"}} {leases}\n"
            )
        };
        let (before, after) = (written(&page(5, 3)), written(&page(9, 3)));
        assert_eq!(changed(&before, &after), [("PUT leases.coordination.k8s.io".to_owned(), 4.0)]);
        assert!((after["APPLY reflectors.packetparamedic.io/status"] - 3.0).abs() < 0.1);
        assert_eq!(after.len(), 2, "{after:?}");
    }
}
