//! UDP echo of the test engine's protocol: one datagram out, one back.
//!
//! In: a target and how many datagrams of which size. Out: what was sent, what came back, what was not ours. One datagram
//! is in flight at a time, so a lost one costs its wait and nothing else.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::super::ending::Ending;
use super::{Control, Error, Running, Target};

/// Token and sequence number: the smallest datagram.
const SMALLEST: usize = 36 + 8;
/// The largest UDP payload.
const LARGEST: usize = 65_507;

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// How many datagrams.
    pub packets: u64,
    /// Bytes in each; at least 44, the token and a number.
    pub size: usize,
    /// How long to wait for each one's return.
    pub reply_wait: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Echoed {
    /// Datagrams sent.
    pub sent: u64,
    /// Ours that came back unchanged, late ones included.
    pub received: u64,
    /// Datagrams that were not what we sent.
    pub foreign: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes that came back in datagrams of ours.
    pub bytes_received: u64,
    /// How the server ended it; `None` when all was sent or we were stopped.
    pub how: Option<Ending>,
}

/// Starts sending. [`Running::bytes`] counts both ways.
pub fn echo(target: &Target, plan: Echo) -> Running<Echoed> {
    let target = target.clone();
    Running::start(move |control| async move {
        let connect = async {
            let any: SocketAddr = if target.addr.is_ipv4() {
                (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
            } else {
                (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
            };
            let local = target.source.map_or(any, |source| SocketAddr::new(source, 0));
            let socket = UdpSocket::bind(local).await?;
            socket.connect(target.addr).await.map(|()| socket)
        };
        let socket = connect.await.map_err(|source| Error::Connect { addr: target.addr, source })?;
        let mut echoed = Echoed::default();
        let run = run(&socket, &target.token, plan, &control, &mut echoed);
        let how = tokio::select! {
            biased;
            () = control.stopped() => None,
            done = run => match done {
                Ok(()) => None,
                // The port is closed: its host said so for an earlier datagram.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Some(Ending::Reset),
                Err(error) => return Err(error.into()),
            },
        };
        echoed.how = how;
        Ok(echoed)
    })
}

async fn run(
    socket: &UdpSocket,
    token: &str,
    plan: Echo,
    control: &Control,
    echoed: &mut Echoed,
) -> io::Result<()> {
    let mut datagram = token.as_bytes().to_vec();
    datagram.resize(plan.size.clamp(SMALLEST, LARGEST), 0x5a);
    for number in 0..plan.packets {
        datagram.splice(36..SMALLEST, number.to_be_bytes());
        let count = socket.send(&datagram).await?;
        control.add(count);
        echoed.sent += 1;
        echoed.bytes_sent += u64::try_from(count).unwrap_or(u64::MAX);
        let until = Instant::now() + plan.reply_wait;
        while let Ok(reply) = timeout_at(until, receive(socket)).await {
            let reply = reply?;
            let Some(returned) = number_of(&reply, &datagram, number) else {
                echoed.foreign += 1;
                continue;
            };
            control.add(reply.len());
            echoed.received += 1;
            echoed.bytes_received += u64::try_from(reply.len()).unwrap_or(u64::MAX);
            if returned == number {
                break;
            }
        }
    }
    Ok(())
}

async fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; LARGEST];
    let count = socket.recv(&mut buffer).await?;
    buffer.truncate(count);
    Ok(buffer)
}

/// Which of our datagrams up to `newest` this is; `None` when it is none of them.
fn number_of(reply: &[u8], sent: &[u8], newest: u64) -> Option<u64> {
    let number = u64::from_be_bytes(reply.get(36..SMALLEST)?.try_into().ok()?);
    let same = reply.len() == sent.len()
        && reply.get(..36) == sent.get(..36)
        && reply.get(SMALLEST..) == sent.get(SMALLEST..);
    (same && number <= newest).then_some(number)
}
