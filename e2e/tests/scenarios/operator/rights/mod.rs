//! The rights of the operator: enough for all it does, and none that it could do without.
//!
//! It does everything once with the chart's rights, and the API server writes down what it was asked. Then each right is
//! taken away from somebody who asks the same again.

mod play;
mod somebody;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{Asked, Scenario, alone};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::chart::rights::{rights, without};
use crate::chart::{self, rendered};
use crate::crds::install;
use play::everything_is_done_once;
use somebody::{Right, client, elsewhere, in_force, owner};

/// Whose rights these are, in the chart.
const ACCOUNT: &str = "reflector-operator";
const ENDPOINT: &str = "templates/access/endpoint.yaml";
/// Rights that are taken away at one time.
const AT_ONCE: usize = 8;

/// F9
#[tokio::test]
async fn every_right_of_the_operator_is_one_that_it_cannot_do_without() {
    alone("operator-rights", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &[ENDPOINT]).await?;
        // An administrator's own role for reflectors: the operator gives what it does not have.
        let more = json!([{ "op": "add", "path": "/rules/-", "value":
            { "apiGroups": [""], "resources": ["limitranges"], "verbs": ["list"] } }]);
        let patch =
            ["patch", "clusterrole", "reflector-endpoint", "--type=json", "--patch", &more.to_string()];
        story.kubectl(patch).await?;
        let rules = granted(story).await?;
        let rights = rights(&rules);
        ensure!(rights.len() >= 40, "{rights:?}");
        let account = story.client_of(story.token(ACCOUNT).await?).await?;
        in_force(&account, &story.namespace, &rights[0], &rules).await?;
        everything_is_done_once(story).await?;
        let asked = requests(story)?;
        for one in &asked {
            ensure!(one.code() != 403, "the operator lacks a right: {} {}", one.verb, one.uri);
        }

        let elsewhere = elsewhere(story).await?;
        let all = client(story, "all", &rules).await?;
        in_force(&all, &elsewhere, &rights[0], &rules).await?;
        for one in &asked {
            let allowed = one.is_allowed(&all, &story.namespace, &elsewhere).await?;
            ensure!(allowed, "with all its rights: {} {}", one.verb, one.uri);
        }
        let needless = stream::iter(rights.iter().enumerate()).map(async |(number, right)| {
            let less = without(&rules, right);
            let client = client(story, &format!("less-{number}"), &less).await?;
            // The rest is in force, so what is missing is this.
            let other = rights.iter().find(|other| *other != right).context("there is another right")?;
            in_force(&client, &elsewhere, other, &rules).await?;
            for one in asked.iter().filter(|one| is_about(one, right)) {
                if !one.is_allowed(&client, &story.namespace, &elsewhere).await? {
                    return Ok::<_, anyhow::Error>(None);
                }
            }
            Ok(Some(right.clone()))
        });
        let needless: Vec<_> = needless.buffer_unordered(AT_ONCE).try_collect().await?;
        let needless: Vec<_> = needless.into_iter().flatten().collect();
        ensure!(needless.is_empty(), "nothing that the operator does needs {needless:?}");
        println!("  {} rights, {} sorts of requests", rights.len(), asked.len());
        chart::apply(story, &[ENDPOINT]).await
    })
    .await;
}

/// Gives the operator's account its roles as helm makes them. Returns all their rules.
async fn granted(story: &Scenario) -> Result<Vec<Value>> {
    let here = format!("--set=watchNamespace={},leaderElection.enabled=true", story.namespace);
    let templates =
        ["serviceaccount", "rights", "lease"].map(|name| format!("templates/operator/{name}.yaml"));
    let options: Vec<&str> = templates.iter().flat_map(|path| ["--show-only", path]).collect();
    let options = [&["--namespace", &story.namespace, &here], options.as_slice()].concat();
    let text = rendered(story, &options).await?;
    let owner = owner(story).await?;
    let mut rules = Vec::new();
    let mut objects = Vec::new();
    for document in text.split("\n---\n") {
        let mut object: Value = serde_yaml::from_str(document).context("read what helm makes")?;
        if object["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster")) {
            object["metadata"]["ownerReferences"] = json!([owner]);
        }
        rules.extend(object["rules"].as_array().into_iter().flatten().cloned());
        objects.push(object);
    }
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    chart::kubectl(story, &["apply", "--server-side", "--force-conflicts"], &list.to_string()).await?;
    Ok(rules)
}

/// One of each sort of request. One that created what it applied is another sort than one that changed it.
fn requests(story: &Scenario) -> Result<Vec<Asked>> {
    let all = story.asked_by(ACCOUNT)?;
    let about = all.into_iter().filter(|one| one.object_ref.is_some());
    let sort = |one: &Asked| (one.resource(), one.verb.clone(), one.code());
    let sorts: BTreeMap<_, _> = about.map(|one| (sort(&one), one)).collect();
    Ok(sorts.into_values().collect())
}

/// To bind a role is to write a binding that names it.
fn is_about(asked: &Asked, (resource, _): &Right) -> bool {
    let resource = if resource == "clusterroles" { "rolebindings" } else { resource };
    asked.resource() == resource
}
