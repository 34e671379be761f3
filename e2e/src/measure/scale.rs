//! As many objects as the operator is made for, on nodes that are not there: how long its first start with all of them takes
//! and who works meanwhile, what it holds, and what a second start does, which should be nothing.
//!
//! Their pods say that they run and never say more. So an object has converged when it says all that the operator alone can
//! say ([`super::converge`]), and every child that the operator makes is there.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::vitals::Vitals;
use tokio::time::{Instant, interval, timeout};

use super::audited::{self, Audited, Took};
use super::converge::{self, Converging};
use super::scene::{Scene, operator, sum};
use super::shares::Shares;
use super::spread::Row;
use super::{crowd, fake, memory};

/// Nothing was written for so long: what is written every ten seconds has had its turn.
const SILENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(1);
/// Until a new operator has looked at everything.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// What the operator makes for each Reflector on the host network.
const CHILDREN: [&str; 5] =
    ["serviceaccounts", "rolebindings", "configmaps", "persistentvolumeclaims", "deployments"];

pub(super) async fn measure(scene: &Scene, reflectors: u16, peers: u16) -> Result<Vec<Row>> {
    ensure!(reflectors > 0 && peers.is_multiple_of(reflectors), "peers are dealt out evenly");
    scene.operators(0).await?;
    fake::nodes(scene, reflectors).await?;
    crowd::reflectors(scene, 0..reflectors, fake::placed).await?;
    crowd::peers(scene, peers, reflectors).await?;

    let mut rows = first(scene, reflectors, peers).await?;
    for kind in CHILDREN {
        let there = scene.children(kind).await?;
        ensure!(there == usize::from(reflectors), "{there} {kind} of {reflectors}");
    }
    crowd::calm(scene, SILENCE).await?;
    rows.extend(held("first start", operator()?).await?);

    scene.operators(0).await?;
    rows.extend(second(scene, u32::from(reflectors) + u32::from(peers)).await?);
    Ok(rows)
}

/// The first start, until the last object has converged.
async fn first(scene: &Scene, reflectors: u16, peers: u16) -> Result<Vec<Row>> {
    let what = "first start";
    let seen = (Converging::new(scene.reflectors()).await?, Converging::new(scene.peers()).await?);
    let (audited, shares, began) = (Audited::new(scene)?, Shares::new(scene)?, Instant::now());
    let ready = async {
        scene.operators(1).await?;
        Ok(began.elapsed())
    };
    let each = peers / reflectors;
    let (ready, of_reflectors, of_peers) = tokio::try_join!(
        ready,
        seen.0.all(reflectors, began, |object| converge::reflector(object, each)),
        seen.1.all(peers, began, converge::peer),
    )?;
    let elapsed = shares.elapsed();
    let operator = operator()?;
    let mut rows = vec![
        Row::times(format!("{what} → operator Ready"), &[ready]),
        Row::times(format!("{what} → a Reflector converged"), &of_reflectors),
        Row::times(format!("{what} → a peer converged"), &of_peers),
        Row::times(format!("{what} → everything converged"), &[elapsed]),
    ];
    rows.extend(shares.until_now(what, operator)?);
    rows.extend(where_time_goes(what, &scene.operator_metrics().await?, &audited.until_now()?, elapsed));
    Ok(rows)
}

/// What it asked the API server, how long that took there, and how long its reconciles took in all.
fn where_time_goes(
    what: &str,
    metrics: &str,
    asked: &BTreeMap<audited::Asked, Took>,
    elapsed: Duration,
) -> Vec<Row> {
    let row = |name: &str, unit, value| Row::new(format!("{what}: {name}"), unit, vec![value]);
    let (mut rows, mut requests, mut written, mut inside) = (vec![], 0.0, 0.0, 0.0);
    for ((_, verb, resource), took) in asked.iter().filter(|((who, ..), _)| who == audited::OPERATOR) {
        let count = f64::from(took.count);
        rows.push(row(&format!("requests, {verb} {resource}"), "", count));
        requests += count;
        inside += took.seconds;
        if audited::writes(verb) {
            written += count;
        }
    }
    let reconciling = sum(metrics, "reflector_operator_reconcile_duration_seconds_sum{", |_| true);
    let reconciles = sum(metrics, "reflector_operator_reconcile_duration_seconds_count{", |_| true);
    rows.push(row("writes a second", "/s", written / elapsed.as_secs_f64()));
    rows.push(row("a request, inside the API server, on average", "ms", inside * 1000.0 / requests));
    rows.push(row("reconciles", "", reconciles));
    rows.push(row("a reconcile, on average", "ms", reconciling * 1000.0 / reconciles));
    rows.push(row("reconciles at one time, on average", "", reconciling / elapsed.as_secs_f64()));
    rows.push(row("of their time inside the API server", "%", inside * 100.0 / reconciling));
    rows
}

async fn held(what: &str, operator: Vitals) -> Result<Vec<Row>> {
    let mut rows = memory::watched(&format!("{what}, at rest: operator"), &[operator]).await?;
    let peak = operator.peak_rss_kib().context("read its memory")?;
    rows.push(Row::memory(format!("{what}: operator, the most"), &[peak]));
    Ok(rows)
}

/// A start with everything as it should be, until each object was looked at and a while after.
async fn second(scene: &Scene, objects: u32) -> Result<Vec<Row>> {
    let what = "second start";
    let (audited, shares, began) = (Audited::new(scene)?, Shares::new(scene)?, Instant::now());
    scene.operators(1).await?;
    let ready = began.elapsed();
    let mut tick = interval(LOOK);
    let looked = async {
        loop {
            tick.tick().await;
            let metrics = scene.operator_metrics().await?;
            if sum(&metrics, "reflector_operator_reconcile_total{", |_| true) >= f64::from(objects) {
                return anyhow::Ok(began.elapsed());
            }
        }
    };
    let looked = timeout(PATIENCE, looked).await.context("it does not look at everything")??;
    let operator = operator()?;
    let mut rows = vec![
        Row::times(format!("{what} → operator Ready"), &[ready]),
        Row::times(format!("{what} → everything looked at"), &[looked]),
    ];
    rows.extend(shares.until_now(what, operator)?);
    crowd::calm(scene, SILENCE).await?;
    for ((who, verb, resource), took) in audited.until_now()? {
        if who == audited::OPERATOR && audited::writes(&verb) {
            let name = format!("{what}: {verb} {resource}, by the API server's log");
            rows.push(Row::new(name, "", vec![f64::from(took.count)]));
        }
    }
    let written = scene.operator_writes().await?;
    rows.push(Row::new(format!("{what}: writes, by the operator's count"), "", vec![written]));
    rows.extend(held(what, operator).await?);
    Ok(rows)
}
