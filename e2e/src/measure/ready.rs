//! From `apply` to Ready: one Reflector after the other.

use std::time::Duration;

use anyhow::Result;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::Instant;

use super::moments::{Holds, is_true, moments};
use super::scene::{Scene, create, reflector_name};
use super::spread::Row;

/// What is seen on the way.
const PHASES: [(&str, Holds); 4] = [
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
        let seen = moments(&reflectors, &name, began, PHASES.map(|(_, holds)| holds)).await?;
        all.iter_mut().zip(seen).for_each(|(all, one)| all.push(one));
        anstream::eprintln!("{number}: {seen:.1?}");
        reflectors.delete(&name, &DeleteParams::background()).await?;
    }
    Ok(PHASES.iter().zip(&all).map(|((what, _), times)| Row::times(*what, times)).collect())
}
