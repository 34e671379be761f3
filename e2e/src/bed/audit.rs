//! What the API server was asked by service accounts: operators and pods, not people and not Kubernetes' own controllers.

use std::path::PathBuf;

use serde_json::json;

use super::layout::Layout;

/// One request per line, in the form of `audit.k8s.io/v1`.
pub(super) fn log(layout: &Layout) -> PathBuf {
    layout.control("audit.jsonl")
}

/// Where the API server reads what to write down.
pub(super) fn policy_file(layout: &Layout) -> PathBuf {
    layout.control("audit-policy.json")
}

/// With the bodies of requests: a scenario asks the same again as somebody else. Pairing codes are among them, and end with
/// the bed.
pub(super) fn policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            { "level": "None", "userGroups": ["system:serviceaccounts:kube-system"] },
            { "level": "Request", "userGroups": ["system:serviceaccounts"] },
            { "level": "None" },
        ],
    })
    .to_string()
}
