//! The control connection of iperf3, client side: cookie out, states in, JSON both ways. Every wait has a deadline.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::ThroughputError;
use super::ending::Ending;
use crate::engine::iperf::reader::{ControlReader, ReaderError, frame};
use crate::engine::iperf::{Cookie, State};

/// For the server's next word where it owes one. It may be opening ports or joining threads; more is a dead peer.
pub(super) const ANSWER: Duration = Duration::from_secs(15);
/// For the kernel to take a few hundred bytes off our hands.
const SEND: Duration = Duration::from_secs(5);
/// For a last byte to arrive before the connection is dropped.
const GOODBYE: Duration = Duration::from_millis(100);
const CHUNK: usize = 4096;

/// A byte stream that carries the control connection: TCP, or a tunnelled stream.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Why the test does not go on: over, or broken.
#[derive(Debug)]
pub(super) enum Stop {
    Ended(Ending),
    Broken(ThroughputError),
}

impl From<ThroughputError> for Stop {
    fn from(error: ThroughputError) -> Self {
        Self::Broken(error)
    }
}

/// The control connection of one test.
pub(super) struct Control {
    stream: Box<dyn Duplex>,
    reader: ControlReader,
    chunk: Box<[u8]>,
}

impl Control {
    /// Introduces the test.
    pub(super) async fn open(stream: Box<dyn Duplex>, cookie: &Cookie) -> Result<Self, Stop> {
        let chunk = vec![0; CHUNK].into_boxed_slice();
        let mut control = Self { stream, reader: ControlReader::new(), chunk };
        control.send(&cookie.to_bytes()).await?;
        Ok(control)
    }

    /// Waits for this state and no other.
    pub(super) async fn expect(&mut self, expected: State) -> Result<(), Stop> {
        let state = timeout(ANSWER, self.state()).await.map_err(|_| silent(expected))??;
        if state == expected {
            return Ok(());
        }
        Err(ThroughputError::State { expected, got: state }.into())
    }

    /// The next state. One that ends every test is the end of this one. Cancel-safe.
    pub(super) async fn state(&mut self) -> Result<State, Stop> {
        let state = loop {
            match self.reader.state().map_err(ThroughputError::Unreadable)? {
                Some(state) => break state,
                None => self.fill().await?,
            }
        };
        match Ending::of_state(state) {
            None => Ok(state),
            Some(Ending::Failed(_)) => Err(Stop::Ended(Ending::Failed(self.code().await))),
            Some(ending) => Err(Stop::Ended(ending)),
        }
    }

    /// What follows -2. A server may close before all of it has left.
    async fn code(&mut self) -> Result<crate::engine::iperf::Code, i32> {
        loop {
            if let Some((code, _errno)) = self.reader.error() {
                return code;
            }
            if !matches!(timeout(GOODBYE, self.fill()).await, Ok(Ok(()))) {
                return Err(0);
            }
        }
    }

    /// The next JSON text.
    pub(super) async fn json(&mut self, limit: usize) -> Result<Vec<u8>, Stop> {
        let read = async {
            loop {
                match self.reader.json(limit).map_err(ThroughputError::Unreadable)? {
                    Some(text) => return Ok(text),
                    None => self.fill().await?,
                }
            }
        };
        timeout(ANSWER, read).await.map_err(|_| silent(State::ExchangeResults))?
    }

    pub(super) async fn send_json(&mut self, json: &[u8]) -> Result<(), Stop> {
        self.send(&frame(json)).await
    }

    pub(super) async fn send_state(&mut self, state: State) -> Result<(), Stop> {
        self.send(&[state.byte()]).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(SEND, sent).await {
            Ok(Ok(())) => Ok(()),
            // What it said before it closed is still there to be read.
            Ok(Err(error)) if is_gone(&error) => Err(self.last_words().await),
            Ok(Err(source)) => Err(ThroughputError::Control(source).into()),
            Err(_) => Err(ThroughputError::Control(io::ErrorKind::TimedOut.into()).into()),
        }
    }

