//! Which Reflector this process is, and which pod it runs in.

use crate::config::Access;

/// Which Reflector this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// `metadata.name` of our Reflector; its pod writes as manager `rfl-<name>`.
    pub name: String,
    /// The namespace of everything we read and write.
    pub namespace: String,
    /// Its `metadata.uid`, when the operator said so: what an earlier Reflector of this name left on the claim is not ours.
    pub uid: Option<String>,
    /// The fleet we are a member of.
    pub fleet: Option<Fleet>,
    /// The pod, as far as it was told.
    pub pod: Pod,
}

/// A fleet, by its name and by the object of that name that made us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`: a fleet that was deleted and made again is another one.
    pub uid: String,
}

/// What the kubelet tells a container about its pod, by the downward API. Missing outside of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// `POD_UID`: whose words a status are.
    pub uid: Option<String>,
    /// `POD_NAME`
    pub name: Option<String>,
    /// `NODE_NAME`
    pub node: Option<String>,
}

impl Pod {
    /// Reads the variables.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks which pod this is")]
    pub fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        Self { uid: text("POD_UID"), name: text("POD_NAME"), node: text("NODE_NAME") }
    }
}

impl Own {
    /// `None`: the reflector stands alone. The configuration has checked that a namespace comes with a name, and a fleet
    /// with its uid.
    pub fn of(access: &Access, pod: Pod) -> Option<Self> {
        let fleet = access.fleet.clone().zip(access.fleet_uid.clone());
        Some(Self {
            name: access.name.clone()?,
            namespace: access.namespace.clone()?,
            uid: access.uid.clone(),
            fleet: fleet.map(|(name, uid)| Fleet { name, uid }),
            pod,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_namespace_makes_a_reflector_one_of_a_cluster() {
        let mut access = Config::default().access;
        access.name = Some("attic".to_owned());
        access.fleet = Some("homes".to_owned());
        assert_eq!(Own::of(&access, Pod::default()), None);
        access.namespace = Some("reflectors".to_owned());
        access.uid = Some("r-1".to_owned());
        access.fleet_uid = Some("f-1".to_owned());
        let own = Own::of(&access, Pod::default()).unwrap();
        assert_eq!((own.name.as_str(), own.namespace.as_str()), ("attic", "reflectors"));
        assert_eq!(own.uid.as_deref(), Some("r-1"));
        assert_eq!(own.fleet, Some(Fleet { name: "homes".to_owned(), uid: "f-1".to_owned() }));
    }

    /// The operator's own tests write the same file.
    #[test]
    fn the_file_the_operator_writes_says_who_we_are() {
        let golden = include_str!("../../../crds/tests/bootstrap.toml");
        let loaded = crate::config::parse(golden, &crate::config::Variables::new()).unwrap();
        assert_eq!(loaded.warnings, []);
        assert_eq!(
            Own::of(&loaded.config.access, Pod::default()),
            Some(Own {
                name: "attic".to_owned(),
                namespace: "homes".to_owned(),
                uid: Some("uid-attic".to_owned()),
                fleet: Some(Fleet { name: "homes".to_owned(), uid: "uid-homes".to_owned() }),
                pod: Pod::default(),
            })
        );
        let network = loaded.config.network;
        assert_eq!(network.listen_address.port(), 4100);
        assert_eq!(network.listen_address_health.port(), 7311);
        assert_eq!((network.data_ports, network.plain_on_control_port), (Some((5201, 5210)), false));
    }
}
