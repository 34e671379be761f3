//! The engines of this build, placed.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::site::Site;
use crate::link::message::TestType;

/// What moves the bytes.
#[derive(Clone, Default)]
pub enum Engines {
    /// The ones that are shipped.
    #[default]
    Shipped,
    /// Others instead: what tests and demonstrations run.
    Instead(Vec<Arc<dyn Engine>>),
}

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
            Self::Shipped => false,
            Self::Instead(engines) => engines.iter().any(|engine| engine.test_type() == test_type),
        }
    }

    /// With the ports they may use.
    pub(super) fn at(self, _site: &Site) -> Vec<Arc<dyn Engine>> {
        match self {
            Self::Shipped => Vec::new(),
            Self::Instead(engines) => engines,
        }
    }
}
