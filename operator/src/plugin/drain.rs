//! `drain`: lets running tests end and denies new ones.

use anyhow::Result;
use crds::Reflector;
use serde_json::{Value, json};

use super::answer::{Answer, Exit};
use super::args::Drain;
use super::cluster::Cluster;
use super::text::{count, find};

pub(super) async fn run(cluster: &Cluster, wanted: &Drain) -> Result<Answer> {
    let name = &wanted.reflector;
    let before: Reflector = cluster.get(name).await?;
    let suspend = if wanted.undo { Value::Null } else { json!(true) };
    let written = match (before.spec.suspend, wanted.undo) {
        (Some(true), false) => before,
        (None | Some(false), true) => return Ok(Answer::text(format!("{name} is not suspended.\n"))),
        _ => cluster.edit(&before, json!({ "spec": { "suspend": suspend } }), wanted.force).await?,
    };
    if wanted.undo {
        return Ok(Answer::text(format!("{name} serves again.\n")));
    }
    cluster.stands_for(&format!("wait reflector/{name} --for jsonpath='{{.status.activeTests}}'=0"));
    let done = cluster.until(name, wanted.timeout, |reflector| is_drained(reflector, &written)).await?;
    if done.is_some() {
        let undo = format!("kubectl reflector drain {name} --undo lets it serve again");
        return Ok(Answer::text(format!("{name} is drained; {undo}.\n")));
    }
    let running = cluster.get::<Reflector>(name).await?.status.and_then(|status| status.active_tests);
    let running = count(running.unwrap_or(0), "test");
    let text = format!("{name} denies new tests, and {running} still ran when the time was over.\n");
    Ok(Answer { text, exit: Exit::No })
}

/// The pod has the new policy, says that it is suspended, and nothing runs.
fn is_drained(reflector: &Reflector, written: &Reflector) -> bool {
    let Some(status) = &reflector.status else { return false };
    status.policy_generation >= written.metadata.generation
        && status.active_tests.unwrap_or(0) == 0
        && find(&status.conditions, "Accepting").is_some_and(|accepting| accepting.status == "False")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::yaml;

    fn reflector(loaded: i64, active: i64, accepting: &str) -> Reflector {
        yaml(&format!(
            "{{ metadata: {{ name: attic, generation: 4 }}, spec: {{ suspend: true }}, status: {{ policyGeneration: {loaded}, activeTests: {active}, conditions: [{{ type: Accepting, status: '{accepting}', reason: Suspended, message: '', lastTransitionTime: '2026-11-22T12:00:00Z' }}] }} }}"
        ))
    }

    #[test]
    fn it_is_drained_when_the_pod_knows_denies_and_runs_nothing() {
        let written = reflector(3, 0, "True");
        for (loaded, active, accepting, expected) in
            [(4, 0, "False", true), (3, 0, "False", false), (4, 1, "False", false), (4, 0, "True", false)]
        {
            let now = reflector(loaded, active, accepting);
            assert_eq!(is_drained(&now, &written), expected, "{loaded} {active} {accepting}");
        }
    }
}
