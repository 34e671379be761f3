//! What the operator was told about every Reflector.

/// Settings of the operator that decide what a Reflector becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The image's repository when a Reflector names none.
    pub(crate) repository: String,
    /// Its tag when a Reflector names none.
    pub(crate) tag: String,
    /// Repositories a Reflector may name: whoever may write Reflectors must not thereby run any image on the node's
    /// network.
    pub(crate) allowed_repositories: Vec<String>,
    /// The `ClusterRole` each pod's account is bound to.
    pub(crate) cluster_role: String,
}

impl Settings {
    /// Exact names: a prefix would let `example.net/reflector` allow `example.net/reflector-evil`.
    pub(crate) fn allows(&self, repository: &str) -> bool {
        self.allowed_repositories.iter().any(|allowed| allowed == repository)
    }
}

/// `host:5000/path/reflector:tag` taken apart; the tag is what follows a colon after the last slash.
pub(crate) fn split_reference(reference: &str) -> (&str, Option<&str>) {
    let name = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference[name..].find(':') {
        Some(colon) => (&reference[..name + colon], Some(&reference[name + colon + 1..])),
        None => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_port_is_not_a_tag() {
        assert_eq!(split_reference("reflector"), ("reflector", None));
        assert_eq!(split_reference("reflector:1.0"), ("reflector", Some("1.0")));
        assert_eq!(split_reference("host.example:5000/reflector"), ("host.example:5000/reflector", None));
        assert_eq!(split_reference("host.example:5000/a/b:2"), ("host.example:5000/a/b", Some("2")));
    }

    #[test]
    fn an_allowed_repository_allows_itself_only() {
        let settings = Settings {
            repository: "r".into(),
            tag: "1".into(),
            allowed_repositories: vec!["example.net/reflector".into()],
            cluster_role: "c".into(),
        };
        assert!(settings.allows("example.net/reflector"));
        assert!(!settings.allows("example.net/reflector-evil"));
        assert!(!settings.allows("example.net/reflector/evil"));
    }
}
