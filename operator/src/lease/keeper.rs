//! Reads and writes the Lease as the election says.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::election::{Election, Record, Seen, Step, TERM, Wrote};
use super::standing::Standing;
use crate::clock;
use crate::metrics::{Kind, Metrics, Verb};

/// kube tries again for minutes by default; a renewal that late helps nobody.
const DEADLINE: Duration = Duration::from_secs(8);

/// The election ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Somebody else has the Lease, or it could not be renewed in time.
    #[error("lost the Lease; this operator stops, and starts again as a standby")]
    Lost,
}

/// Which Lease.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Unique to this process.
    pub(crate) me: String,
}

/// Takes part in the election. Owned by one task; its end is the end of the election.
pub(crate) struct Keeper {
    api: Api<Lease>,
    place: Place,
    election: Election,
    until: watch::Sender<Option<u64>>,
    metrics: Metrics,
}

impl Keeper {
    pub(crate) fn new(client: Client, place: Place, metrics: Metrics) -> (Self, Standing) {
        let (until, standing) = watch::channel(None);
        let api = Api::namespaced(client, &place.namespace);
        let election = Election::new(place.me.clone());
        (Self { api, place, election, until, metrics }, Standing::new(standing))
    }

    /// Until the Lease is lost, or `stop`: then it is given up.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let ended = stop.run_until_cancelled(self.campaign()).await;
        self.publish(None);
        if let Some(error) = ended {
            return Err(error);
        }
        self.release().await;
        Ok(())
    }

    async fn campaign(&mut self) -> Error {
        loop {
            let now = clock::now();
            match self.election.next(now) {
                Step::Lost => return Error::Lost,
                Step::Wait(until) => wait(until.saturating_sub(now.mono_ms)).await,
                Step::Read => self.read().await,
                Step::Create(record) => {
                    let lease = lease(&self.place, None, &record);
                    let params = PostParams::default();
                    let sent = self.api.create(&params, &lease);
                    let wrote = outcome(tokio::time::timeout(DEADLINE, sent).await);
                    self.wrote(Verb::Create, wrote, now.mono_ms);
                }
                Step::Replace(version, record) => {
                    let wrote = self.replace(version, &record).await;
                    self.wrote(Verb::Update, wrote, now.mono_ms);
                }
            }
        }
    }

    async fn read(&mut self) {
        let found = tokio::time::timeout(DEADLINE, self.api.get_opt(&self.place.name)).await;
        let now = clock::now();
        match found {
            Ok(Ok(found)) => self.election.read(found.as_ref().map(seen), now),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "read the Lease");
                self.election.read_failed(now);
            }
            Err(_) => {
                tracing::warn!("read the Lease: no answer");
                self.election.read_failed(now);
            }
        }
    }

    async fn replace(&self, version: String, record: &Record) -> Wrote {
        let lease = lease(&self.place, Some(version), record);
        let params = PostParams::default();
        let sent = self.api.replace(&self.place.name, &params, &lease);
        outcome(tokio::time::timeout(DEADLINE, sent).await)
    }

    fn wrote(&mut self, verb: Verb, wrote: Wrote, sent: u64) {
        self.metrics.api_write(Kind::Lease, verb);
        let before = self.election.writes_until();
        self.election.wrote(wrote, sent, clock::now());
        let until = self.election.writes_until();
        if before.is_none() && until.is_some() {
            tracing::info!(lease = self.place.name, me = self.place.me, "holds the Lease");
        }
        self.publish(until);
    }

    fn publish(&self, until: Option<u64>) {
        self.metrics.lease_held(until.is_some());
        self.until.send_replace(until);
    }

    /// Best effort: when it fails the others wait for the term to end.
    async fn release(&mut self) {
        if let Some((version, record)) = self.election.release(clock::now()) {
            self.metrics.api_write(Kind::Lease, Verb::Update);
            let wrote = self.replace(version, &record).await;
            tracing::info!(lease = self.place.name, released = matches!(wrote, Wrote::Done(_)), "stops");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the election's own pace; nothing announces the next renewal")]
async fn wait(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

fn outcome(answer: Result<kube::Result<Lease>, tokio::time::error::Elapsed>) -> Wrote {
    match answer {
        Ok(Ok(lease)) => Wrote::Done(seen(&lease)),
        // 409 is both: made by somebody else, and changed by somebody else.
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Wrote::Conflict,
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "write the Lease");
            Wrote::Failed
        }
        Err(_) => {
            tracing::warn!("write the Lease: no answer");
            Wrote::Failed
        }
    }
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let term = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let epoch = jiff::Timestamp::UNIX_EPOCH;
    Seen {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        record: Record {
            holder: spec.holder_identity.unwrap_or_default(),
            term: term.map_or(TERM, Duration::from_secs),
            transitions: spec.lease_transitions.unwrap_or_default(),
            acquired: spec.acquire_time.map_or(epoch, |time| time.0),
            renewed: spec.renew_time.map_or(epoch, |time| time.0),
        },
    }
}

fn lease(place: &Place, version: Option<String>, record: &Record) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(place.name.clone()),
            namespace: Some(place.namespace.clone()),
            resource_version: version,
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            acquire_time: Some(MicroTime(record.acquired)),
            // An empty holder is refused by the API server; none is how a Lease is given up.
            holder_identity: Some(record.holder.clone()).filter(|holder| !holder.is_empty()),
            lease_duration_seconds: i32::try_from(record.term.as_secs()).ok(),
            lease_transitions: Some(record.transitions),
            renew_time: Some(MicroTime(record.renewed)),
            ..LeaseSpec::default()
        }),
    }
}
