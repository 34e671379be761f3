//! The operator and its first Reflector.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;

use super::super::stage::until_every;
use super::Story;
use super::target::{NAMESPACE, REFLECTOR, SYSTEM};

/// How often a Reflector that starts is looked at: each look is a kubectl.
const LOOK: Duration = Duration::from_millis(300);
const SAMPLE: &str = "deploy/samples/reflector.yaml";
/// The node that the sample names.
const SOMEBODYS_NODE: &str = "pi5-attic";

impl Story {
    pub(super) async fn helm_installs_the_chart(&mut self) -> Result<()> {
        self.screen.step("Helm installs the operator");
        let began = Instant::now();
        let command = self.target.install().await?;
        self.screen.command(&command);
        self.screen.good(&format!("the operator runs after {:.1} s", began.elapsed().as_secs_f32()));
        self.target.typed(&self.screen, &["kubectl", "-n", SYSTEM, "get", "pods"]).await.map(drop)
    }

    pub(super) async fn a_reflector_becomes_ready(&mut self) -> Result<()> {
        self.screen.step("One file becomes a running endpoint");
        let sample = std::fs::read_to_string(self.target.sample(SAMPLE)).context("read the sample")?;
        ensure!(sample.contains(SOMEBODYS_NODE), "{SAMPLE} does not name the node {SOMEBODYS_NODE}");
        let file = self.home.path().join("reflector.yaml");
        std::fs::write(&file, sample.replace(SOMEBODYS_NODE, &self.target.node))
            .context("write reflector.yaml")?;
        self.screen
            .command(&format!("sed s/{SOMEBODYS_NODE}/{}/ {SAMPLE} >reflector.yaml", self.target.node));
        self.screen.command("kubectl apply -f reflector.yaml");
        let began = Instant::now();
        let file = file.to_str().context("the folder's name is no text")?;
        self.target.run(&["kubectl", "apply", "-f", file]).await?;
        self.screen.command(&format!("kubectl -n {NAMESPACE} get reflectors --watch"));
        let mut last = String::new();
        let reflector = until_every(LOOK, "Reflector that is Ready", async || {
            let object = self.target.object("reflector", REFLECTOR).await?;
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.into_iter().find(|one| one["type"] == "Ready").unwrap_or_default();
            let line = format!(
                "Ready={}  {}  {}",
                ready["status"].as_str().unwrap_or("-"),
                ready["reason"].as_str().unwrap_or("-"),
                ready["message"].as_str().unwrap_or("-")
            );
            if line != last {
                self.screen.output(&format!("{:>5.1} s  {line}", began.elapsed().as_secs_f32()));
                last = line;
            }
            Ok((ready["status"] == "True").then_some(object))
        })
        .await
        .with_context(|| {
            format!("`kubectl -n {NAMESPACE} describe reflector {REFLECTOR}` says what to do")
        })?;
        let status = &reflector["status"];
        let id = status["endpointId"].as_str().context("it has no Endpoint ID")?;
        let at = status["addresses"][0].as_str().context("it has no address")?;
        self.address = format!("{id}@{at}");
        self.screen.good(&format!(
            "Ready after {:.1} s: it can be connected to, and its policy is in force",
            began.elapsed().as_secs_f32()
        ));
        self.target.typed(&self.screen, &["kubectl", "-n", NAMESPACE, "get", "reflectors"]).await.map(drop)
    }
}
