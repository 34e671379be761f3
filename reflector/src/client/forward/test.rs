//! One test: its session, its streams, its end.

use futures_util::StreamExt;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ask::{self, Wanted};
use super::datagrams::Losses;
use super::link::Links;
use super::local::{self, Introduced, Local, MAX_WAITING};
use super::pump::{Pump, Way};
use super::words::{began, chain, dropped, ended};
use super::{Tally, Teller, datagrams, local::say_last};
use crate::client::tunnel::Tunnel;
use crate::client::{Link, LinkError};
use crate::engine::iperf::reader::frame;
use crate::engine::iperf::{Code, Cookie, State};
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::{OpenError, TunnelStream};
use crate::link::message::{Mode, SessionGrant};

/// For the engine's first word after a cookie.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(5);
/// For the second side of a control connection to close, once the first has.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(2);
/// For the result, once the client has had its last byte: the engine has a second for its goodbyes.
const RESULT: std::time::Duration = std::time::Duration::from_secs(3);

/// Serves one client from its parameters to its last byte.
pub(super) async fn serve(
    mut client: Introduced,
    local: &Local,
    (links, tally): (&mut Links<'_>, &mut Tally),
    stop: &CancellationToken,
    tell: Teller<'_>,
) {
    let wanted = match ask::wanted(&client.parameters, links.longest()) {
        Ok(wanted) => wanted,
        Err(code) => {
            tell("this test cannot go through a tunnel: SCTP has no streams that could");
            return say_last(&mut client.stream, &code.to_bytes()).await;
        }
    };
    let granted = tokio::select! {
        biased;
        () = stop.cancelled() => {
            return say_last(&mut client.stream, &[State::ServerTerminate.byte()]).await;
        }
        granted = links.request(&wanted.session) => granted,
    };
    let (grant, mut link) = match granted {
        Ok(granted) => granted,
        Err(error) => {
            tell(&format!("not granted: {}", chain(&error)));
            return say_last(&mut client.stream, &ask::refusal(&error)).await;
        }
    };
    tell(&began(&wanted, &grant));
    tally.tests += 1;
    let test_id = grant.test_id;
    let mut pumps = Vec::new();
    let losses = Losses::begin(local);
    let end = match open(&link, links, &grant, &client).await {
        Ok((tunnel, control)) => {
            let test = Test { tunnel, wanted, cookie: client.cookie, losses: &losses };
            test.run(&mut client.stream, control, local, (&mut link, &mut pumps), stop).await
        }
        Err(problem) => End::Broken(problem),
    };
    let lost = losses.count(local);
    tally.datagrams_dropped = tally.datagrams_dropped.saturating_add(lost);
    if lost > 0 {
        tell(&dropped(lost));
    }
    match &end {
        End::Over => {}
        End::Stopped => say_last(&mut client.stream, &[State::ServerTerminate.byte()]).await,
        End::Broken(problem) => {
            tell(&format!("the test broke: {problem}"));
            say_last(&mut client.stream, &Code::Accept.to_bytes()).await;
        }
        End::LinkLost(error) => {
            tell(&format!("the test ended with its control connection: {}", chain(error)));
            return say_last(&mut client.stream, &[State::ServerTerminate.byte()]).await;
        }
    }
    // After the last word: without its streams iperf3 has another one of its own.
    drop((client, pumps));
    if !matches!(end, End::Over) {
        // It may have ended by itself.
        let _ = link.close_session(test_id).await;
    }
    match link.result(test_id, RESULT).await {
        Ok(result) => tell(&ended(&result)),
        // Still there, or nobody tells: it must not stand in the way of the next test.
        Err(LinkError::Timeout { .. } | LinkError::Feature(_)) => {
            let _ = link.close_session(test_id).await;
        }
        Err(error) => return tell(&format!("the control connection is gone: {}", chain(&error))),
    }
    links.keep(link);
}

/// Opens stream 0, replays what the client has said, and swallows the answer that it has had from us.
async fn open(
    link: &Link,
    links: &Links<'_>,
    grant: &SessionGrant,
    client: &Introduced,
) -> Result<(Tunnel, TunnelStream), String> {
    if grant.mode != Mode::Tunneled {
        return Err("the reflector granted a session outside the tunnel".to_owned());
    }
    let tunnel = Tunnel::new(link, links.us(), grant).map_err(|error| chain(&error))?;
    let mut control = tunnel.open(0, Kind::Tcp).await.map_err(|error| chain(&error))?;
    let exchange = async {
        control.write_all(&client.cookie.to_bytes()).await?;
        control.flush().await?;
        let first = control.read_u8().await?;
        control.write_all(&frame(&client.text)).await?;
        control.flush().await?;
        Ok::<u8, std::io::Error>(first)
    };
    match timeout(ANSWER, exchange).await {
        Ok(Ok(first)) if first == State::ParamExchange.byte() => Ok((tunnel, control)),
        Ok(Ok(other)) => Err(format!("the engine answered {other} where parameters were due")),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err("the engine did not answer".to_owned()),
    }
}

enum End {
    /// Both sides have closed their control connections.
    Over,
    /// We were told to.
    Stopped,
    Broken(String),
    LinkLost(LinkError),
}

/// A test whose control connection is open.
struct Test<'a> {
    tunnel: Tunnel,
    wanted: Wanted,
    cookie: Cookie,
    losses: &'a Losses,
}

