//! Names of children: a prefix, so that no Reflector can take the operator's own names.

/// Deployment, `ServiceAccount`, `RoleBinding`, `ConfigMap`, Service, and the field manager of the pod.
pub(crate) fn child(reflector: &str) -> String {
    format!("rfl-{reflector}")
}

/// The claim.
pub(crate) fn claim(reflector: &str) -> String {
    format!("rfl-{reflector}-identity")
}
