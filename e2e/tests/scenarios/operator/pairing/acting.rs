//! The person who asks for a code and reads it, the pod that saw it, and whoever watches.

use anyhow::{Context as _, Result, ensure};
use crds::pairing::{Code, SecretKey, Statement, memory};
use crds::peer::{PairingState, ReflectorPeerStatus};
use crds::{EndpointId, Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, wait_until};
use futures_util::TryStreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

fn peer(name: &str, more: &Value) -> Result<ReflectorPeer> {
    let mut spec = json!({ "reflectorRef": { "kind": "Reflector", "name": "attic" } });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let object = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorPeer",
        "metadata": { "name": name },
        "spec": spec,
    });
    serde_json::from_value(object).context("read the peer")
}

pub(in super::super) async fn create_peer(
    story: &Scenario,
    name: &str,
    more: &Value,
) -> Result<ReflectorPeer> {
    let peers = story.api::<ReflectorPeer>();
    peers.create(&PostParams::default(), &peer(name, more)?).await.context("create the peer")
}

/// Waits, through a watch, until a peer's status is as it should be.
pub(in super::super) async fn until(
    story: &Scenario,
    name: &str,
    what: &str,
    is_so: impl Fn(&ReflectorPeerStatus) -> bool,
) -> Result<ReflectorPeer> {
    let peers = story.api::<ReflectorPeer>();
    let seen = async {
        loop {
            let now = peers.get(name).await?;
            if now.status.as_ref().is_some_and(&is_so) {
                return Ok(now);
            }
            let only = WatchParams::default().fields(&format!("metadata.name={name}"));
            let version = now.resource_version().unwrap_or_default();
            let mut events = Box::pin(peers.watch(&only, &version).await?);
            while let Some(event) = events.try_next().await? {
                if let WatchEvent::Modified(peer) = event
                    && peer.status.as_ref().is_some_and(&is_so)
                {
                    return Ok::<_, kube::Error>(peer);
                }
            }
        }
    };
    if let Ok(seen) = timeout(MINUTE, seen).await {
        return seen.with_context(|| format!("watch until {name} is {what}"));
    }
    let last = peers.get(name).await?.status;
    anyhow::bail!("waited until {name} is {what}; its status: {last:?}")
}

pub(in super::super) fn is_in(status: &ReflectorPeerStatus, state: &PairingState) -> bool {
    status.pairing.as_ref().and_then(|pairing| pairing.state.as_ref()) == Some(state)
}

pub(in super::super) fn is_waiting(status: &ReflectorPeerStatus) -> bool {
    is_in(status, &PairingState::Waiting)
}

pub(in super::super) fn says(status: &ReflectorPeerStatus, type_: &str, reason: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == type_ && condition.reason == reason)
}

pub(in super::super) fn secret_of(peer: &ReflectorPeer) -> Result<String> {
    let pairing = peer.status.as_ref().and_then(|status| status.pairing.as_ref());
    pairing.and_then(|pairing| pairing.secret.clone()).context("its status names no Secret")
}

/// What a person reads in a Secret.
pub(in super::super) async fn read(story: &Scenario, name: &str, key: &str) -> Result<String> {
    let secret = story.api::<Secret>().get(name).await.with_context(|| format!("read Secret {name}"))?;
    let value =
        secret.data.unwrap_or_default().remove(key).with_context(|| format!("{name} has no {key}"))?;
    String::from_utf8(value.0).context("read it as text")
}

pub(in super::super) async fn gone(story: &Scenario, name: &str) -> Result<()> {
    let secrets = story.api::<Secret>();
    wait_until(&format!("Secret {name} is gone"), MINUTE, async || {
        ensure!(secrets.get_opt(name).await?.is_none(), "it is there");
        Ok(())
    })
    .await
}

/// The pod of a reflector.
pub(in super::super) struct Pod<'a> {
    pub(super) story: &'a Scenario,
    pub(super) reflector: &'a str,
    /// uid of the object its peers name.
    pub(super) salt: String,
}

impl<'a> Pod<'a> {
    /// Of attic, which its peers name.
    pub(in super::super) async fn attic(story: &'a Scenario) -> Result<Self> {
        let salt = story.api::<Reflector>().get("attic").await?.uid().context("its uid")?;
        Ok(Self { story, reflector: "attic", salt })
    }

    /// Writes what it would write when this appliance presented this code.
    pub(in super::super) async fn claims(
        &self,
        peer: &ReflectorPeer,
        code: &str,
        id: EndpointId,
    ) -> Result<()> {
        let code = Code::parse(code).context("that is no code")?;
        let key = SecretKey::derive(&code, &self.salt, &mut memory())?;
        let uid = peer.uid().context("its uid")?;
        let proof = key.prove(&Statement { peer_uid: &uid, reflector: self.reflector, endpoint_id: id });
        let claim = json!({ "endpointId": id, "from": "192.0.2.9", "proof": proof });
        self.says(&peer.name_any(), &json!({ "claim": claim })).await
    }

    /// Writes its part of its entry.
    pub(in super::super) async fn says(&self, peer: &str, entry: &Value) -> Result<()> {
        let mut entry = entry.clone();
        entry["name"] = json!(self.reflector);
        let status = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "ReflectorPeer",
            "metadata": { "name": peer },
            "status": { "reflectors": [entry] },
        });
        let parameters = PatchParams::apply(&format!("rfl-{}", self.reflector)).force();
        let peers = self.story.api::<ReflectorPeer>();
        peers.patch_status(peer, &parameters, &Patch::Apply(&status)).await.context("write as the pod")?;
        Ok(())
    }
}

pub(in super::super) async fn told(story: &Scenario, about: &str, reason: &str) -> Result<()> {
    let events: Api<Event> = story.api();
    wait_until(&format!("{reason} is told of {about}"), MINUTE, async || {
        let all = events.list(&ListParams::default()).await?;
        let count = all
            .iter()
            .filter(|event| event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(about))
            .filter(|event| event.reason.as_deref() == Some(reason))
            .count();
        ensure!(count == 1, "{count} events");
        Ok(())
    })
    .await
}

pub(in super::super) fn appliance(byte: u8) -> EndpointId {
    EndpointId::from_public_key([byte; 32])
}
