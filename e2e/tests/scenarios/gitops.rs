//! Our chart and samples from git, as `deploy/argocd` has them synced: what Argo CD says of them, and that it and the
//! operator leave each other's work alone. Skipped on a bed without Argo CD.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorFleet};
use e2e::scenario::{Application, MINUTE, Repository, Scenario, alone_with_argocd, wait_until};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::chart::folder;
use crate::chart::install::{OPERATOR, REFLECTOR, clear};
use crate::operator::built;
use crate::operator::fleets::{label, set_label};

/// Reflectors of the samples that one reads of in this story.
const SAMPLES: [&str; 3] = ["reflector.yaml", "fleet.yaml", "peer-known.yaml"];
/// What the operator refuses to run.
const BROKEN: &str = "
apiVersion: packetparamedic.io/v1alpha1
kind: Reflector
metadata:
  name: broken
spec:
  image:
    repository: evil.example/r
";

/// F10
#[tokio::test]
async fn chart_and_samples_follow_git_and_nobody_undoes_what_the_operator_writes() {
    alone_with_argocd("gitops", async |story: &mut Scenario| {
        for (package, program, name) in
            [("operator", "reflector-operator", OPERATOR), ("reflector", "reflector", REFLECTOR)]
        {
            let program = built(package, program).await?;
            for node in ["node-1", "node-2"] {
                story.bed.deliver(node, &program, name).await?;
            }
        }
        clear(story).await?;
        // Health is judged by what we ship.
        let health = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/argocd/argocd-cm.yaml");
        let health = health.to_str().context("the path of the health checks is no text")?;
        story
            .kubectl(["--namespace", "argocd", "patch", "configmap", "argocd-cm", "--patch-file", health])
            .await?;

        let operator = operator(story).await?;
        let home = label(story, "home");
        set_label(story, "node-2", &home, Some("true")).await?;
        let told = Samples::published(story, &home).await?.tell().await;
        set_label(story, "node-2", &home, None).await?;
        told?;
        operator.remove().await
    })
    .await;
}

fn deploy(path: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path);
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// An Application of `deploy/argocd`, with the repository and the namespace of this story.
fn application(story: &Scenario, file: &str, url: &str, namespace: &str) -> Result<Value> {
    let mut object: Value = serde_yaml::from_str(&deploy(file)?).with_context(|| format!("read {file}"))?;
    let name = object["metadata"]["name"].as_str().context("the Application has a name")?;
    object["metadata"]["name"] = json!(format!("{}-{name}", story.namespace));
    object["spec"]["source"]["repoURL"] = json!(url);
    object["spec"]["destination"]["namespace"] = json!(namespace);
    Ok(object)
}

/// Where the reflectors of this story are.
fn reflectors(story: &Scenario) -> String {
    format!("{}-reflectors", story.namespace)
}

/// The operator, by the chart of this tree.
async fn operator(story: &Scenario) -> Result<Application> {
    let tree = tempfile::tempdir().context("make a folder for the chart")?;
    std::fs::create_dir(tree.path().join("charts")).context("make a folder for the chart")?;
    std::os::unix::fs::symlink(folder(), tree.path().join("charts/reflector-operator"))?;
    let (repository, first) = story.publish(tree.path()).await?;
    let mut object = application(story, "argocd/operator.yaml", repository.url(), &story.namespace)?;
    let values = &mut object["spec"]["source"]["helm"]["valuesObject"];
    values["reflectorNamespace"]["name"] = json!(reflectors(story));
    for (image, name) in [("image", OPERATOR), ("reflector", REFLECTOR)] {
        let (repository, tag) = name.split_once(':').context("the image has a tag")?;
        let wanted = json!({ "repository": repository, "tag": tag });
        values[image] = if image == "image" { wanted } else { json!({ "image": wanted }) };
    }
    let application = story.application_of(object).await?;
    application.synced(&first).await?;
    // The chart keeps this namespace; here it goes with the story.
    let namespaces: Api<Namespace> = Api::all(story.client.clone());
    let uid = namespaces.get(&story.namespace).await?.uid();
    let owner = json!({ "apiVersion": "v1", "kind": "Namespace", "name": story.namespace, "uid": uid });
    let metadata = json!({ "metadata": { "ownerReferences": [owner] } });
    namespaces.patch(&reflectors(story), &PatchParams::default(), &Patch::Merge(&metadata)).await?;
    Ok(application)
}

/// Reflectors and peers in a repository of their own.
struct Samples<'a> {
    story: &'a Scenario,
    repository: Repository,
    application: Application,
}

