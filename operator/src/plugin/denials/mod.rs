//! The last denials of a Reflector or a peer, from the logs of the pods concerned, with what to do.
//!
//! In: the lines of those logs, and what could not be read of them. Out: one entry per kind of denial, newest first. `read`
//! does the reading; the rest is pure.

mod read;

use std::collections::BTreeMap;

use crds::ReflectorPeer;
use crds::reasons::{Denial, DenialReason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::text::{ago, count, line, plain};

pub(super) use read::read;

/// Kinds of denials that are shown: what a person reads at one time. Test: `a_flood_is_told_in_a_few_lines_newest_first`.
const SHOWN: usize = 8;

/// What the logs told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Denials {
    /// Newest first.
    found: Vec<Told>,
    /// Kinds that are not shown.
    more: usize,
    /// What could not be looked at, and why.
    pub(super) unread: Vec<String>,
}

/// Denials of one kind: of one appliance, by one Reflector, for one reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// The last of them.
    at: Timestamp,
    times: u64,
    reflector: String,
    event: String,
    reason: String,
    /// What the appliance got of it.
    wire: Option<&'static str>,
    peer: Option<String>,
    endpoint_id: Option<String>,
    source: Option<String>,
    message: Option<String>,
    retry_after_sec: Option<u64>,
    explanation: Option<&'static str>,
    remedy: Option<&'static str>,
}

/// Whose denials are wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Whose {
    /// Everybody's.
    All,
    /// Those of a peer: by its name, since it was made, and by its Endpoint IDs.
    Peer { name: String, since: Option<Time>, ids: Vec<String> },
}

impl Whose {
    pub(super) fn of(peer: &ReflectorPeer) -> Self {
        let status = peer.status.clone().unwrap_or_default();
        let claimed = status.pairing.and_then(|pairing| pairing.endpoint_id);
        let ids = [peer.spec.endpoint_id.clone(), status.endpoint_id, claimed];
        let since = peer.metadata.creation_timestamp.clone();
        Self::Peer { name: peer.name_any(), since, ids: ids.into_iter().flatten().collect() }
    }

    fn are(&self, denial: &Denial) -> bool {
        match self {
            Self::All => true,
            Self::Peer { name, since, ids } => {
                let named = denial.peer.as_ref() == Some(name);
                // One of the same name that is gone had denials of its own.
                named && since.as_ref().is_none_or(|since| since.0 <= denial.at)
                    || denial.endpoint_id.as_ref().is_some_and(|id| ids.contains(id))
            }
        }
    }
}

impl Denials {
    /// The denials in these logs, each with the Reflector that wrote it.
    pub(super) fn of(whose: &Whose, logs: &[(String, String)]) -> Self {
        let mut kinds: BTreeMap<_, Told> = BTreeMap::new();
        for (reflector, text) in logs {
            for denial in text.lines().filter_map(Denial::on).filter(|denial| whose.are(denial)) {
                let who = denial.endpoint_id.clone().or_else(|| denial.source.clone());
                let kind = (reflector.clone(), denial.reason.clone(), denial.peer.clone(), who);
                let told = Told::new(reflector, denial);
                kinds.entry(kind).and_modify(|before| before.and(&told)).or_insert(told);
            }
        }
        let mut found: Vec<Told> = kinds.into_values().collect();
        found.sort_by_key(|told| std::cmp::Reverse(told.at));
        let more = found.len().saturating_sub(SHOWN);
        found.truncate(SHOWN);
        Self { found, more, unread: vec![] }
    }

    /// For programs.
    pub(super) fn into_json(self) -> Value {
        json!({ "denials": self.found, "moreDenials": self.more, "unread": self.unread })
    }

    pub(super) fn draw(&self, now: Timestamp) -> String {
        let mut out = String::new();
        if !self.found.is_empty() {
            line(&mut out, "Last denials:");
        }
        for told in &self.found {
            told.draw(now, &mut out);
        }
        if self.more > 0 {
            let more = i64::try_from(self.more).unwrap_or(i64::MAX);
            line(&mut out, &format!("  and {} before these.", count(more, "other kind")));
        }
        let lack = if self.is_empty() { "Who was denied lately" } else { "Who else was denied" };
        for unread in &self.unread {
            line(&mut out, &format!("  {lack} is not known: {}", plain(unread)));
        }
        out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl Told {
    fn new(reflector: &str, denial: Denial) -> Self {
        let known = denial.reason.parse::<DenialReason>().ok();
        Self {
            at: denial.at,
            times: denial.suppressed.saturating_add(1),
            reflector: reflector.to_owned(),
            event: denial.event,
            reason: denial.reason,
            wire: known.and_then(DenialReason::wire),
            peer: denial.peer,
            endpoint_id: denial.endpoint_id,
            source: denial.source,
            message: denial.message,
            retry_after_sec: denial.retry_after_sec,
            explanation: known.map(DenialReason::explanation),
            remedy: known.map(DenialReason::remedy),
        }
    }

    /// Another of the same kind: the newer one has the word.
    fn and(&mut self, other: &Self) {
        let times = self.times.saturating_add(other.times);
        if other.at >= self.at {
            *self = other.clone();
        }
        self.times = times;
    }

    fn draw(&self, now: Timestamp, out: &mut String) {
        let when = ago(Some(&Time(self.at)), now);
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        let how = match (self.wire, self.explanation) {
            (Some(wire), _) => format!(" ({wire})"),
            (None, Some(_)) => " (closed without a word)".to_owned(),
            (None, None) => String::new(),
        };
        line(out, &format!("- {when} ago{times}: {}{how}", plain(&self.reason)));
        let who = self.peer.as_deref().or(self.endpoint_id.as_deref()).unwrap_or("somebody");
        let from = self.source.as_deref().map(|source| format!(" from {source}")).unwrap_or_default();
        line(out, &plain(&format!("    {who}{from}, by {}", self.reflector)));
        line(
            out,
            &format!(
                "    {}",
                self.explanation.unwrap_or("This release of the plugin does not know the reason.")
            ),
        );
        if let Some(message) = self.message.as_ref().filter(|message| !message.is_empty()) {
            line(out, &format!("    It was told: {}", plain(message)));
        }
        if let Some(wait) = self.retry_after_sec {
            let seconds = i64::try_from(wait).unwrap_or(i64::MAX);
            line(out, &format!("    To come back after: {}", count(seconds, "second")));
        }
        if let Some(remedy) = self.remedy {
            line(out, &format!("    {remedy}"));
        }
    }
}

#[cfg(test)]
mod tests;
