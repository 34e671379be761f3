//! `report`: everything a person who helps needs, in one text. No Secret is read, and no code is in what is.

use anyhow::Result;
use crds::{Reflector, ReflectorFleet, ReflectorPeer};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Service};
use kube::ResourceExt as _;
use kube::api::LogParams;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, written};
use super::args::Format;
use super::cluster::{Cluster, Kind};
use super::logs;
use super::text::{line, plain};
use crate::clock::Now;
use crate::reflectors::REFLECTOR_LABEL;

/// Of each log.
const LINES: i64 = 200;

pub(super) async fn run(cluster: &Cluster, now: Now) -> Result<Answer> {
    let mut report = Report::default();
    let head = format!(
        "kubectl reflector {}, {}, namespace {}",
        env!("CARGO_PKG_VERSION"),
        now.wall,
        cluster.namespace
    );
    report.section("about", &format!("{head}\n"));
    report.objects("reflectorfleets", &all::<ReflectorFleet>(cluster, "").await);
    report.objects("reflectors", &all::<Reflector>(cluster, "").await);
    report.objects("reflectorpeers", &all::<ReflectorPeer>(cluster, "").await);
    report.objects("deployments", &all::<Deployment>(cluster, REFLECTOR_LABEL).await);
    report.objects("configmaps", &all::<ConfigMap>(cluster, REFLECTOR_LABEL).await);
    report.objects("persistentvolumeclaims", &all::<PersistentVolumeClaim>(cluster, REFLECTOR_LABEL).await);
    report.objects("services", &all::<Service>(cluster, REFLECTOR_LABEL).await);
    let pods = all::<Pod>(cluster, REFLECTOR_LABEL).await;
    report.objects("pods", &pods);
    report.objects("events", &cluster.events().await.map(ours));
    for pod in pods.unwrap_or_default() {
        for previous in [false, true] {
            let name = pod.name_any();
            let title = format!("log {name}{}", if previous { ", of the container before" } else { "" });
            let parameters = LogParams { previous, tail_lines: Some(LINES), ..LogParams::default() };
            match logs::read(cluster, &name, &parameters).await {
                Ok(text) => report.section(&title, &text),
                // Most have none before.
                Err(_) if previous => {}
                Err(error) => report.section(&title, &format!("{error:#}\n")),
            }
        }
    }
    Ok(Answer::text(report.text))
}

async fn all<K: Kind>(cluster: &Cluster, labels: &str) -> Result<Vec<K>> {
    cluster.labelled(labels).await
}

/// Those about our objects; a namespace may have thousands of others.
fn ours(events: Vec<Event>) -> Vec<Event> {
    let is_ours = |event: &Event| {
        let about = &event.involved_object;
        let name = about.name.as_deref().unwrap_or_default();
        about.api_version.as_deref().is_some_and(|version| version.starts_with("packetparamedic.io/"))
            || name.starts_with("rfl-")
    };
    events.into_iter().filter(is_ours).collect()
}

#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn section(&mut self, title: &str, text: &str) {
        // Line by line: a log may hold anything, and this is read in a terminal.
        line(&mut self.text, &format!("=== {title}"));
        for words in text.lines() {
            line(&mut self.text, &plain(words));
        }
        line(&mut self.text, "");
    }

    /// What could not be read is said in its place: half a report helps, too.
    fn objects<K: Serialize>(&mut self, title: &str, objects: &Result<Vec<K>>) {
        let text = match objects {
            Err(error) => format!("{error:#}\n"),
            Ok(objects) => objects.iter().map(shown).collect::<Vec<_>>().join("---\n"),
        };
        self.section(title, &text);
    }
}

fn shown(object: &impl Serialize) -> String {
    let mut object = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    written(&object, Format::Yaml).unwrap_or_else(|error| format!("{error:#}\n"))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::plugin::testing::{picture, yaml};

    #[test]
    fn what_could_not_be_read_is_said_and_the_rest_is_there() {
        let mut report = Report::default();
        report.objects::<Pod>("pods", &Err(anyhow!("pods is forbidden")));
        report.objects("reflectorpeers", &Ok(picture().peers));
        assert!(report.text.contains("=== pods\npods is forbidden\n"), "{}", report.text);
        assert!(report.text.contains("name: kitchen"), "{}", report.text);
    }

    #[test]
    fn a_log_cannot_move_the_cursor_of_whoever_reads_it() {
        let mut report = Report::default();
        report.section("log", "one\u{1b}[2J\ntwo\n");
        assert_eq!(report.text, "=== log\none\u{fffd}[2J\ntwo\n\n");
    }

    #[test]
    fn events_of_others_stay_out() {
        let event = |about: &str| yaml::<Event>(&format!("{{ metadata: {{}}, involvedObject: {about} }}"));
        let kept = ours(vec![
            event("{ apiVersion: packetparamedic.io/v1alpha1, name: attic }"),
            event("{ apiVersion: v1, name: rfl-attic-abc }"),
            event("{ apiVersion: v1, name: web }"),
        ]);
        assert_eq!(kept.len(), 2);
    }
}
