//! A download as stock iperf3 asks for it with `-R -P 1`, for whoever wants to see it cut. It measures nothing itself.
//!
//! In: a grant. Out: bytes that flow, and the moments when the other side closed its two sockets.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::appliance::Grant;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// 36 symbols of iperf3's and a NUL. One test runs at a time: it need not be another each time.
const COOKIE: &[u8; 37] = b"reflectorsaremeasuredhereagainandaga\0";
/// States that the server goes through until bytes flow: it asks for parameters, for streams, starts, runs.
const ASKED: u8 = 9;
const STREAMS: u8 = 10;
const STARTED: u8 = 1;
const RUNNING: u8 = 2;
/// Longer than any test runs here.
const SECONDS: u32 = 60;
/// Until it runs, or until it is seen to be cut.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that runs.
pub(super) struct Download {
    control: TcpStream,
    data: TcpStream,
}

impl Download {
    /// Starts it, and reads until this many bytes have come.
    pub(super) async fn begin(grant: &Grant, bytes: u64) -> Result<Self> {
        let beginning = async {
            let mut control = dial(grant).await?;
            expect(&mut control, ASKED).await?;
            control.write_all(&parameters()?).await.context("say what is measured")?;
            expect(&mut control, STREAMS).await?;
            let mut data = dial(grant).await?;
            expect(&mut control, STARTED).await?;
            expect(&mut control, RUNNING).await?;
            let mut left = bytes;
            let mut piece = vec![0; 1 << 16];
            while left > 0 {
                let count = data.read(&mut piece).await.context("read data")?;
                ensure!(count > 0, "the data ended by itself");
                left = left.saturating_sub(u64::try_from(count)?);
            }
            Ok(Self { control, data })
        };
        timeout(PATIENCE, beginning).await.context("no bytes move")?
    }

    /// Reads on; when its data socket was closed, and its control socket.
    pub(super) async fn closed(mut self) -> Result<(Instant, Instant)> {
        let both = async { tokio::join!(end(&mut self.data), end(&mut self.control)) };
        timeout(PATIENCE, both).await.context("it is not cut")
    }
}

async fn dial(grant: &Grant) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(grant.data_addr()).await.context("connect to the granted port")?;
    stream.set_nodelay(true).context("send at once")?;
    stream.write_all(COOKIE).await.context("send the cookie")?;
    Ok(stream)
}

/// Its length, and JSON.
fn parameters() -> Result<Vec<u8>> {
    let text =
        json!({ "tcp": true, "omit": 0, "time": SECONDS, "parallel": 1, "reverse": true, "len": 131_072 })
            .to_string();
    let length = u32::try_from(text.len()).context("count the parameters")?;
    Ok([length.to_be_bytes().as_slice(), text.as_bytes()].concat())
}

/// The next state, one byte, must be this one.
async fn expect(control: &mut (impl AsyncRead + Unpin), state: u8) -> Result<()> {
    match control.read_u8().await.context("read the server's state")? {
        said if said == state => Ok(()),
        said => bail!("the server went to state {said}, not to {state}"),
    }
}

/// Closed or reset: either is the end.
async fn end(stream: &mut TcpStream) -> Instant {
    let mut piece = vec![0; 1 << 16];
    while stream.read(&mut piece).await.is_ok_and(|count| count > 0) {}
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_one_that_iperf3_could_have_made() {
        let (text, end) = COOKIE.split_at(36);
        assert!(text.iter().all(|symbol| matches!(symbol, b'a'..=b'z' | b'2'..=b'7')) && end == [0]);
    }

    #[test]
    fn parameters_carry_their_length_before_them() {
        let framed = parameters().unwrap();
        let (length, text) = framed.split_at(4);
        assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, text.len());
        assert_eq!(serde_json::from_slice::<serde_json::Value>(text).unwrap()["reverse"], true);
    }

    #[tokio::test]
    async fn another_state_than_the_next_one_is_an_error_that_names_it() {
        let mut said: &[u8] = &[9, 255];
        expect(&mut said, ASKED).await.unwrap();
        let error = expect(&mut said, STREAMS).await.unwrap_err();
        assert_eq!(error.to_string(), "the server went to state 255, not to 10");
    }
}
