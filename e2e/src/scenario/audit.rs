//! What accounts asked the API server, as it wrote it down itself; and asking the same again as somebody else.

use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result};
use kube::Client;
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;

use super::story::Scenario;

/// A request that was answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// `get`, `list`, `patch` and so on.
    pub verb: String,
    /// Path and parameters.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// About what; none, when it is about no resource.
    pub object_ref: Option<About>,
    /// What it sent, where it sent something.
    pub request_object: Option<Value>,
    user: User,
    response_status: Option<Answer>,
}

/// What a request is about.
#[derive(Debug, Clone, Deserialize)]
pub struct About {
    /// In the plural.
    pub resource: String,
    /// `status`, perhaps.
    pub subresource: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Answer {
    code: Option<u16>,
}

impl Scenario {
    /// All that an account of the scenario's namespace asked so far.
    pub fn asked_by(&self, account: &str) -> Result<Vec<Asked>> {
        let user = format!("system:serviceaccount:{}:{account}", self.namespace);
        let file = std::fs::File::open(self.bed.audit_log()).context("open the API server's audit log")?;
        let mut all = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.context("read the API server's audit log")?;
            if line.contains(&user) {
                let asked: Asked =
                    serde_json::from_str(&line).context("understand a line of the audit log")?;
                all.extend((asked.user.username == user).then_some(asked));
            }
        }
        Ok(all)
    }
}

impl Asked {
    /// The status of the answer.
    pub fn code(&self) -> u16 {
        self.response_status.as_ref().and_then(|answer| answer.code).unwrap_or(0)
    }

    /// As a role names it: `reflectors/status`.
    pub fn resource(&self) -> String {
        let Some(about) = &self.object_ref else { return String::new() };
        match &about.subresource {
            None => about.resource.clone(),
            Some(part) => format!("{}/{part}", about.resource),
        }
    }

    /// Asks the same, in another namespace and so that nothing is written. Says whether it was allowed, whatever else came of
    /// it.
    pub async fn is_allowed(&self, client: &Client, here: &str, there: &str) -> Result<bool> {
        let body = self.request_object.as_ref().map(ToString::to_string).unwrap_or_default();
        // The log does not have the type of a patch; only an applied object has all of its head.
        let whole = body.contains("\"apiVersion\"") && !self.resource().starts_with("events");
        let (method, kind) = match self.verb.as_str() {
            "get" | "list" | "watch" => ("GET", "application/json"),
            "create" => ("POST", "application/json"),
            "update" => ("PUT", "application/json"),
            "patch" if whole => ("PATCH", "application/apply-patch+yaml"),
            "patch" => ("PATCH", "application/merge-patch+json"),
            "delete" => ("DELETE", "application/json"),
            other => anyhow::bail!("nobody has said how to ask for {other}"),
        };
        let dry = if method == "GET" { "" } else { "dryRun=All" };
        let joint = if self.uri.contains('?') { "&" } else { "?" };
        let uri = format!("{}{joint}{dry}", self.uri).replace(here, there);
        let mut request = Request::new("").get("any", &kube::api::GetParams::default())?;
        *request.method_mut() = method.parse()?;
        *request.uri_mut() = uri.parse().with_context(|| format!("ask for {uri}"))?;
        request.headers_mut().insert("content-type", kind.parse()?);
        *request.body_mut() = body.replace(here, there).into_bytes();
        // A watch answers at once and goes on for ever: only the beginning is looked at.
        match client.request_stream(request).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) => Ok(status.code != 403),
            Err(error) => Err(error).with_context(|| format!("{method} {uri}")),
        }
    }
}
