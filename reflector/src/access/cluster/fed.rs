//! A feeder that a test tells what the API server says, in place of its watches.

use std::sync::Arc;

use kube::{Client, Config};
use serde_json::{Value, json};

use crate::access::fixtures::{self, PeerBuilder};
use crate::access::{Access, Settings as AccessSettings};
use crate::clock::Now;
use crate::cluster::{Fleet, Own, Pod};

use super::feeder::{Cluster, Handle, Settings};
use super::held::News;
use super::objects::Watched;
use super::watch::Told;

/// The feeder and what it feeds. Its time stands still.
pub(crate) struct Fed {
    pub(crate) own: Own,
    pub(crate) handle: Handle,
    pub(crate) access: Access,
    feeder: Cluster,
}

/// When everything happens.
pub(crate) fn now() -> Now {
    fixtures::at(1_000)
}

impl Fed {
    /// Attic of the fleet homes, and no peers yet. Needs a runtime.
    pub(crate) fn attic() -> Self {
        let own = Own {
            name: fixtures::NAME.to_owned(),
            namespace: "reflectors".to_owned(),
            uid: Some("uid-attic".to_owned()),
            fleet: Some(Fleet { name: "homes".to_owned(), uid: "uid-homes".to_owned() }),
            pod: Pod { uid: Some("pod-1".to_owned()), ..Pod::default() },
        };
        let reflector = fixtures::reflector();
        let settings = AccessSettings {
            reflector: reflector.clone(),
            authorized_peers: Vec::new(),
            offline_grace: std::time::Duration::from_secs(60),
        };
        let access = Access::new(settings, Arc::new(now));
        // Another test may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let nobody = Config::new("http://127.0.0.1:1".parse().unwrap());
        let (handle, feeder) = Cluster::new(Settings {
            own: own.clone(),
            client: Client::try_from(nobody).unwrap(),
            access: access.clone(),
            base: reflector,
            state_dir: std::env::temp_dir(),
            clock: Arc::new(now),
            synchronised: || true,
            heard: Box::new(|| ()),
        });
        let fed = Self { own, handle, access, feeder };
        let attic = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "Reflector",
            "metadata": { "name": "attic", "namespace": "reflectors", "uid": "uid-attic", "generation": 3 },
            "spec": {},
        });
        fed.hear(Watched::Own, News::Listed(vec![attic]));
        fed.hear(Watched::Peers, News::Listed(Vec::new()));
        fed.hear(Watched::FleetPeers, News::Listed(Vec::new()));
        for watched in [Watched::Own, Watched::Peers, Watched::FleetPeers] {
            fed.hear(watched, News::Stands);
        }
        fed
    }

    /// A peer of attic is so now. Its uid is `u-` and its name.
    pub(crate) fn peer(&self, peer: &PeerBuilder, status: &Value) {
        self.hear(Watched::Peers, News::Changed(object(peer, status)));
    }

    /// A peer of the fleet is so now.
    pub(crate) fn fleet_peer(&self, peer: &PeerBuilder, status: &Value) {
        let peer = peer.clone().reference("ReflectorFleet", "homes");
        self.hear(Watched::FleetPeers, News::Changed(object(&peer, status)));
    }

    fn hear(&self, watched: Watched, news: News) {
        self.feeder.hear(Told { watched, news, received_mono_ms: now().mono_ms });
    }
}

fn object(peer: &PeerBuilder, status: &Value) -> Value {
    let mut object = peer.json();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    object["metadata"] = json!({ "name": name, "namespace": "reflectors", "uid": format!("u-{name}"),
        "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z" });
    object["status"] = status.clone();
    object
}
