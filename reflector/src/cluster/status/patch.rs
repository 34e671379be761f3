//! The object that is applied: what and whose, and every field of ours.

use serde_json::{Value, json};

use super::peer::Reach;
use super::subject::{Report, Subject};

/// Kinds are of this API.
pub(super) const API_VERSION: &str = "packetparamedic.io/v1alpha1";

/// The name under which a pod of this Reflector writes.
pub fn manager(reflector: &str) -> String {
    format!("rfl-{reflector}")
}

/// The object for a server-side apply of the status, by the pod of this Reflector.
pub fn body(subject: &Subject, report: &Report, reflector: &str) -> Value {
    let (kind, name, uid) = match subject {
        Subject::Own { uid } => ("Reflector", reflector, &**uid),
        Subject::Peer { name, uid } => ("ReflectorPeer", &**name, &**uid),
    };
    json!({
        "apiVersion": API_VERSION,
        "kind": kind,
        // With the uid, a name that was taken over meanwhile is a conflict and no wrong report.
        "metadata": { "name": name, "uid": uid },
        "status": status(report),
    })
}

fn status(report: &Report) -> Value {
    let report = match report {
        Report::Own(report) => return json!(report.status()),
        Report::Peer(report) => report,
    };
    let entry = &report.entry;
    let mut status = json!({ "reflectors": [entry] });
    if report.reach == Reach::One
        && let Some(fields) = status.as_object_mut()
    {
        let columns = [
            ("usage", json!(entry.usage)),
            ("lastSeen", json!(entry.last_seen)),
            ("lastTest", json!(entry.last_test)),
        ];
        // A null would be owned, and refused by the schema.
        fields.extend(
            columns.into_iter().filter(|(_, value)| !value.is_null()).map(|(n, v)| (n.to_owned(), v)),
        );
    }
    status
}

#[cfg(test)]
mod tests {
    use super::super::tests::{own, own_report, peer, peer_report, peer_report_of};
    use super::*;

    fn keys(value: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn a_reflectors_status_has_the_pods_fields_and_no_other() {
        let body = body(&own(), &own_report(|_| {}), "attic");
        assert_eq!(body["kind"], "Reflector");
        assert_eq!(body["metadata"], json!({ "name": "attic", "uid": "uid-own" }));
        let fields = [
            "activeTests",
            "conditions",
            "endpointId",
            "networkPosition",
            "podUID",
            "policyGeneration",
            "selfTest",
            "shortId",
            "version",
        ];
        assert_eq!(keys(&body["status"]), fields);
        let types: Vec<&Value> =
            body["status"]["conditions"].as_array().unwrap().iter().map(|c| &c["type"]).collect();
        assert_eq!(types, ["Accepting", "PolicyCurrent", "HardwareReady"]);
    }

    #[test]
    fn a_peer_of_one_reflector_gets_its_columns_from_our_entry() {
        let body = body(&peer(7), &peer_report(|_| {}), "attic");
        assert_eq!((&body["kind"], &body["metadata"]["uid"]), (&json!("ReflectorPeer"), &json!("uid-7")));
        let status = &body["status"];
        assert_eq!(keys(status), ["lastSeen", "lastTest", "reflectors", "usage"]);
        let entry = &status["reflectors"][0];
        assert_eq!(entry["name"], "attic");
        assert_eq!((&status["usage"], &status["lastSeen"]), (&entry["usage"], &entry["lastSeen"]));
        assert_eq!(status["lastTest"], entry["lastTest"]);
        assert_eq!(
            keys(entry),
            [
                "lastAddress",
                "lastSeen",
                "lastTest",
                "loadedEndpointId",
                "loadedGeneration",
                "name",
                "pairing",
                "revocation",
                "usage"
            ]
        );
    }

    #[test]
    fn a_peer_of_a_fleet_gets_our_entry_alone() {
        let report = peer_report_of(Reach::Fleet { entered: true }, |_| {});
        assert_eq!(keys(&body(&peer(7), &report, "attic")["status"]), ["reflectors"]);
    }

    /// Leaving a field out is how a manager gives it back; a null would be refused.
    #[test]
    fn what_is_not_known_is_left_out() {
        let report = peer_report(|e| (e.usage, e.last_seen, e.last_test) = (None, None, None));
        let body = body(&peer(7), &report, "attic");
        assert_eq!(keys(&body["status"]), ["reflectors"]);
        assert!(!body.to_string().contains("null"), "{body}");
    }

    #[test]
    fn a_pod_writes_under_its_reflectors_name() {
        assert_eq!(manager("attic"), "rfl-attic");
    }
}
