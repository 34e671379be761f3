//! An appliance's speed test: upload, then download, on one connection.
//!
//! In: an open connection and whoever moves the bytes. Out: both grants and what the mover returned. Between the halves
//! nothing is sent and nothing is awaited: the second request follows directly on the end of the first transfer.

use super::answer::Grant;
use super::connection::Connection;
use super::error::Error;
use super::request::Test;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The client sends.
    Upload,
    /// The server sends.
    Download,
}

/// Both halves of a speed test.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedTest<T> {
    /// The first grant and what came of it.
    pub upload: (Grant, T),
    /// The second grant and what came of it.
    pub download: (Grant, T),
}

impl Connection {
    /// Two TCP sessions of `seconds` with 4 streams, back to back. `run` moves the data of each; appliances call iperf3
    /// there. A denial ends the test with [`Error::Denied`].
    pub async fn speed_test<T>(
        &mut self,
        seconds: u64,
        run: impl AsyncFn(Grant, Direction) -> T,
    ) -> Result<SpeedTest<T>, Error> {
        let grant = self.request(&Test::throughput(seconds)).await?.granted()?;
        let upload = (grant.clone(), run(grant, Direction::Upload).await);
        let grant = self.request(&Test::throughput(seconds).download()).await?.granted()?;
        let download = (grant.clone(), run(grant, Direction::Download).await);
        Ok(SpeedTest { upload, download })
    }
}
