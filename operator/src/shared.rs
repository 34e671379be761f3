//! What every controller is given.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::kinds::Kinds;
use crate::lease::Standing;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::watches::Warmth;
use crate::writing::{Recorder, Writer};

/// Clones share everything.
#[derive(Clone)]
pub(crate) struct Shared {
    /// For reading what no watch brings. Writing goes through `writer`.
    pub(crate) client: Client,
    pub(crate) settings: Arc<Settings>,
    pub(crate) kinds: Kinds,
    pub(crate) warmth: Warmth,
    pub(crate) writer: Writer,
    pub(crate) recorder: Recorder,
    pub(crate) standing: Standing,
    pub(crate) metrics: Metrics,
    /// Whoever runs for long ends when it is cancelled.
    pub(crate) stop: CancellationToken,
}

impl crate::admin::Health for Shared {
    fn cold(&self) -> Vec<String> {
        self.warmth.cold().iter().map(ToString::to_string).collect()
    }

    fn forbidden(&self) -> Vec<&'static str> {
        self.warmth.forbidden()
    }

    fn before_scrape(&self, metrics: &Metrics) {
        self.kinds.count(metrics);
    }
}
