//! The step that has both stories of `cargo demo` told, and takes away what the cluster's leaves for a person to look at.

use anyhow::Result;
use e2e::{bed, parts};

use super::bed::{cargo_bed, ourselves};
use super::job::{Job, Outcome};
use super::tested;

/// The story of one host, then that of the cluster where there can be one.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    job.stage("the story of one host");
    job.run(ourselves(&["demo", "--standalone"]))?;
    // In CI the demo installs what a bed needs.
    let installs = job.place.ci && rustix::process::geteuid().is_root();
    if !installs && let Some(why) = parts::lacking() {
        return tested::with_note(job, format!("without a cluster: {why}"));
    }
    job.stage("the story of the cluster");
    let ran_before = bed::Bed::running().is_ok();
    let told = job.run(ourselves(&["demo"]));
    // Also after a failure: what there was to see is in this log.
    let cleared = job.run(if ran_before { ourselves(&["demo", "--clear"]) } else { cargo_bed(&["down"]) });
    told.and(cleared)?;
    tested::with_note(job, String::new())
}
