//! local-path-provisioner: the default `StorageClass`, as in k3s. It runs beside the API server, its helpers are pods.

use serde_json::{Value, json};

use super::component::{Component, Ready};
use super::layout::Layout;
use super::programs::{BUSYBOX, Programs};

const NAMESPACE: &str = "local-path-storage";
const ACCOUNT: &str = "local-path-provisioner-service-account";
const CONFIG: &str = "local-path-config";
const PROVISIONER: &str = "rancher.io/local-path";

/// Its command line and configuration. [`objects`] must exist before it starts.
pub(super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let config = layout.control("local-path.json");
    let pod = layout.control("local-path-helper.json");
    Component::new(
        "local-path",
        programs.tool("local-path-provisioner"),
        Ready::Line("Started provisioner controller"),
    )
    .args(["start"])
    .flag("kubeconfig", layout.kubeconfig("local-path"))
    .flag("config", &config)
    .flag("helper-pod-file", &pod)
    .flag("helper-image", BUSYBOX)
    .flag("provisioner-name", PROVISIONER)
    .flag("namespace", NAMESPACE)
    .flag("service-account-name", ACCOUNT)
    .flag("configmap-name", CONFIG)
    .file(&config, folders(layout).to_string())
    .file(&pod, helper().to_string())
}

/// Every node keeps its volumes on its own disk, as two machines would.
fn folders(layout: &Layout) -> Value {
    let nodes: Vec<Value> =
        layout.nodes().map(|node| json!({ "node": node.name, "paths": [node.disk()] })).collect();
    json!({ "nodePathMap": nodes })
}

fn helper() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "helper-pod" },
        "spec": { "containers": [{ "name": "helper-pod", "image": BUSYBOX, "imagePullPolicy": "Never" }] },
    })
}

/// What it expects to find in the cluster, and the class that names it.
pub(super) fn objects() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } },
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": { "name": ACCOUNT, "namespace": NAMESPACE },
            },
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": { "name": CONFIG, "namespace": NAMESPACE },
                "data": {
                    "setup": "#!/bin/sh\nset -eu\nmkdir -m 0777 -p \"$VOL_DIR\"\n",
                    "teardown": "#!/bin/sh\nset -eu\nrm -rf \"$VOL_DIR\"\n",
                },
            },
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": "local-path",
                    "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
                },
                "provisioner": PROVISIONER,
                "volumeBindingMode": "WaitForFirstConsumer",
                "reclaimPolicy": "Delete",
            },
        ],
    })
}
