//! What the chart's roles allow: enough, not more, and nothing that nobody asks for.

use anyhow::{Context as _, Result, bail, ensure};
use crds::{Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::rendered;
use crate::crds::install;

/// Of an account that no policy knows: here it is about roles alone.
const ACCOUNT: &str = "probe";

/// The rules of one object that helm makes.
async fn rules(story: &Scenario, template: &str, kind: &str, options: &[&str]) -> Result<Vec<Value>> {
    let text = rendered(story, &[&["--show-only", template], options].concat()).await?;
    let head = format!("kind: {kind}\n");
    let document = text.split("\n---\n").find(|one| one.lines().any(|line| line == head.trim_end()));
    let document: Value =
        serde_yaml::from_str(document.with_context(|| format!("{template} has a {kind}"))?)?;
    document["rules"].as_array().cloned().with_context(|| format!("the {kind} has rules"))
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// Every resource with every verb.
pub(crate) fn rights(rules: &[Value]) -> Vec<(String, String)> {
    let each = |rule: &Value| {
        let verbs = words(&rule["verbs"]);
        let pairs = words(&rule["resources"]).into_iter();
        pairs.flat_map(move |resource| verbs.clone().into_iter().map(move |verb| (resource.clone(), verb)))
    };
    rules.iter().flat_map(each).collect()
}

/// The same rules without one verb for one resource.
pub(crate) fn without(rules: &[Value], (resource, verb): &(String, String)) -> Vec<Value> {
    let mut left = Vec::new();
    for rule in rules {
        for one in words(&rule["resources"]) {
            let mut verbs = words(&rule["verbs"]);
            verbs.retain(|known| one != *resource || known != verb);
            let mut rule = rule.clone();
            rule["resources"] = json!([one]);
            rule["verbs"] = json!(verbs);
            left.extend((!verbs.is_empty()).then_some(rule));
        }
    }
    left
}

/// An account with these rules and no others.
async fn account(story: &Scenario, name: &str, rules: &[Value]) -> Result<Client> {
    story.create_account(name).await?;
    let role: Role = serde_json::from_value(json!({ "metadata": { "name": name }, "rules": rules }))?;
    story.api::<Role>().create(&PostParams::default(), &role).await.context("create a role")?;
    let account = format!("--serviceaccount={}:{name}", story.namespace);
    story.kubectl(["create", "rolebinding", name, &format!("--role={name}"), &account]).await?;
    let client = story.client_of(story.token(name).await?).await?;
    Ok(client)
}

fn event(story: &Scenario, name: &str) -> Result<Event> {
    let event = json!({
        "metadata": { "name": name },
        "eventTime": "2026-11-21T20:00:00.000000Z",
        "reportingController": "scenario",
        "reportingInstance": "scenario",
        "action": "Look",
        "reason": "Looked",
        "type": "Normal",
        "regarding": { "kind": "Reflector", "name": "attic", "namespace": story.namespace },
    });
    serde_json::from_value(event).context("read an event")
}

/// What a pod does by this right, as it does it. Nothing when the role does not allow it.
async fn done(story: &Scenario, client: &Client, (resource, verb): &(String, String)) -> Result<Option<()>> {
    let reflectors: Api<Reflector> = story.api_of(client);
    let peers: Api<ReflectorPeer> = story.api_of(client);
    let events: Api<Event> = story.api_of(client);
    let (list, watch) = (ListParams::default(), WatchParams::default());
    let mut apply = PatchParams::apply("rfl-attic").force();
    apply.dry_run = true;
    let answer = match (resource.as_str(), verb.as_str()) {
        ("reflectors", "get") => reflectors.get("attic").await.map(drop),
        ("reflectors", "list") => reflectors.list(&list).await.map(drop),
        ("reflectors", "watch") => reflectors.watch(&watch, "0").await.map(drop),
        ("reflectors/status", "patch") => {
            let patch = json!({ "apiVersion": "packetparamedic.io/v1alpha1", "kind": "Reflector", "status": { "podUID": "x" } });
            reflectors.patch_status("attic", &apply, &Patch::Apply(patch)).await.map(drop)
        }
        ("reflectorpeers", "get") => peers.get("living-room").await.map(drop),
        ("reflectorpeers", "list") => peers.list(&list).await.map(drop),
        ("reflectorpeers", "watch") => peers.watch(&watch, "0").await.map(drop),
        ("reflectorpeers/status", "patch") => {
            let patch = json!({ "apiVersion": "packetparamedic.io/v1alpha1", "kind": "ReflectorPeer", "status": { "reflectors": [{ "name": "attic" }] } });
            peers.patch_status("living-room", &apply, &Patch::Apply(patch)).await.map(drop)
        }
        ("events", "create") => {
            let dry = PostParams { dry_run: true, ..PostParams::default() };
            events.create(&dry, &event(story, "another")?).await.map(drop)
        }
        ("events", "patch") => {
            let patch =
                json!({ "series": { "count": 2, "lastObservedTime": "2026-11-21T20:01:00.000000Z" } });
            events.patch("told", &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
        }
        _ => bail!("nobody has said what a pod does with {verb} on {resource}; say it here, or leave it out"),
    };
    match answer {
        Ok(()) => Ok(Some(())),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{verb} {resource}")),
    }
}

async fn objects(story: &Scenario) -> Result<()> {
    for (kind, name, spec) in [
        ("Reflector", "attic", json!({})),
        ("ReflectorPeer", "living-room", json!({ "reflectorRef": { "kind": "Reflector", "name": "attic" } })),
    ] {
        let api_version = "packetparamedic.io/v1alpha1";
        let object =
            json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name }, "spec": spec });
        super::kubectl(story, &["apply"], &object.to_string()).await?;
    }
    story
        .api::<Event>()
        .create(&PostParams::default(), &event(story, "told")?)
        .await
        .context("tell an event")?;
    Ok(())
}

