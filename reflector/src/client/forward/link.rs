//! The control connection between tests: kept, because a download that follows an upload on the same connection is the
//! second half of one test; made anew when it is gone.

use crate::client::{Address, Link, LinkError};
use crate::identity::Current;
use crate::link::features::Feature;
use crate::link::message::{SessionGrant, SessionParams, TestType};

/// The reflector we forward to.
pub(super) struct Links<'a> {
    address: &'a Address,
    us: &'a Current,
    link: Option<Link>,
}

impl<'a> Links<'a> {
    /// With a first connection, which must know tunnels.
    pub(super) fn new(address: &'a Address, us: &'a Current, link: Link) -> Result<Self, LinkError> {
        knows_tunnels(&link)?;
        Ok(Self { address, us, link: Some(link) })
    }

    pub(super) const fn us(&self) -> &'a Current {
        self.us
    }

    /// Asks for a session. A connection that was closed while nothing ran is made again, once.
    pub(super) async fn request(
        &mut self,
        params: &SessionParams,
    ) -> Result<(SessionGrant, Link), LinkError> {
        if let Some(mut link) = self.link.take() {
            match link.request(TestType::Throughput, params.clone()).await {
                Ok(grant) => return Ok((grant, link)),
                Err(error) if error.leaves_the_link() => {
                    self.link = Some(link);
                    return Err(error);
                }
                Err(error) => tracing::debug!(%error, "the idle control connection is gone"),
            }
        }
        let mut link = Link::connect(self.address, self.us).await?;
        knows_tunnels(&link)?;
        match link.request(TestType::Throughput, params.clone()).await {
            Ok(grant) => Ok((grant, link)),
            Err(error) => {
                if error.leaves_the_link() {
                    self.link = Some(link);
                }
                Err(error)
            }
        }
    }

    /// Longest test this reflector grants, as far as we know: seconds.
    pub(super) fn longest(&self) -> Option<u64> {
        self.link.as_ref().map(|link| link.hello().policy_summary.max_test_duration_sec)
    }

    /// The connection of a test that is over, for the next one.
    pub(super) fn keep(&mut self, link: Link) {
        self.link = Some(link);
    }

    pub(super) async fn close(self) {
        if let Some(link) = self.link {
            link.close().await;
        }
    }
}

fn knows_tunnels(link: &Link) -> Result<(), LinkError> {
    if link.has(Feature::Tunnel) { Ok(()) } else { Err(LinkError::Feature("tunnel")) }
}
