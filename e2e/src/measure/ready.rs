//! From `apply` to Ready: one Reflector after the other.

use std::time::Duration;

use anyhow::Result;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::moments::{Holds, is_true, moments};
use super::scene::{Scene, create, reflector_name};
use super::spread::Row;

/// What it is called, and how it is recognised.
type Phase = (&'static str, fn(&Value) -> bool);

/// What is seen on the way.
static PHASES: [Phase; 4] = [
    ("apply → first status of the operator", |object| object["status"]["observedGeneration"].is_i64()),
    ("apply → claim bound", |object| is_true(object, "IdentityReady")),
    ("apply → the pod's first words", |object| object["status"]["podUID"].is_string()),
    ("apply → Ready", |object| is_true(object, "Ready")),
];

pub(super) async fn measure(scene: &Scene, rounds: u16) -> Result<Vec<Row>> {
    let reflectors = scene.reflectors();
    let mut all: [Vec<Duration>; 4] = Default::default();
    for number in 0..rounds {
        let began = Instant::now();
        create(&reflectors, scene.reflector(number, true, &json!({}))).await?;
        let name = reflector_name(number);
        let seen = moments(&reflectors, &name, began, PHASES.each_ref().map(|(_, holds)| holds as Holds<'_>))
            .await?;
        all.iter_mut().zip(seen).for_each(|(all, one)| all.push(one));
        anstream::eprintln!("{} of {rounds}: {seen:.1?}", number + 1);
        reflectors.delete(&name, &DeleteParams::background()).await?;
    }
    Ok(PHASES.iter().zip(&all).map(|((what, _), times)| Row::times(*what, times)).collect())
}
