//! What has been written through the API server so far: of which kind, by its own metric, and by whom, by its audit log. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// Verbs that write, as the metric and as the audit log name them.
const IN_METRIC: [&str; 5] = ["APPLY", "PATCH", "POST", "PUT", "DELETE"];
const IN_LOG: [&str; 4] = ["create", "update", "patch", "delete"];

/// How often something was written since the API server started.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Tally(BTreeMap<String, f64>);

impl Tally {
    /// Writes to our kinds by whoever it was: `reflectorpeers/status` and the like. Those that were refused wrote nothing.
    pub(super) fn of_metric(page: &str) -> Self {
        let mut tally = Self::default();
        for line in page.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let Some((labels, count)) = line.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                let (_, after) = labels.split_once(&format!("{name}=\""))?;
                after.split_once('"').map(|(value, _)| value)
            };
            let written = label("group") == Some("packetparamedic.io")
                && label("code").is_some_and(|code| code.starts_with('2'))
                && label("verb").is_some_and(|verb| IN_METRIC.contains(&verb));
            if let (true, Some(resource), Ok(count)) =
                (written, label("resource"), count.trim().parse::<f64>())
            {
                tally.add(&kind(resource, label("subresource").unwrap_or_default()), count);
            }
        }
        tally
    }

    /// Writes of any kind by accounts of these namespaces: `the operator` for the first, `the pods` for the second.
    pub(super) fn of_log(lines: &str, operator: &str, pods: &str) -> Self {
        let mut tally = Self::default();
        for line in lines.lines() {
            let Ok(asked) = serde_json::from_str::<Value>(line) else { continue };
            let text = |at: &str| asked.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let code = asked["responseStatus"]["code"].as_u64().unwrap_or_default();
            if !IN_LOG.contains(&text("/verb")) || !(200..300).contains(&code) {
                continue;
            }
            let account = text("/user/username").strip_prefix("system:serviceaccount:");
            let who = match account.and_then(|account| account.split_once(':')) {
                Some((namespace, _)) if namespace == operator => "the operator",
                Some((namespace, _)) if namespace == pods => "the pods",
                _ => continue,
            };
            let what = kind(text("/objectRef/resource"), text("/objectRef/subresource"));
            tally.add(&format!("{who}: {what}"), 1.0);
        }
        tally
    }

    /// All that came since.
    pub(super) fn since(&self, before: &Self) -> Self {
        let grown = self.0.iter().map(|(what, now)| (what.clone(), now - before.of(what)));
        Self(grown.filter(|(_, more)| *more > 0.0).collect())
    }

    pub(super) fn total(&self) -> f64 {
        // An empty sum of floats is -0, and would be shown so.
        self.0.values().fold(0.0, |sum, count| sum + count)
    }

    /// Of one thing.
    pub(super) fn of(&self, what: &str) -> f64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// What there is.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn add(&mut self, what: &str, count: f64) {
        *self.0.entry(what.to_owned()).or_default() += count;
    }
}

fn kind(resource: &str, part: &str) -> String {
    if part.is_empty() { resource.to_owned() } else { format!("{resource}/{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(code: u16, group: &str, verb: &str, part: &str, count: u16) -> String {
        format!(
            "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"\",group=\"{group}\",\
             resource=\"reflectorpeers\",scope=\"resource\",subresource=\"{part}\",verb=\"{verb}\",\
             version=\"v1alpha1\"}} {count}\n"
        )
    }

    #[test]
    fn only_what_was_written_to_our_kinds_counts() {
        let ours = "packetparamedic.io";
        let page = [
            sample(200, ours, "APPLY", "status", 3),
            sample(201, ours, "PATCH", "status", 4),
            sample(200, ours, "PUT", "", 5),
            sample(409, ours, "PUT", "", 100),
            sample(200, ours, "GET", "", 200),
            sample(200, "apps", "PUT", "", 400),
        ]
        .concat();
        let tally = Tally::of_metric(&page);
        assert_eq!(tally.names().collect::<Vec<_>>(), ["reflectorpeers", "reflectorpeers/status"]);
        assert!((tally.of("reflectorpeers/status") - 7.0).abs() < 0.1 && (tally.total() - 12.0).abs() < 0.1);
        let more = Tally::of_metric(&(page + &sample(200, ours, "DELETE", "", 2))).since(&tally);
        assert_eq!(
            (more.names().collect::<Vec<_>>(), more.total().to_string()),
            (vec!["reflectorpeers"], "2".into())
        );
    }

    #[test]
    fn a_write_is_told_by_whom_and_of_what() {
        let line = |verb: &str, code: u16, who: &str| {
            format!(
                "{{\"verb\":\"{verb}\",\"user\":{{\"username\":\"system:serviceaccount:{who}\"}},\
                 \"objectRef\":{{\"resource\":\"events\"}},\"responseStatus\":{{\"code\":{code}}}}}\n"
            )
        };
        let lines = [
            line("patch", 200, "sys:op"),
            line("create", 201, "ours:rfl-a"),
            line("create", 201, "ours:rfl-b"),
            line("create", 403, "ours:rfl-b"),
            line("watch", 200, "ours:rfl-b"),
            line("patch", 200, "else:op"),
        ];
        let tally = Tally::of_log(&(lines.concat() + "{ cut off"), "sys", "ours");
        let names: Vec<&str> = tally.names().collect();
        assert_eq!(names, ["the operator: events", "the pods: events"]);
        assert!((tally.of("the pods: events") - 2.0).abs() < 0.1);
    }
}