    /// The server closed while we wrote: mostly it has said why.
    async fn last_words(&mut self) -> Stop {
        loop {
            match timeout(GOODBYE, self.state()).await {
                Ok(Ok(_)) => {}
                Ok(Err(stop)) => return stop,
                Err(_) => return Stop::Ended(Ending::Vanished),
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Stop> {
        match self.stream.read(&mut self.chunk).await {
            Ok(0) => Err(Stop::Ended(Ending::Vanished)),
            Ok(count) => {
                self.reader.push(self.chunk.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if is_gone(&error) => Err(Stop::Ended(Ending::Vanished)),
            Err(source) => Err(ThroughputError::Control(source).into()),
        }
    }

    /// Closes so that the last byte arrives.
    pub(super) async fn close(mut self) {
        let _ = timeout(GOODBYE, async {
            let _ = self.stream.shutdown().await;
            while self.fill().await.is_ok() {}
        })
        .await;
    }
}

fn silent(expected: State) -> Stop {
    ThroughputError::Silent { expected, seconds: ANSWER.as_secs() }.into()
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted | UnexpectedEof)
}

impl From<ReaderError> for Stop {
    fn from(error: ReaderError) -> Self {
        ThroughputError::Unreadable(error).into()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::engine::iperf::Code;

    async fn pair() -> (Control, tokio::io::DuplexStream) {
        let (near, mut far) = duplex(10_000);
        let cookie = Cookie::random().unwrap();
        let control = Control::open(Box::new(near), &cookie).await.unwrap();
        let mut bytes = [0; Cookie::LENGTH];
        far.read_exact(&mut bytes).await.unwrap();
        assert!(Cookie::parse(&bytes).unwrap().matches(&cookie));
        (control, far)
    }

    #[tokio::test]
    async fn states_that_arrive_together_are_taken_one_by_one() {
        let (mut control, mut far) = pair().await;
        far.write_all(&[9, 10, 1, 2]).await.unwrap();
        for state in [State::ParamExchange, State::CreateStreams, State::TestStart, State::TestRunning] {
            control.expect(state).await.unwrap();
        }
    }

    /// E6
    #[tokio::test]
    async fn eleven_minus_one_and_minus_two_end_a_test_wherever_they_come() {
        let mut failed = vec![0xfe];
        failed.extend_from_slice(&6_i32.to_be_bytes());
        failed.extend_from_slice(&0_i32.to_be_bytes());
        for (bytes, ending) in [
            (vec![11], Ending::Terminated),
            (vec![0xff], Ending::Busy),
            (failed, Ending::Failed(Ok(Code::Streams))),
            (vec![0xfe, 0, 0], Ending::Failed(Err(0))),
            (vec![], Ending::Vanished),
        ] {
            let (mut control, mut far) = pair().await;
            far.write_all(&bytes).await.unwrap();
            drop(far);
            let Err(Stop::Ended(found)) = control.expect(State::ParamExchange).await else {
                panic!("{ending:?}")
            };
            assert_eq!(found, ending);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_not_waited_for_for_ever() {
        let (mut control, _far) = pair().await;
        let Err(Stop::Broken(error)) = control.expect(State::ParamExchange).await else { panic!() };
        assert!(matches!(error, ThroughputError::Silent { expected: State::ParamExchange, .. }), "{error:?}");
        let Err(Stop::Broken(error)) = control.json(100).await else { panic!() };
        assert!(matches!(error, ThroughputError::Silent { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_state_out_of_turn_and_json_without_end_are_named() {
        let (mut control, mut far) = pair().await;
        far.write_all(&[14]).await.unwrap();
        let Err(Stop::Broken(error)) = control.expect(State::ParamExchange).await else { panic!() };
        assert!(matches!(error, ThroughputError::State { .. }), "{error:?}");
        far.write_all(&[0xff; 4]).await.unwrap();
        let Err(Stop::Broken(error)) = control.json(100).await else { panic!() };
        assert!(matches!(error, ThroughputError::Unreadable(_)), "{error:?}");
    }

    #[tokio::test]
    async fn what_a_server_said_before_it_closed_is_heard_when_writing_fails() {
        let (mut control, mut far) = pair().await;
        far.write_all(&[11]).await.unwrap();
        drop(far);
        let Err(Stop::Ended(ending)) = control.send_state(State::TestEnd).await else { panic!() };
        assert_eq!(ending, Ending::Terminated);
    }
}
