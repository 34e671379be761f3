//! What an appliance understands of a server's answers, and where it gives up.
//!
//! In: a payload as JSON. Out: `Ok`, or the [`Abort`] a real appliance would end with: an unknown `type` or enum value, a
//! field that is missing or of another kind. Unknown fields are ignored. Pure.

use serde_json::{Map, Value};

/// The deny reasons appliances know.
const DENY_REASONS: [&str; 5] = ["unauthorized", "rate_limited", "busy", "invalid_params", "quota_exceeded"];
const MODES: [&str; 2] = ["tunneled", "direct_ephemeral"];
const TEST_TYPES: [&str; 2] = ["throughput", "udp_echo"];
const U32: u64 = 0xffff_ffff;

/// A real appliance ends the conversation here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an appliance aborts at this answer: {0}")]
pub struct Abort(pub String);

/// Reads a payload as an appliance does.
pub(crate) fn check(payload: &Value) -> Result<(), Abort> {
    let fields = Fields::of("payload", payload)?;
    match fields.text("type")? {
        "server_hello" => server_hello(&fields),
        "session_grant" => session_grant(&fields),
        "session_deny" => {
            fields.one_of("reason", &DENY_REASONS)?;
            fields.text("message")?;
            fields.optional("retry_after_sec", |f, name| f.whole(name, u64::MAX))
        }
        "status_snapshot" => status_snapshot(&fields),
        "path_meta" => path_meta(&fields),
        "pair_response" => {
            fields.flag("success")?;
            fields.text("message")?;
            fields.optional("endpoint_id", |f, name| f.text(name).map(drop))
        }
        "ok" => Ok(()),
        "error" => fields.whole("code", U32).and_then(|()| fields.text("message").map(drop)),
        unknown => Err(Abort(format!("unknown type {unknown:?}"))),
    }
}

fn server_hello(fields: &Fields<'_>) -> Result<(), Abort> {
    fields.text("version")?;
    fields.texts("features")?;
    let policy = fields.inside("policy_summary")?;
    policy.whole("max_test_duration_sec", u64::MAX)?;
    policy.whole("max_concurrent_tests", U32)?;
    policy.whole("max_tests_per_hour", U32)?;
    policy.texts("allowed_test_types")?;
    fields.optional("network_position", |f, name| f.text(name).map(drop))
}

fn session_grant(fields: &Fields<'_>) -> Result<(), Abort> {
    fields.uuid_v4("test_id")?;
    fields.one_of("mode", &MODES)?;
    fields.whole("port", 65_535)?;
    fields.text("token")?;
    fields.timestamp("expires_at")
}

fn status_snapshot(fields: &Fields<'_>) -> Result<(), Abort> {
    fields.text("endpoint_id")?;
    fields.whole("uptime_sec", u64::MAX)?;
    fields.optional("active_test", |f, name| {
        let test = f.inside(name)?;
        test.uuid_v4("test_id")?;
        test.one_of("test_type", &TEST_TYPES)?;
        test.text("peer_id")?;
        test.timestamp("started_at")?;
        test.whole("remaining_sec", u64::MAX)
    })?;
    fields.whole("tests_today", U32)?;
    fields.whole("bytes_today", u64::MAX)?;
    fields.optional("network_position", |f, name| f.text(name).map(drop))
}

fn path_meta(fields: &Fields<'_>) -> Result<(), Abort> {
    fields.number("cpu_load")?;
    fields.whole("memory_used_mb", u64::MAX)?;
    fields.whole("memory_total_mb", u64::MAX)?;
    fields.numbers("load_avg", 3)?;
    fields.optional("mtu", |f, name| f.whole(name, U32))?;
    fields.flag("time_synced")?;
    fields.text("build_version")?;
    fields.text("build_hash").map(drop)
}

/// The fields of one JSON object, read strictly.
struct Fields<'a> {
    place: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of(place: &str, value: &'a Value) -> Result<Self, Abort> {
        let map = value.as_object().ok_or_else(|| Abort(format!("{place} is no object: {value}")))?;
        Ok(Self { place: place.to_owned(), map })
    }

    /// The value `read` finds in a field, or what was expected there.
    fn field<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, Abort> {
        let value = self.map.get(name);
        value.and_then(read).ok_or_else(|| {
            let found = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            Abort(format!("{}.{name}: expected {what}, found {found}", self.place))
        })
    }

    fn optional(&self, name: &str, read: impl FnOnce(&Self, &str) -> Result<(), Abort>) -> Result<(), Abort> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(()),
            Some(_) => read(self, name),
        }
    }

    fn inside(&self, name: &str) -> Result<Fields<'a>, Abort> {
        self.field(name, "an object", Some).and_then(|value| Fields::of(name, value))
    }

    fn text(&self, name: &str) -> Result<&'a str, Abort> {
        self.field(name, "a string", Value::as_str)
    }

    fn texts(&self, name: &str) -> Result<(), Abort> {
        self.field(name, "a list of strings", |value| {
            value.as_array()?.iter().all(Value::is_string).then_some(())
        })
    }

    fn flag(&self, name: &str) -> Result<(), Abort> {
        self.field(name, "true or false", Value::as_bool).map(drop)
    }

    fn whole(&self, name: &str, max: u64) -> Result<(), Abort> {
        let what = format!("a whole number up to {max}");
        self.field(name, &what, |value| value.as_u64().filter(|&number| number <= max)).map(drop)
    }

    fn number(&self, name: &str) -> Result<(), Abort> {
        self.field(name, "a number", Value::as_f64).map(drop)
    }

    fn numbers(&self, name: &str, count: usize) -> Result<(), Abort> {
        self.field(name, &format!("{count} numbers"), |value| {
            let list = value.as_array()?;
            (list.len() == count && list.iter().all(Value::is_number)).then_some(())
        })
    }

    fn one_of(&self, name: &str, known: &[&str]) -> Result<(), Abort> {
        let what = format!("one of {known:?}");
        self.field(name, &what, |value| known.contains(&value.as_str()?).then_some(()))
    }

    fn uuid_v4(&self, name: &str) -> Result<(), Abort> {
        self.field(name, "a UUIDv4", |value| is_uuid_v4(value.as_str()?).then_some(()))
    }

    fn timestamp(&self, name: &str) -> Result<(), Abort> {
        self.field(name, "an RFC 3339 time", |value| is_rfc3339(value.as_str()?).then_some(()))
    }
}

