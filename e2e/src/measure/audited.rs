//! Who asked the API server for what and how long it took there, from its audit log: it has what service accounts ask, which
//! are the operator and the pods.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Deserialize;

use super::scene::Scene;

/// The account of the operator.
pub(super) const OPERATOR: &str = "system:serviceaccount:reflector-system:reflector-operator";

/// The log from a moment on.
pub(super) struct Audited {
    path: PathBuf,
    from: u64,
}

/// Who, with which verb, what.
pub(super) type Asked = (String, String, String);

/// How many, and how long the server took for all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Took {
    pub(super) count: u32,
    pub(super) seconds: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<About>,
    request_received_timestamp: MicroTime,
    stage_timestamp: MicroTime,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct About {
    resource: String,
    subresource: Option<String>,
}

impl Audited {
    /// From now on.
    pub(super) fn new(scene: &Scene) -> Result<Self> {
        let path = scene.bed().audit_log();
        let from = std::fs::metadata(&path).context("find the audit log")?.len();
        Ok(Self { path, from })
    }

    /// What was answered until now. Watches, which are answered for hours, are left out.
    pub(super) fn until_now(&self) -> Result<BTreeMap<Asked, Took>> {
        let mut file = File::open(&self.path).context("open the audit log")?;
        file.seek(SeekFrom::Start(self.from)).context("read the audit log")?;
        tally(BufReader::new(file))
    }
}

fn tally(lines: impl BufRead) -> Result<BTreeMap<Asked, Took>> {
    let mut all = BTreeMap::<Asked, Took>::new();
    for line in lines.lines() {
        let line = line.context("read the audit log")?;
        // The last one may be half written.
        let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
        if line.verb == "watch" || line.stage != "ResponseComplete" {
            continue;
        }
        let what = line.object_ref.map_or_else(String::new, |about| match about.subresource {
            None => about.resource,
            Some(part) => format!("{}/{part}", about.resource),
        });
        let took = all.entry((line.user.username, line.verb, what)).or_default();
        took.count += 1;
        took.seconds +=
            line.stage_timestamp.0.duration_since(line.request_received_timestamp.0).as_secs_f64();
    }
    Ok(all)
}

/// Whether a verb writes.
pub(super) fn writes(verb: &str) -> bool {
    ["create", "update", "patch", "delete", "deletecollection"].contains(&verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_who_asked_what_and_watches_are_not() {
        let line = |verb: &str, part: &str, stage: &str, end: &str| {
            format!(
                r#"{{"stage":"{stage}","verb":"{verb}","user":{{"username":"u"}},"objectRef":{{"resource":"reflectors"{part}}},"requestReceivedTimestamp":"2026-01-02T03:04:05.000000Z","stageTimestamp":"2026-01-02T03:04:05.{end}Z"}}"#
            )
        };
        let status = r#","subresource":"status""#;
        let log = [
            line("patch", status, "ResponseComplete", "250000"),
            line("patch", status, "ResponseComplete", "500000"),
            line("get", "", "ResponseComplete", "125000"),
            line("watch", "", "ResponseComplete", "900000"),
            line("list", "", "ResponseStarted", "900000"),
            "{\"stage\":".to_owned(),
        ]
        .join("\n");
        let found = tally(log.as_bytes()).unwrap();
        let key = |verb: &str, what: &str| ("u".to_owned(), verb.to_owned(), what.to_owned());
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [
                (key("get", "reflectors"), Took { count: 1, seconds: 0.125 }),
                (key("patch", "reflectors/status"), Took { count: 2, seconds: 0.75 }),
            ]
        );
        assert!(writes("patch") && !writes("list"));
    }
}
