//! Whether an object is as it should be, so that it need not be written.
//!
//! Two questions. Was it last applied from this very description? A hash in an annotation answers that: it notices what
//! a description no longer says, which looking at the object cannot. And does it still say everything we said? That is
//! looked up field by field, because the server adds defaults and others may add their own.

use aws_lc_rs::digest;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::Value;

/// Where the hash of the description is kept.
const APPLIED: &str = "packetparamedic.io/applied";
/// Of the hash's 32 bytes: enough that two descriptions of one object never share them.
const KEPT: usize = 12;

/// Puts the hash of a description into it.
pub(crate) fn seal<K: Resource + Serialize>(mut object: K) -> Result<K, serde_json::Error> {
    object.annotations_mut().remove(APPLIED);
    let hash = hash(&serde_json::to_vec(&object)?);
    object.annotations_mut().insert(APPLIED.to_owned(), hash);
    Ok(object)
}

/// Whether two objects were made from the same description.
pub(crate) fn is_sealed_alike<K: Resource>(one: &K, other: &K) -> bool {
    one.annotations().get(APPLIED) == other.annotations().get(APPLIED)
}

/// A short name of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let full = digest::digest(&digest::SHA256, bytes);
    let digits = full.as_ref().iter().take(KEPT).flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// Whether what is there is what a sealed description says.
pub(crate) fn is_current<K: Serialize>(desired: &K, observed: &K) -> Result<bool, serde_json::Error> {
    Ok(says(&serde_json::to_value(observed)?, &serde_json::to_value(desired)?))
}

/// Whether everything in `wanted` is said in `there`.
fn says(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| there.get(key).is_some_and(|there| says(there, value)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            let same = there.len() == wanted.len()
                && there.iter().zip(wanted).all(|(there, wanted)| says(there, wanted));
            // Lists of objects are merged by key: somebody else's entries may stand between ours.
            let merged = || {
                wanted
                    .iter()
                    .all(|wanted| wanted.is_object() && there.iter().any(|there| says(there, wanted)))
            };
            same || !wanted.is_empty() && merged()
        }
        (Value::String(there), Value::String(wanted)) => there == wanted || is_same_quantity(there, wanted),
        _ => there == wanted,
    }
}

/// The server rewrites quantities: `1000m` comes back as `1`.
fn is_same_quantity(one: &str, other: &str) -> bool {
    matches!((billionths(one), billionths(other)), (Some(one), Some(other)) if one == other)
}

/// A Kubernetes quantity in billionths.
fn billionths(text: &str) -> Option<i128> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.len() > 9 || whole.len() > 18 {
        return None;
    }
    let value = format!("{whole}{part:0<9}").parse::<i128>().ok()?;
    let (times, over) = match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        _ => return None,
    };
    Some(value.checked_mul(times)? / over)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> ConfigMap {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_was_applied_and_not_touched_is_current() {
        let desired = seal(map(json!({ "metadata": { "name": "a" }, "data": { "k": "1" } }))).unwrap();
        let mut observed = desired.clone();
        observed.metadata.uid = Some("u".into());
        observed.metadata.labels = Some([("theirs".to_owned(), "1".to_owned())].into());
        assert!(is_current(&desired, &observed).unwrap());
    }

    #[test]
    fn a_changed_field_is_noticed() {
        let desired = seal(map(json!({ "metadata": { "name": "a" }, "data": { "k": "1" } }))).unwrap();
        let mut observed = desired.clone();
        observed.data = Some([("k".to_owned(), "2".to_owned())].into());
        assert!(!is_current(&desired, &observed).unwrap());
        observed.data = None;
        assert!(!is_current(&desired, &observed).unwrap());
    }

    #[test]
    fn a_field_that_the_description_no_longer_says_is_noticed() {
        let before = json!({ "metadata": { "name": "a" }, "data": { "k": "1", "old": "1" } });
        let observed = seal(map(before)).unwrap();
        let desired = seal(map(json!({ "metadata": { "name": "a" }, "data": { "k": "1" } }))).unwrap();
        assert!(!is_current(&desired, &observed).unwrap());
    }

    #[test]
    fn sealing_twice_is_sealing_once() {
        let once = seal(map(json!({ "metadata": { "name": "a" } }))).unwrap();
        assert_eq!(seal(once.clone()).unwrap(), once);
    }

    #[test]
    fn what_the_server_adds_or_rewrites_is_no_drift() {
        let table = [
            (json!([{ "name": "a" }]), json!([{ "name": "a", "protocol": "TCP" }]), true),
            (json!([{ "name": "a" }]), json!([{ "name": "sidecar" }, { "name": "a" }]), true),
            (json!([{ "name": "a" }]), json!([{ "name": "sidecar" }]), false),
            (json!(["a"]), json!(["a", "b"]), false),
            (json!({ "cpu": "1000m" }), json!({ "cpu": "1" }), true),
            (json!({ "memory": "0.5Gi" }), json!({ "memory": "512Mi" }), true),
            (json!({ "memory": "64Mi" }), json!({ "memory": "64M" }), false),
            (json!("1e3"), json!("1000"), false),
            (json!(true), json!("true"), false),
            (json!([]), json!([1]), false),
        ];
        for (wanted, there, expected) in table {
            assert_eq!(says(&there, &wanted), expected, "{wanted} in {there}");
        }
    }
}