/// F9
#[tokio::test]
async fn every_right_of_a_reflector_is_one_that_it_cannot_do_without() {
    scenario("rights-endpoint", async |story: &mut Scenario| {
        install(story).await?;
        objects(story).await?;
        let rules = rules(story, "templates/access/endpoint.yaml", "ClusterRole", &[]).await?;
        let all = account(story, ACCOUNT, &rules).await?;
        let rights = rights(&rules);
        ensure!(rights.len() >= 10, "{rights:?}");
        for (index, right) in rights.iter().enumerate() {
            wait_until(&format!("with the role one may {} {}", right.1, right.0), MINUTE, async || {
                done(story, &all, right).await?.context("one may not")
            })
            .await?;
            let less = account(story, &format!("{ACCOUNT}-{index}"), &without(&rules, right)).await?;
            // The rest of the role is in force, so what is missing is this.
            let other = rights.iter().find(|other| *other != right).context("there is another right")?;
            wait_until("the rest of the role is in force", MINUTE, async || {
                done(story, &less, other).await?.context("it is not")
            })
            .await?;
            ensure!(done(story, &less, right).await?.is_none(), "without {right:?} it goes on as before");
        }
        Ok(())
    })
    .await;
}

pub(crate) async fn may(
    client: &Client,
    namespace: &str,
    verb: &str,
    group: &str,
    resource: &str,
) -> Result<bool> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review: SelfSubjectAccessReview = serde_json::from_value(json!({
        "spec": { "resourceAttributes": {
            "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource,
        } },
    }))?;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await.context("ask what one may do")?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// What neither has, whatever somebody adds: reading codes, taking more rights, writing what people write.
#[tokio::test]
async fn neither_operator_nor_reflector_can_read_a_secret_or_write_what_is_the_users() {
    scenario("rights-none", async |story: &mut Scenario| {
        let ours = "packetparamedic.io";
        let scope = format!("--set=watchNamespace={}", story.namespace);
        let operator = rules(story, "templates/operator/rights.yaml", "Role", &[&scope]).await?;
        let endpoint = rules(story, "templates/access/endpoint.yaml", "ClusterRole", &[]).await?;
        for (who, rules, proof, more) in [
            ("operator", operator, ("create", "", "secrets"), &[][..]),
            (
                "endpoint",
                endpoint,
                ("patch", ours, "reflectors/status"),
                &[
                    ("create", "", "secrets"),
                    ("list", "", "pods"),
                    ("get", "", "configmaps"),
                    ("patch", ours, "reflectors"),
                    ("get", ours, "reflectorfleets"),
                    ("patch", ours, "reflectorfleets/status"),
                ],
            ),
        ] {
            let client = account(story, who, &rules).await?;
            let here = &story.namespace;
            wait_until(&format!("the rights of the {who} are in force"), MINUTE, async || {
                ensure!(may(&client, here, proof.0, proof.1, proof.2).await?, "not yet");
                Ok(())
            })
            .await?;
            let never = [
                ("get", "", "secrets"),
                ("list", "", "secrets"),
                ("watch", "", "secrets"),
                ("create", "", "pods"),
                ("create", "", "pods/exec"),
                ("get", "", "pods/log"),
                ("create", "", "serviceaccounts/token"),
                ("impersonate", "", "serviceaccounts"),
                ("escalate", "rbac.authorization.k8s.io", "roles"),
                ("create", "rbac.authorization.k8s.io", "roles"),
                ("bind", "rbac.authorization.k8s.io", "clusterroles"),
                ("patch", ours, "reflectorpeers"),
                ("delete", ours, "reflectorpeers"),
                ("patch", ours, "reflectorfleets"),
                ("*", "*", "*"),
            ];
            for (verb, group, resource) in never.iter().chain(more) {
                ensure!(!may(&client, here, verb, group, resource).await?, "the {who} may {verb} {resource}");
            }
        }
        Ok(())
    })
    .await;
}
