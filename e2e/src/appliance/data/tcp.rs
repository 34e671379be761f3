//! One TCP stream of the test engine's protocol.
//!
//! In: a target, a direction, limits. Out: exactly how many bytes moved, and who ended it how. An upload counts what the
//! kernel took from us, so the server may have read less when it cut us off; a download counts what we read.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::super::WAIT;
use super::super::connect::dial;
use super::super::ending::Ending;
use super::super::speed_test::Direction;
use super::{Control, Error, Running, Target};

/// Token and direction: what precedes the bytes that count.
pub const HEADER: usize = 37;
/// Bytes per write or read.
const CHUNK: usize = 64 * 1024;
/// How often a paced transfer moves its share.
const TICK: Duration = Duration::from_millis(10);

/// When we stop of our own accord. Without any, the server decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Exactly so many bytes.
    pub bytes: Option<u64>,
    /// So long after the connection is up.
    pub time: Option<Duration>,
    /// About so many bytes a second.
    pub rate: Option<u64>,
}

/// Who had enough first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// A limit of ours, or `stop()`.
    Client,
    /// The server closed, or nothing moved until the deadline.
    Server,
}

/// How a transfer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Payload bytes.
    pub bytes: u64,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// What the server did last. `None` after a download that we ended: we left without looking.
    pub how: Option<Ending>,
}

/// Starts moving bytes.
pub fn transfer(target: &Target, direction: Direction, limits: Limits) -> Running<Moved> {
    let target = target.clone();
    Running::start(move |control| async move {
        let addr = target.addr;
        let connected = timeout(WAIT, dial(addr, target.source, None)).await;
        let mut stream = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| Error::Connect { addr, source })?;
        let flag = match direction {
            Direction::Upload => b"u",
            Direction::Download => b"d",
        };
        if let Err(error) = stream.write_all(&[target.token.as_bytes(), flag].concat()).await {
            return by_server(&control, error);
        }
        match direction {
            Direction::Upload => upload(stream, limits, &control).await,
            Direction::Download => download(stream, limits, &control).await,
        }
    })
}

async fn upload(stream: TcpStream, limits: Limits, control: &Control) -> Result<Moved, Error> {
    let (mut reader, mut writer) = stream.into_split();
    let mut ours = pin!(our_end(control, limits.time));
    let mut share = Share::new(limits);
    let chunk = vec![0x5a; CHUNK];
    while !share.used_up() {
        let mut ignored = [0; 64];
        let write = async {
            let allowed = share.wait().await;
            // `take` keeps this inside the chunk whatever the share says.
            let bytes = chunk.get(..allowed).unwrap_or(&chunk);
            within(writer.write(bytes)).await
        };
        // Every arm is cancel-safe: a write that did not happen took nothing.
        tokio::select! {
            biased;
            () = &mut ours => break,
            read = reader.read(&mut ignored) => match read {
                Ok(0) => return Ok(ended(control, EndedBy::Server, Some(Ending::Fin))),
                Ok(_) => {}
                Err(error) => return by_server(control, error),
            },
            written = write => match written {
                Ok(count) => { control.add(count); share.take(count); }
                Err(error) => return by_server(control, error),
            },
        }
    }
    // We had enough: tell the server, and see it close.
    if let Err(error) = writer.shutdown().await {
        return by_server(control, error);
    }
    let how = super::super::raw::read_until_closed(&mut reader).await.how;
    Ok(ended(control, EndedBy::Client, Some(how)))
}

async fn download(mut stream: TcpStream, limits: Limits, control: &Control) -> Result<Moved, Error> {
    let mut ours = pin!(our_end(control, limits.time));
    let mut share = Share::new(limits);
    let mut chunk = vec![0; CHUNK];
    while !share.used_up() {
        let read = async {
            let allowed = share.wait().await;
            let room = chunk.get_mut(..allowed).unwrap_or_default();
            within(stream.read(room)).await
        };
        tokio::select! {
            biased;
            () = &mut ours => break,
            read = read => match read {
                Ok(0) => return Ok(ended(control, EndedBy::Server, Some(Ending::Fin))),
                Ok(count) => { control.add(count); share.take(count); }
                Err(error) => return by_server(control, error),
            },
        }
    }
    Ok(ended(control, EndedBy::Client, None))
}

/// One read or write; a peer that moves nothing for so long is an error of its own kind.
async fn within(work: impl Future<Output = io::Result<usize>>) -> io::Result<usize> {
    timeout(WAIT, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Resolves when we are asked to stop, or our time is over.
async fn our_end(control: &Control, time: Option<Duration>) {
    let stopped = control.stopped();
    match time {
        Some(time) => drop(timeout(time, stopped).await),
        None => stopped.await,
    }
}

fn ended(control: &Control, ended_by: EndedBy, how: Option<Ending>) -> Moved {
    Moved { bytes: control.bytes(), ended_by, how }
}

fn by_server(control: &Control, error: io::Error) -> Result<Moved, Error> {
    let how = match error.kind() {
        io::ErrorKind::TimedOut => Some(Ending::Deadline),
        _ => Ending::of(&error),
    };
    if how.is_none() {
        return Err(error.into());
    }
    Ok(ended(control, EndedBy::Server, how))
}

/// How many bytes may move next.
struct Share {
    left: Option<u64>,
    pace: Option<Pace>,
}

/// A rate, dealt out tick by tick.
struct Pace {
    per_tick: usize,
    left: usize,
    tick: Interval,
}

impl Share {
    fn new(limits: Limits) -> Self {
        let pace = limits.rate.map(|rate| {
            let mut tick = interval(TICK);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Pace { per_tick: usize::try_from(rate / 100).unwrap_or(usize::MAX).max(1), left: 0, tick }
        });
        Self { left: limits.bytes, pace }
    }

    fn used_up(&self) -> bool {
        self.left == Some(0)
    }

    /// Between 1 and [`CHUNK`] bytes, as soon as the pace allows any. Cancel-safe.
    async fn wait(&mut self) -> usize {
        let left = self.left.map_or(CHUNK, |left| usize::try_from(left).unwrap_or(CHUNK)).min(CHUNK);
        match &mut self.pace {
            None => left,
            Some(pace) => {
                if pace.left == 0 {
                    pace.tick.tick().await;
                    pace.left = pace.per_tick;
                }
                left.min(pace.left)
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        self.left = self.left.map(|left| left.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX)));
        if let Some(pace) = &mut self.pace {
            pace.left = pace.left.saturating_sub(bytes);
        }
    }
}
