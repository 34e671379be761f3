//! Sends one report to the API server, with a deadline, and says in our words what came of it.

use std::fmt;
use std::time::Duration;

use kube::Client;
use kube::api::{Patch, PatchParams, Request};
use serde_json::Value;
use tokio::time::timeout;

use super::patch;
use super::subject::{Report, Subject};
use super::trouble::{Answer, Trouble};

/// How long the API server may take for one write. Test: `a_server_that_never_answers_is_away`.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Whose pod this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it and its peers are.
    pub namespace: String,
    /// The name of its Reflector.
    pub reflector: String,
}

/// Writes status. Made once, with the client of the pod's account.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    target: Target,
    manager: String,
}

/// A write that did not happen, or that nobody confirmed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("write the status of {subject}: {words}")]
pub struct Failed {
    /// What follows from it.
    pub trouble: Trouble,
    subject: Subject,
    words: String,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Sender {
    /// With the pod's client.
    pub fn new(client: Client, target: Target) -> Self {
        let manager = patch::manager(&target.reflector);
        Self { client, target, manager }
    }

    /// Applies a report. When the deadline passes the write may have happened all the same: the next one repeats it.
    pub async fn send(&self, subject: &Subject, report: &Report) -> Result<(), Failed> {
        let failed = |trouble, words: String| Failed { trouble, subject: subject.clone(), words };
        let (plural, name) = match subject {
            Subject::Own { .. } => ("reflectors", &*self.target.reflector),
            Subject::Peer { name, .. } => ("reflectorpeers", &**name),
        };
        let url = format!("/apis/{}/namespaces/{}/{plural}", patch::API_VERSION, self.target.namespace);
        let body = patch::body(subject, report, &self.target.reflector);
        // By force: these fields are ours by admission, whoever edited them by hand.
        let parameters = PatchParams::apply(&self.manager).force();
        let request = Request::new(url)
            .patch_subresource("status", name, &parameters, &Patch::Apply(body))
            .map_err(|error| failed(Trouble::Refused, error.to_string()))?;
        match timeout(DEADLINE, self.client.request::<Value>(request)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(kube::Error::Api(status))) => {
                let answer = Answer { code: status.code, message: &status.message };
                Err(failed(Trouble::of(answer), status.message.clone()))
            }
            Ok(Err(error)) => Err(failed(Trouble::Away, chain(&error))),
            Err(_) => {
                let words = format!("no answer from the API server within {} s", DEADLINE.as_secs());
                Err(failed(Trouble::Away, words))
            }
        }
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !line.contains(&cause_words) {
            line = format!("{line}: {cause_words}");
        }
        source = cause.source();
    }
    line
}
