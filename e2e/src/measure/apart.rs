//! Whether a pod is told of other reflectors' peers: what comes in on its connections to the API server while a thousand
//! peers of another are edited, beside what comes in there.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::process::Command;

use super::crowd;
use super::scene::{Scene, create, edit, port, reflector_name};
use super::spread::Row;

const AT_ONCE: usize = 16;
const SILENCE: Duration = Duration::from_secs(20);
/// Peers of the one that is looked at.
const OWN: u16 = 10;

pub(super) async fn measure(scene: &Scene, others: u16) -> Result<Vec<Row>> {
    for number in 0..2 {
        scene.serve(number, &json!({})).await?;
    }
    let api = scene.peers();
    let (own, other): (Vec<String>, Vec<String>) =
        ((0..OWN).map(|n| format!("own-{n}")).collect(), (0..others).map(|n| format!("other-{n}")).collect());
    for (names, number) in [(&own, 0), (&other, 1)] {
        let made = stream::iter(names).map(|name| create(&api, crowd::peer(name, &reflector_name(number))));
        made.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    }
    crowd::calm(scene, SILENCE).await?;
    let mut rows = Vec::new();
    for (names, whose) in [(&other, "the second's"), (&own, "the first's")] {
        let before = (received(scene, 0).await?, received(scene, 1).await?);
        let edited = stream::iter(names).map(|name| {
            let api = &api;
            async move { edit(api, name, &json!({ "displayName": "edited" })).await.map(drop) }
        });
        edited.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        crowd::calm(scene, SILENCE).await?;
        let after = (received(scene, 0).await?, received(scene, 1).await?);
        for (reflector, before, after) in [("first", before.0, after.0), ("second", before.1, after.1)] {
            let what = format!(
                "{} of {whose} peers edited: the API server sent the {reflector} reflector",
                names.len()
            );
            rows.push(Row::new(what, "bytes", vec![after - before]));
        }
    }
    Ok(rows)
}

/// Bytes that came in so far on the connections of a reflector's process to the API server.
async fn received(scene: &Scene, number: u16) -> Result<f64> {
    let port = port(number);
    let listening = sockets(scene, &["-Htlnp", "sport", "=", &format!(":{port}")]).await?;
    let process = process(&listening).with_context(|| format!("find who listens on {port}"))?.to_owned();
    let open = sockets(scene, &["-OHtinp", "state", "established", "dport", "=", ":443"]).await?;
    Ok(bytes(&open, &process))
}

async fn sockets(scene: &Scene, words: &[&str]) -> Result<String> {
    let words = scene.bed().inside(scene.node(), [&["ss"], words].concat())?;
    let output = Command::new(&words[0]).args(&words[1..]).kill_on_drop(true).output().await;
    Ok(String::from_utf8_lossy(&output.context("list the sockets of a node")?.stdout).into_owned())
}

/// `pid=7` of `users:(("reflector",pid=7,fd=12))`.
fn process(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("pid=")?;
    rest.split_once(',').map(|(pid, _)| pid)
}

fn bytes(sockets: &str, wanted: &str) -> f64 {
    let of = sockets.lines().filter(|line| process(line) == Some(wanted));
    let counts = of.filter_map(|line| {
        let (_, rest) = line.split_once("bytes_received:")?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_is_summed_over_the_sockets_of_one_process() {
        let line = |pid: u8, count: u16| {
            format!(
                "0 0 10.99.0.11:4{pid} 10.96.0.1:443 users:((\"reflector\",pid={pid},fd=9)) cubic bytes_acked:5 bytes_received:{count} segs_out:3\n"
            )
        };
        let all = [line(7, 100), line(8, 30), line(7, 2_000)].concat();
        assert!((bytes(&all, "7") - 2_100.0).abs() < 0.1);
        assert!(bytes(&all, "9").abs() < 0.1);
    }
}
