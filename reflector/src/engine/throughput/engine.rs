//! The engine as sessions see it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::engine::door::Doors;
use crate::engine::echo::Beside;
use crate::engine::echo::calm::Calm;
use crate::engine::site::Site;
use crate::engine::{BoxFuture, Ended, Engine, Placement, Prepare, PrepareError, Prepared, path};
use crate::link::message::{Mode, TestType};
use crate::session::SessionControl;

use super::arrivals::{Arrivals, ControlPort, DataPort};
use super::caps::Grant;
use super::listen;
use super::test::{self, Here};

/// UDP that we send when nobody knows how fast the interface is.
const UNKNOWN_LINK: u64 = 1_000_000_000;

/// Serves throughput tests. One for the process; clones share it.
#[derive(Debug, Clone)]
pub struct Throughput {
    site: Site,
    refused: Arc<AtomicU64>,
    /// Where in the range the search for a port begins: a port that was just used is the last choice.
    next: Arc<AtomicU16>,
    calm: Calm,
}

impl Throughput {
    /// On these ports.
    pub fn new(site: Site) -> Self {
        Self { site, refused: Arc::default(), next: Arc::default(), calm: Calm::default() }
    }

    /// Tells the echo of all sessions, which shares `calm`, when streams run.
    #[must_use]
    pub fn beside(self, calm: Calm) -> Self {
        Self { calm, ..self }
    }

    /// Connections and datagrams on data ports that were not of the granted peer.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn arrivals(&self, what: &Prepare) -> Result<(Arrivals, u16), PrepareError> {
        let exhausted = |error: std::io::Error| PrepareError::Exhausted(error.to_string());
        match what.placement {
            Placement::DataPort => {
                let skip = self.next.fetch_add(1, Ordering::Relaxed);
                let pair =
                    listen::first_free(what.local_addr, self.site.data_ports, skip).map_err(exhausted)?;
                let port = DataPort {
                    listener: pair.tcp,
                    udp: Some(pair.udp),
                    local: pair.local,
                    peer: what.peer_addr.to_canonical(),
                    refused: Arc::clone(&self.refused),
                    accepted: 0,
                    echo: None,
                };
                Ok((Arrivals::DataPort(port), pair.local.port()))
            }
            Placement::ControlPort => {
                let occupied = |error| PrepareError::Occupied(format!("{error}"));
                let door = self.site.doors.open(what.peer_addr.to_canonical(), what.peer, what.streams);
                let door = door.map_err(occupied)?;
                let port = self.site.control_port;
                let local = path::at(what.local_addr, port);
                Ok((Arrivals::ControlPort(ControlPort { door, local, echo: None }), port))
            }
            Placement::Tunneled => {
                Ok((Arrivals::Tunneled(self.site.tunnels.open(what), None), self.site.control_port))
            }
        }
    }
}

impl Engine for Throughput {
    fn test_type(&self) -> TestType {
        TestType::Throughput
    }

    fn prepare(&self, what: Prepare) -> BoxFuture<Result<Box<dyn Prepared>, PrepareError>> {
        let engine = self.clone();
        Box::pin(async move {
            let (arrivals, port) = engine.arrivals(&what)?;
            let grant = Grant {
                protocol: what.protocol,
                mode: what.placement.mode(),
                streams: what.streams,
                duration: what.duration,
                max_rate: what.max_rate,
                udp_send_rate: link_speed(what.local_addr),
            };
            let (doors, calm) = (engine.site.doors.clone(), engine.calm.clone());
            Ok(Box::new(Ready { arrivals, port, what, grant, doors, calm }) as Box<dyn Prepared>)
        })
    }
}

fn link_speed(local: IpAddr) -> u64 {
    path::link_speed(local).unwrap_or(UNKNOWN_LINK)
}

/// A port that is up.
struct Ready {
    arrivals: Arrivals,
    port: u16,
    what: Prepare,
    grant: Grant,
    doors: Doors,
    calm: Calm,
}

impl Prepared for Ready {
    fn port(&self) -> u16 {
        self.port
    }

    fn mode(&self) -> Mode {
        self.what.placement.mode()
    }

    fn run(self: Box<Self>, control: SessionControl) -> BoxFuture<Ended> {
        let Self { mut arrivals, what, grant, doors, calm, .. } = *self;
        let connect = arrivals.connect(&doors);
        arrivals.answer_echo(Beside::new(&what, control.meter(), calm.clone(), connect));
        let here = Here { local: what.local_addr, calm };
        Box::pin(test::serve(arrivals, grant, here, control))
    }
}
