//! The engines of this build, placed.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::echo::EchoEngine;
use crate::engine::echo::calm::Calm;
use crate::engine::site::Site;
use crate::engine::throughput::Throughput;
use crate::link::features::{Feature, Features};
use crate::link::message::TestType;

use super::tallies::Refused;

/// What moves the bytes.
#[derive(Clone, Default)]
pub enum Engines {
    /// The ones that are shipped.
    #[default]
    Shipped,
    /// Others instead: what tests and demonstrations run.
    Instead(Vec<Arc<dyn Engine>>),
}

/// Engines that know their ports.
pub(super) struct Placed {
    pub(super) engines: Vec<Arc<dyn Engine>>,
    pub(super) refused: Refused,
}

/// Extensions of the link itself, whatever the engines.
const LINK: Features = Features::of(&[
    Feature::Throughput,
    Feature::UdpEcho,
    Feature::Results,
    Feature::ResourceExhausted,
    Feature::Succession,
]);

/// What the shipped engines add.
const SHIPPED: Features = LINK.and(Features::of(&[Feature::Tunnel, Feature::EchoToken]));

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shipped => f.write_str("Shipped"),
            Self::Instead(engines) => write!(f, "Instead({})", engines.len()),
        }
    }
}

impl Engines {
    /// Whether tests of this type can be run at all.
    pub fn serve(&self, test_type: TestType) -> bool {
        match self {
            Self::Shipped => true,
            Self::Instead(engines) => engines.iter().any(|engine| engine.test_type() == test_type),
        }
    }

    /// Extensions this program really has.
    pub(super) const fn features(&self) -> Features {
        match self {
            Self::Shipped => SHIPPED,
            Self::Instead(_) => LINK,
        }
    }

    /// With the ports they may use.
    pub(super) fn at(self, site: &Site) -> Placed {
        match self {
            Self::Shipped => {
                // Echo spins for exact times only while no stream wants the core.
                let calm = Calm::default();
                let throughput = Throughput::new(site.clone()).beside(calm.clone());
                let counted = throughput.clone();
                let echo = EchoEngine::new(site.clone(), calm);
                Placed {
                    engines: vec![Arc::new(throughput), Arc::new(echo)],
                    refused: Box::new(move || counted.refused()),
                }
            }
            Self::Instead(engines) => Placed { engines, refused: Box::new(|| 0) },
        }
    }
}
