//! Whether git decides what an object says. Pure.
//!
//! Argo CD and Flux put back what is edited by hand, so an edit that matters has to be a commit.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Who keeps an object as it is in git.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracker {
    ArgoCd,
    Flux,
}

impl fmt::Display for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ArgoCd => "Argo CD",
            Self::Flux => "Flux",
        })
    }
}

/// Labels and annotations by which they know their own.
const MARKS: [(&str, Tracker); 4] = [
    ("argocd.argoproj.io/tracking-id", Tracker::ArgoCd),
    ("argocd.argoproj.io/instance", Tracker::ArgoCd),
    ("kustomize.toolkit.fluxcd.io/name", Tracker::Flux),
    ("helm.toolkit.fluxcd.io/name", Tracker::Flux),
];
/// The names under which they write. Argo CD's default mark is a label that Helm uses too.
const MANAGERS: [(&str, Tracker); 4] = [
    ("argocd-controller", Tracker::ArgoCd),
    ("argocd-application-controller", Tracker::ArgoCd),
    ("kustomize-controller", Tracker::Flux),
    ("helm-controller", Tracker::Flux),
];

/// Who tracks an object; nobody, as far as it says.
pub(super) fn tracker(metadata: &ObjectMeta) -> Option<Tracker> {
    let marked = |key: &str| {
        [&metadata.labels, &metadata.annotations].into_iter().flatten().any(|map| map.contains_key(key))
    };
    let managed = |name: &str| {
        let managers = metadata.managed_fields.iter().flatten();
        managers.into_iter().any(|entry| entry.manager.as_deref() == Some(name))
    };
    let by_mark = MARKS.iter().find(|(key, _)| marked(key));
    by_mark.or_else(|| MANAGERS.iter().find(|(name, _)| managed(name))).map(|(_, tracker)| *tracker)
}

/// Why an edit is refused; nothing, when it may be done.
pub(super) fn refusal(what: &str, metadata: &ObjectMeta, force: bool) -> Option<String> {
    let tracker = tracker(metadata).filter(|_| !force)?;
    Some(format!(
        "{what} is kept as it is in git by {tracker}: commit this, or it lasts until the next sync. --force does it all the same"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(metadata: Value) -> ObjectMeta {
        serde_json::from_value(metadata).unwrap()
    }

    #[test]
    fn an_object_of_argo_cd_or_flux_is_known_by_mark_or_by_writer() {
        let table = [
            (json!({}), None),
            (json!({ "labels": { "app.kubernetes.io/instance": "helm-too" } }), None),
            (
                json!({ "managedFields": [{ "manager": "kubectl" }, { "manager": "packetparamedic-cli" }] }),
                None,
            ),
            (json!({ "annotations": { "argocd.argoproj.io/tracking-id": "a:b" } }), Some(Tracker::ArgoCd)),
            (json!({ "managedFields": [{ "manager": "argocd-controller" }] }), Some(Tracker::ArgoCd)),
            (json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": "flux" } }), Some(Tracker::Flux)),
            (json!({ "managedFields": [{ "manager": "helm-controller" }] }), Some(Tracker::Flux)),
        ];
        for (metadata, expected) in table {
            assert_eq!(tracker(&of(metadata.clone())), expected, "{metadata}");
        }
    }

    #[test]
    fn an_edit_that_git_would_undo_wants_force() {
        let tracked = of(json!({ "labels": { "helm.toolkit.fluxcd.io/name": "x" } }));
        let words = refusal("ReflectorPeer attic", &tracked, false).unwrap();
        assert!(words.contains("Flux") && words.contains("commit") && words.contains("--force"), "{words}");
        assert_eq!(refusal("ReflectorPeer attic", &tracked, true), None);
        assert_eq!(refusal("ReflectorPeer attic", &of(json!({})), false), None);
    }
}
