//! From the rooms of the process to the pod's side of the cluster.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use tokio::sync::watch;

use crate::cluster::status::Hardware;
use crate::daemon::feeder::InCluster;
use crate::daemon::wire::{Rooms, Wired};
use crate::identity::{Current, Identity};
use crate::selfconnect::{Caller, Reached};

use super::{Pod, Surveyor};

impl Pod {
    /// `listen` is where the control port is bound. `None`: these rooms are of no cluster.
    pub(in crate::daemon) fn of(
        here: InCluster,
        rooms: &Rooms,
        wired: &Wired,
        accepting: &Arc<AtomicBool>,
        (listen, state_dir): (SocketAddr, &Path),
    ) -> Result<Option<Self>> {
        let parts = wired.cluster.clone().zip(wired.witness.clone()).zip(wired.codes.clone());
        let Some(((held, witness), codes)) = parts else { return Ok(None) };
        // Made anew by each process, and known to it alone.
        let us = Identity::generate().context("make a key to connect to ourselves")?;
        let us = Current::new(us, None, rooms.started.wall)?;
        wired.server.expect_itself(us.identity.id());
        let reached = watch::Sender::new(Reached::Untried);
        let hardware = watch::Sender::new(Hardware::untested());
        Ok(Some(Self {
            rooms: super::Rooms {
                own: here.own,
                held: held.clone(),
                codes,
                access: rooms.access.clone(),
                ledger: rooms.ledger.clone(),
                audit: rooms.audit.clone(),
                server: wired.server.clone(),
                sessions: wired.sessions.clone(),
                identity: wired.identity.subscribe(),
                witness,
                position: rooms.position.as_str(),
                accepting: Arc::clone(accepting),
                reached: reached.subscribe(),
                hardware: hardware.subscribe(),
            },
            client: here.client,
            metrics: rooms.metrics.clone(),
            caller: Caller {
                us,
                listen,
                identity: wired.identity.subscribe(),
                access: rooms.access.clone(),
                phase: wired.server.phase(),
            },
            reached,
            surveyor: Surveyor {
                held,
                sessions: wired.sessions.clone(),
                phase: wired.server.phase(),
                metrics: rooms.metrics.clone(),
                state_dir: state_dir.to_owned(),
                started: rooms.started.wall,
            },
            hardware,
        }))
    }
}
