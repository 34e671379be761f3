//! What members are called. Pure.
//!
//! `<fleet>-<node>`, and a hash where that is no name of a Reflector: two nodes never share a member, and a node that
//! returns finds its own.

use crds::fleet::ReflectorFleet;
use crds::reflector::MAX_REFLECTOR_NAME;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource as _, ResourceExt};

use crate::writing::hash;

/// Which fleet a member belongs to; its watch selects by it. Who owns it is said by its owner reference alone.
pub(super) const FLEET: &str = "packetparamedic.io/fleet";
/// Its node: an annotation, because a node's name may be longer than a label.
pub(super) const NODE: &str = "packetparamedic.io/node";
/// On a member that served when it was last changed: until it serves again, it is the change that keeps it from it.
pub(super) const CHANGED_WHILE_READY: &str = "packetparamedic.io/changed-while-ready";
/// The label a pod is kept on its node by.
pub(super) const HOSTNAME: &str = "kubernetes.io/hostname";

/// Of the hash: enough for 64 members.
const HASH: usize = 8;

/// The fleet that made a Reflector.
pub(super) fn owner(member: &impl ResourceExt) -> Option<&OwnerReference> {
    let mut owners = member.owner_references().iter();
    owners.find(|owner| owner.kind == ReflectorFleet::kind(&()) && owner.controller == Some(true))
}

/// The name of a fleet's member on a node.
pub(super) fn member(fleet: &str, node: &str) -> String {
    let full = format!("{fleet}-{node}");
    // A dot is fine in the name of a node and not in that of a Reflector.
    if full.len() <= MAX_REFLECTOR_NAME && !full.contains('.') {
        return full;
    }
    let hash: String = hash(full.as_bytes()).chars().take(HASH).collect();
    let short: String = full.replace('.', "-").chars().take(MAX_REFLECTOR_NAME - HASH - 1).collect();
    format!("{}-{hash}", short.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use crds::names::is_object_name;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_is_called_by_its_fleet_and_node_and_by_a_hash_when_that_is_no_name() {
        assert_eq!(member("pi", "attic"), "pi-attic");
        let dotted = member("pi", "attic.example.net");
        assert!(dotted.starts_with("pi-attic-example-net-") && dotted.len() == 29, "{dotted}");
        assert_ne!(dotted, member("pi", "attic-example.net"));
        let just = "n".repeat(MAX_REFLECTOR_NAME - 3);
        assert_eq!(member("pi", &just), format!("pi-{just}"));
        let long = member("pi", &format!("{just}n"));
        assert_eq!(long.len(), MAX_REFLECTOR_NAME);
        assert_ne!(long, member("pi", &format!("{just}m")), "they differ beyond the cut");
    }

    proptest! {
        #[test]
        fn every_member_has_a_name_a_reflector_may_have_and_two_nodes_have_two(
            fleet in "[a-z][a-z0-9-]{0,38}[a-z0-9]",
            one in "[a-z0-9]([a-z0-9.]{0,80}[a-z0-9])?",
            other in "[a-z0-9]([a-z0-9.]{0,80}[a-z0-9])?",
        ) {
            let name = member(&fleet, &one);
            prop_assert!(name.len() <= MAX_REFLECTOR_NAME && !name.contains('.'), "{name}");
            prop_assert!(is_object_name(&name), "{name}");
            prop_assert_eq!(one == other, name == member(&fleet, &other));
        }
    }
}