/// Does `text` look like `pattern`, where `h` is a hexadecimal digit, `d` a decimal one, and the rest itself?
fn looks_like(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, expected)| match expected {
            b'h' => byte.is_ascii_hexdigit(),
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn is_uuid_v4(text: &str) -> bool {
    looks_like(text, "hhhhhhhh-hhhh-4hhh-hhhh-hhhhhhhhhhhh")
        && text.as_bytes().get(19).is_some_and(|byte| b"89abAB".contains(byte))
}

/// The shape only: date, time, perhaps a fraction, `Z` or an offset.
fn is_rfc3339(text: &str) -> bool {
    let Some((second, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
    };
    looks_like(second, "dddd-dd-ddTdd:dd:dd")
        && (zone == "Z" || looks_like(zone, "+dd:dd") || looks_like(zone, "-dd:dd"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn grant() -> Value {
        json!({
            "type": "session_grant", "test_id": "0b6cfd5c-3f3d-4c62-9a4e-a4f0b1f9f6a1", "mode": "direct_ephemeral",
            "port": 4000, "token": "7f0c9d0e-6a52-4c0b-8f63-0f6a7f6f6b11", "expires_at": "2026-02-03T04:05:06.789Z",
            "duration_sec": 30,
        })
    }

    fn with(mut payload: Value, field: &str, value: Value) -> Value {
        payload[field] = value;
        payload
    }

    #[test]
    fn every_answer_of_the_table_is_understood() {
        let answers = [
            json!({"type": "server_hello", "version": "1.0", "features": ["throughput"], "network_position": null,
                "bytes_remaining": 7, "policy_summary": {"max_test_duration_sec": 60, "max_concurrent_tests": 1,
                "max_tests_per_hour": 10, "allowed_test_types": ["throughput", "udp_echo"]}}),
            grant(),
            json!({"type": "session_deny", "reason": "busy", "message": "wait", "retry_after_sec": 12}),
            json!({"type": "session_deny", "reason": "invalid_params", "message": "no", "retry_after_sec": null}),
            json!({"type": "status_snapshot", "endpoint_id": "PP-…", "uptime_sec": 5, "tests_today": 1,
                "bytes_today": 9, "active_test": {"test_id": "0b6cfd5c-3f3d-4c62-9a4e-a4f0b1f9f6a1",
                "test_type": "throughput", "peer_id": "PP-…", "started_at": "2026-02-03T04:05:06+00:00",
                "remaining_sec": 3}}),
            json!({"type": "path_meta", "cpu_load": 0.5, "memory_used_mb": 3, "memory_total_mb": 4,
                "load_avg": [0.1, 0.2, 1], "mtu": 1500, "time_synced": true, "build_version": "0.1.0",
                "build_hash": "abc"}),
            json!({"type": "pair_response", "success": false, "message": "no"}),
            json!({"type": "ok"}),
            json!({"type": "error", "code": 403, "message": "pair first"}),
        ];
        for answer in answers {
            assert_eq!(check(&answer), Ok(()), "{answer}");
        }
    }

    #[test]
    fn an_appliance_aborts_at_what_it_does_not_know() {
        let deny = json!({"type": "session_deny", "reason": "resource_exhausted", "message": "m"});
        let bad = [
            (json!({"type": "session_result"}), "unknown type \"session_result\""),
            (deny, "payload.reason: expected one of"),
            (with(grant(), "mode", json!("relayed")), "payload.mode: expected one of"),
            (with(grant(), "port", json!(65_536)), "payload.port: expected a whole number up to 65535"),
            (with(grant(), "port", json!("4000")), "payload.port: expected a whole number"),
            (with(grant(), "token", Value::Null), "payload.token: expected a string, found null"),
            (
                with(grant(), "test_id", json!("0b6cfd5c-3f3d-1c62-9a4e-a4f0b1f9f6a1")),
                "payload.test_id: expected a UUIDv4",
            ),
            (with(grant(), "expires_at", json!("tomorrow")), "payload.expires_at: expected an RFC 3339 time"),
            (json!({"type": "error", "code": -1, "message": "m"}), "payload.code: expected a whole number"),
            (json!({"type": "server_hello", "version": "1.0", "features": []}), "payload.policy_summary"),
            (json!([]), "payload is no object"),
        ];
        for (answer, complaint) in bad {
            let Err(Abort(text)) = check(&answer) else { panic!("accepted {answer}") };
            assert!(text.starts_with(complaint), "{text}");
        }
    }

    #[test]
    fn times_are_recognised_by_their_shape() {
        for good in ["2026-02-03T04:05:06Z", "2026-02-03T04:05:06.123456789Z", "2026-02-03T04:05:06.5+02:00"]
        {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in
            ["", "2026-02-03", "2026-02-03T04:05:06", "2026-02-03T04:05:06.Z", "2026-02-03T04:05:06 UTC"]
        {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }
}