impl Test<'_> {
    /// Relays until the end. Streams go on until `pumps` is dropped.
    async fn run(
        &self,
        client: &mut TcpStream,
        mut control: TunnelStream,
        local: &Local,
        (link, pumps): (&mut Link, &mut Vec<Pump>),
        stop: &CancellationToken,
    ) -> End {
        let mut opened = 0;
        // In the order of arrival, which is that of the streams' ids.
        let mut arriving = FuturesOrdered::new();
        let mut opening = FuturesUnordered::new();
        let closing = CancellationToken::new();
        let relaying = relay(client, &mut control, &closing);
        let datagrams = async {
            if self.wanted.udp {
                datagrams::carry(local, &self.tunnel, self.wanted.streams, self.losses).await
            } else {
                std::future::pending().await
            }
        };
        tokio::pin!(relaying, datagrams);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return End::Stopped,
                () = &mut relaying => return End::Over,
                pushed = link.pushed() => if let Err(error) = pushed { return End::LinkLost(error) },
                error = &mut datagrams => return End::Broken(chain(&error)),
                Some(pump) = opening.next(), if !opening.is_empty() => match pump {
                    Ok(pump) => pumps.push(pump),
                    Err(error) => return End::Broken(chain(&error)),
                },
                Some(stream) = arriving.next(), if !arriving.is_empty() => {
                    if let Some(stream) = stream && opened < self.wanted.streams && !self.wanted.udp {
                        opened += 1;
                        opening.push(self.stream(opened, stream));
                    }
                }
                stream = newcomer(local, &closing), if arriving.len() < MAX_WAITING => {
                    arriving.push_back(self.recognise(stream));
                }
            }
        }
    }

    /// A connection of this test; anybody else hears that we are busy.
    async fn recognise(&self, mut stream: TcpStream) -> Option<TcpStream> {
        let cookie = local::cookie(&mut stream).await?;
        if cookie.matches(&self.cookie) {
            return Some(stream);
        }
        say_last(&mut stream, &[State::AccessDenied.byte()]).await;
        None
    }

    async fn stream(&self, number: u32, local: TcpStream) -> Result<Pump, OpenError> {
        let mut stream = self.tunnel.open(number, Kind::Tcp).await?;
        stream.write_all(&self.cookie.to_bytes()).await?;
        stream.flush().await?;
        let way = if number <= self.wanted.up { Way::Up } else { Way::Down };
        Ok(Pump::start(local, stream, way)?)
    }
}

/// The next connection. Who comes when the test is as good as over begins the next one and is left in the queue: looked at
/// with each poll, because the same one may have seen the end.
async fn newcomer(local: &Local, closing: &CancellationToken) -> TcpStream {
    tokio::select! {
        biased;
        () = closing.cancelled() => std::future::pending().await,
        stream = local.connection() => stream,
    }
}

/// Carries the control connection until both sides have closed it. Whichever does so first ends the test: `closing` is
/// cancelled, and the other has a moment for its own end.
async fn relay(client: &mut TcpStream, control: &mut TunnelStream, closing: &CancellationToken) {
    let (from_client, to_client) = client.split();
    let (from_engine, to_engine) = tokio::io::split(control);
    let both =
        async { tokio::join!(pass(from_client, to_engine, closing), pass(from_engine, to_client, closing)) };
    let too_long = async {
        closing.cancelled().await;
        let _ = timeout(CLOSING, std::future::pending::<()>()).await;
    };
    tokio::select! {
        _ = both => {}
        () = too_long => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    closing: &CancellationToken,
) {
    if let Err(error) = tokio::io::copy(&mut from, &mut to).await {
        tracing::debug!(%error, "a control connection broke");
    }
    closing.cancel();
    // Fails when the other side was faster.
    let _ = to.shutdown().await;
}
