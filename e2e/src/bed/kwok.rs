//! kwok: nodes that are not there, and the pods on them, as objects that say they run. For measures of many.
//!
//! Whoever makes a Node with [`ANNOTATION`] has one. Its pods are Ready at once and do nothing; claims of [`CLASS`] are bound
//! to volumes that nobody can mount.

use serde_json::{Value, json};

use super::component::{Component, Ready};
use super::layout::Layout;
use super::programs::Programs;
use crate::parts::sets;

/// The annotation of a node that it plays, and its value.
pub const ANNOTATION: (&str, &str) = ("kwok.x-k8s.io/node", "fake");
/// The class of claims that it binds; its stages name it.
pub const CLASS: &str = "kwok-volume";
/// Whose kubeconfig it has.
pub(super) const USER: &str = "kwok";

const PORT: u16 = 10_247;

/// Its command line; none on a bed without it. [`class`] must exist before it starts.
pub(super) fn component(layout: &Layout, programs: &Programs) -> Option<Component> {
    let folder = programs.kwok.as_ref()?;
    let address = Layout::at(PORT);
    let (annotation, value) = ANNOTATION;
    let component = Component::new("kwok", programs.tool("kwok"), Ready::Http(address, "/healthz"))
        .flag("kubeconfig", layout.kubeconfig(USER))
        .flag("server-address", address.to_string())
        .flag("manage-nodes-with-annotation-selector", format!("{annotation}={value}"))
        // A line for each thing it does would be most of what it does.
        .flag("v", "WARN")
        // No lease of a node: see the controllers' grace.
        .flag("node-lease-duration-seconds", "0");
    // What it does to a node, a pod, a claim and a volume: each a file of its module.
    Some(sets::KWOK.kept().fold(component, |component, stage| component.flag("config", folder.join(stage))))
}

/// Bound as soon as it is made: where its pod will be makes no difference.
pub(super) fn class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": CLASS },
        "provisioner": "kwok.x-k8s.io/volume",
        "volumeBindingMode": "Immediate",
        "reclaimPolicy": "Delete",
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_bed_without_it_has_no_component_of_it() {
        let layout = Layout::new(Path::new("/run/reflector-bed"), 2);
        let mut programs = Programs {
            tools: "/t".into(),
            runc: "/r".into(),
            busybox: "/b".into(),
            pause: "/p".into(),
            argocd: None,
            kwok: None,
        };
        assert_eq!(component(&layout, &programs), None);
        programs.kwok = Some("/stages".into());
        let words = component(&layout, &programs).unwrap().command;
        assert!(words.contains(&"--config=/stages/pvc-provision.yaml".into()), "{words:?}");
        assert!(words.contains(&"--node-lease-duration-seconds=0".into()), "{words:?}");
    }
}
