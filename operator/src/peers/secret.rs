//! The Secret with a code: for the person who pairs, and for nobody else. Pure.

use std::collections::BTreeMap;

use crds::ReflectorPeer;
use crds::pairing::Code;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};

use super::found::Named;
use crate::writing::MANAGER;

/// `pairing-<the peer's uid>-<round>`: no other peer's name, and another one per code.
pub(super) fn name(uid: &str, round: u32) -> String {
    format!("pairing-{uid}-{round}")
}

/// When something has that name already. What it is cannot be read, so it stays. At most 62 of 63 symbols.
pub(super) fn other_name(uid: &str, round: u32, random: [u8; 2]) -> String {
    format!("{}-{:04x}", name(uid, round), u16::from_be_bytes(random))
}

/// Written once: it goes with the peer, or as soon as the code is used or over.
pub(super) fn secret(
    peer: &ReflectorPeer,
    named: &Named,
    round: u32,
    code: &Code,
    expires_at: Timestamp,
) -> Secret {
    let uid = peer.uid().unwrap_or_default();
    let mut data = BTreeMap::from([
        ("code".to_owned(), code.to_string()),
        ("expiresAt".to_owned(), expires_at.to_string()),
    ]);
    let addresses: Vec<&str> = named.reflectors.iter().filter_map(|one| one.address.as_deref()).collect();
    if !addresses.is_empty() {
        data.insert("address".to_owned(), addresses.join(","));
    }
    let reachable = named.reflectors.iter().find_map(|one| {
        let address = one.address.as_deref().filter(|address| is_plain(address));
        one.id.zip(address)
    });
    if let Some((id, address)) = reachable {
        data.insert("command".to_owned(), format!("reflector test {id}@{address} --code {code}"));
    }
    Secret {
        metadata: ObjectMeta {
            name: Some(name(&uid, round)),
            namespace: peer.namespace(),
            labels: Some(BTreeMap::from([
                ("app.kubernetes.io/managed-by".to_owned(), MANAGER.to_owned()),
                ("app.kubernetes.io/part-of".to_owned(), "packetparamedic".to_owned()),
                ("app.kubernetes.io/component".to_owned(), "pairing".to_owned()),
            ])),
            owner_references: Some(vec![OwnerReference {
                api_version: ReflectorPeer::api_version(&()).into_owned(),
                kind: ReflectorPeer::kind(&()).into_owned(),
                name: peer.name_any(),
                uid,
                controller: Some(true),
                // It would need a right on the peer's finalizers, and nobody has to wait for a Secret to go.
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        string_data: Some(data),
        immutable: Some(true),
        ..Secret::default()
    }
}

/// A node or a person named it, and it is pasted into a shell.
fn is_plain(address: &str) -> bool {
    address.chars().all(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(c))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::peers::testing::{UID, id, moment, named, peer};

    fn made(named: &Named) -> Secret {
        let code = Code::parse("AB102345").unwrap();
        secret(&peer("", ""), named, 7, &code, moment("2026-01-02T12:10:00Z"))
    }

    #[test]
    fn it_belongs_to_its_peer_and_has_what_a_person_needs() {
        let secret = serde_json::to_value(made(&named(&["attic"]))).unwrap();
        assert_eq!(secret["metadata"]["name"], format!("pairing-{UID}-7"));
        assert!(other_name(UID, i32::MAX.unsigned_abs(), [0xff; 2]).len() <= 63);
        let owner = &secret["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["kind"], &owner["controller"]),
            (&json!(UID), &json!("ReflectorPeer"), &json!(true))
        );
        assert_eq!(secret["immutable"], true);
        assert_eq!(
            secret["stringData"],
            json!({
                "code": "AB102345",
                "expiresAt": "2026-01-02T12:10:00Z",
                "address": "attic.example:4000",
                "command": format!("reflector test {}@attic.example:4000 --code AB102345", id(99)),
            })
        );
    }

    #[test]
    fn an_address_that_a_shell_would_run_is_in_no_command() {
        let mut hostile = named(&["attic"]);
        hostile.reflectors[0].address = Some("$(sh):4000".to_owned());
        let data = made(&hostile).string_data.unwrap();
        assert!(!data.contains_key("command"), "{data:?}");
        hostile.reflectors[0].address = Some("[2001:db8::10]:4000".to_owned());
        assert!(made(&hostile).string_data.unwrap().contains_key("command"));
    }

    #[test]
    fn what_is_not_known_yet_is_left_out_and_a_fleet_has_all_addresses() {
        let mut nowhere = named(&["attic"]);
        nowhere.reflectors[0].address = None;
        let data = made(&nowhere).string_data.unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["code", "expiresAt"]);
        let data = made(&named(&["attic", "barn"])).string_data.unwrap();
        assert_eq!(data["address"], "attic.example:4000,barn.example:4000");
    }
}