impl<'a> Samples<'a> {
    async fn published(story: &'a Scenario, home: &str) -> Result<Self> {
        let tree = tempfile::tempdir().context("make a folder for the samples")?;
        for file in SAMPLES {
            let text = deploy(&format!("samples/{file}"))?
                .replace("namespace: reflectors", &format!("namespace: {}", reflectors(story)))
                .replace("pi5-attic", "node-1")
                .replace("packetparamedic.io/reflector-node", home);
            std::fs::write(tree.path().join(file), text)?;
        }
        // A second repository of one story: it is told apart by its folder.
        let (repository, first) = story.publish_as("reflectors", tree.path()).await?;
        let object = application(story, "argocd/reflectors.yaml", repository.url(), &reflectors(story))?;
        let application = story.application_of(object).await?;
        application.synced(&first).await?;
        Ok(Self { story, repository, application })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.story.client.clone(), &reflectors(self.story))
    }

    async fn tell(self) -> Result<()> {
        self.nothing_differs().await?;
        self.what_somebody_edits_is_set_right_once().await?;
        self.a_broken_one_is_degraded_and_says_why().await?;
        self.what_git_forgets_goes_and_its_identity_stays().await?;
        self.application.remove().await
    }

    /// What is in git, and what the operator made of it, by how often their specs were written.
    async fn generations(&self) -> Result<String> {
        let kinds = "reflectors,reflectorpeers,reflectorfleets,deployments";
        let columns = "--output=custom-columns=KIND:.kind,NAME:.metadata.name,UID:.metadata.uid,GEN:.metadata.generation";
        let namespace = reflectors(self.story);
        self.story.kubectl(["--namespace", &namespace, "get", kinds, columns]).await
    }

    /// Argo CD looks again and again, while the operator writes status, members and children.
    async fn nothing_differs(&self) -> Result<()> {
        let attic = self.application.seen().await?;
        ensure!(
            attic.health_of("Reflector", "attic").is_some_and(|(health, _)| health == "Healthy"),
            "{attic}"
        );
        let (before, began) = (self.generations().await?, attic.sync_began().to_owned());
        ensure!(before.contains("homes-node-2") && before.contains("rfl-attic"), "{before}");
        self.application.compared().await?;
        let seen = self.application.seen().await?;
        ensure!(seen.health() == "Healthy" && seen.sync_began() == began, "it synced again: {seen}");
        let after = self.generations().await?;
        ensure!(before == after, "something was written again:\n{before}\n{after}");
        Ok(())
    }

    async fn what_somebody_edits_is_set_right_once(&self) -> Result<()> {
        let fleets = self.api::<ReflectorFleet>();
        let edit = json!({ "spec": { "rollout": { "maxUnavailable": 5 } } });
        let edited = fleets.patch("homes", &PatchParams::default(), &Patch::Merge(&edit)).await;
        let edited = serde_json::to_value(edited.context("edit the fleet")?.spec)?;
        ensure!(edited["rollout"]["maxUnavailable"] == 5, "the edit did nothing: {edited}");
        wait_until("the fleet is as in git", MINUTE, async || {
            let fleet = fleets.get("homes").await?;
            let written = serde_json::to_value(&fleet.spec)?;
            ensure!(written["rollout"]["maxUnavailable"] == 2, "{}", written["rollout"]);
            Ok(())
        })
        .await?;
        let before = self.generations().await?;
        self.application.compared().await?;
        let after = self.generations().await?;
        ensure!(before == after, "two write against each other:\n{before}\n{after}");
        Ok(())
    }

    async fn a_broken_one_is_degraded_and_says_why(&self) -> Result<()> {
        self.repository.write("broken.yaml", BROKEN)?;
        self.repository.commit("Run something else").await?;
        self.application.refresh().await?;
        wait_until("Argo CD says what is wrong with it", MINUTE, async || {
            let seen = self.application.seen().await?;
            let (health, words) = seen.health_of("Reflector", "broken").with_context(|| seen.to_string())?;
            ensure!(health == "Degraded" && words.contains("evil.example/r"), "{health}: {words}");
            ensure!(words.contains("not on the operator's list"), "{words}");
            ensure!(seen.health() == "Degraded", "as a whole it is {}", seen.health());
            Ok(())
        })
        .await?;
        self.repository.remove("broken.yaml")?;
        let mended = self.repository.commit("Run nothing else").await?;
        self.application.refresh().await?;
        self.application.synced(&mended).await?;
        ensure!(self.api::<Reflector>().get_opt("broken").await?.is_none(), "it was not pruned");
        Ok(())
    }

    /// F1, I4
    async fn what_git_forgets_goes_and_its_identity_stays(&self) -> Result<()> {
        let claims = self.api::<PersistentVolumeClaim>();
        let claim = claims.get("rfl-attic-identity").await?.uid();
        let reflector = self.api::<Reflector>().get("attic").await?;
        let id = reflector.status.and_then(|status| status.endpoint_id).context("attic has an identity")?;
        let text = self.repository.read("reflector.yaml")?;
        self.repository.remove("reflector.yaml")?;
        let forgotten = self.repository.commit("Forget the attic").await?;
        self.application.refresh().await?;
        self.application.synced(&forgotten).await?;
        wait_until("the attic is gone", MINUTE, async || {
            ensure!(self.api::<Reflector>().get_opt("attic").await?.is_none(), "it is there");
            ensure!(
                self.api::<Deployment>().get_opt("rfl-attic").await?.is_none(),
                "its Deployment is there"
            );
            Ok(())
        })
        .await?;
        ensure!(claims.get("rfl-attic-identity").await?.uid() == claim, "its claim is not the same");

        self.repository.write("reflector.yaml", &text)?;
        let again = self.repository.commit("Remember the attic").await?;
        self.application.refresh().await?;
        self.application.synced(&again).await?;
        ensure!(claims.get("rfl-attic-identity").await?.uid() == claim, "it has another claim");
        let reflector = self.api::<Reflector>().get("attic").await?;
        let now = reflector.status.and_then(|status| status.endpoint_id);
        ensure!(now.as_ref() == Some(&id), "it was {id}, it is {now:?}");
        Ok(())
    }
}
