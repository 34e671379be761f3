//! An iperf3 client on raw sockets, which does only what it is told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reflector::engine::iperf::reader::frame;
use reflector::engine::iperf::{Code, ControlReader, Cookie, Parameters, Results, State, StreamResult};
use reflector::session::Granted;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::house::{Ask, PATIENCE};

pub(crate) struct Raw {
    pub(crate) control: TcpStream,
    pub(crate) cookie: Cookie,
    reader: ControlReader,
    port: u16,
}

/// How a connection ended, as its other side sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Closed,
    Reset,
}

/// Connects from this address.
pub(crate) async fn dial(from: IpAddr, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(SocketAddr::new(Ask::TCP.local, port)).await.unwrap()
}

/// Reads until the end, whatever comes before it.
pub(crate) async fn gone(stream: &mut TcpStream) -> Gone {
    let read = async {
        let mut rest = [0; 4096];
        loop {
            match stream.read(&mut rest).await {
                Ok(0) => return Gone::Closed,
                Ok(_) => {}
                Err(_) => return Gone::Reset,
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection ends")
}

impl Raw {
    /// Connects to the granted port and sends its cookie.
    pub(crate) async fn connect(granted: &Granted) -> Self {
        let port = granted.grant.port;
        let mut control = dial(Ask::TCP.source, port).await;
        let cookie = Cookie::random().unwrap();
        control.write_all(&cookie.to_bytes()).await.unwrap();
        Self { control, cookie, reader: ControlReader::new(), port }
    }

    /// As far as state 10.
    pub(crate) async fn asked(granted: &Granted, parameters: &Parameters) -> Self {
        let mut raw = Self::connect(granted).await;
        assert_eq!(raw.state().await, State::ParamExchange);
        raw.send(&frame(&parameters.to_json())).await;
        assert_eq!(raw.state().await, State::CreateStreams);
        raw
    }

    /// As far as state 2, with the TCP streams of these parameters.
    pub(crate) async fn running(granted: &Granted, parameters: &Parameters) -> (Self, Vec<TcpStream>) {
        let mut raw = Self::asked(granted, parameters).await;
        let mut streams = Vec::new();
        for _ in 0..parameters.streams() {
            streams.push(raw.stream().await);
        }
        assert_eq!(raw.state().await, State::TestStart);
        assert_eq!(raw.state().await, State::TestRunning);
        (raw, streams)
    }

    /// A data connection that has sent the cookie.
    pub(crate) async fn stream(&self) -> TcpStream {
        let mut stream = dial(Ask::TCP.source, self.port).await;
        stream.write_all(&self.cookie.to_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.control.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn tell(&mut self, state: State) {
        self.send(&[state.byte()]).await;
    }

    pub(crate) async fn state(&mut self) -> State {
        self.item(|reader| reader.state().unwrap()).await
    }

    /// What follows state -2.
    pub(crate) async fn refusal(&mut self) -> Code {
        assert_eq!(self.state().await, State::ServerError);
        self.item(ControlReader::error).await.0.unwrap()
    }

    /// The last exchange, from state 13 on; what the server counted.
    pub(crate) async fn exchange(&mut self, streams: usize) -> Results {
        assert_eq!(self.state().await, State::ExchangeResults);
        self.results(streams).await
    }

    /// The same when state 13 has been read.
    pub(crate) async fn results(&mut self, streams: usize) -> Results {
        let results = self.results_but_no_word_more(streams).await;
        self.tell(State::IperfDone).await;
        results
    }

    /// The same without the last byte.
    pub(crate) async fn results_but_no_word_more(&mut self, streams: usize) -> Results {
        let ids = [1].into_iter().chain(3..).take(streams);
        let streams = ids.map(|id| StreamResult { id, ..StreamResult::default() });
        let mine = Results { streams: streams.collect(), ..Results::default() };
        self.send(&frame(&mine.to_json())).await;
        let text = self.item(|reader| reader.json(1 << 16).unwrap()).await;
        assert_eq!(self.state().await, State::DisplayResults);
        Results::parse(&text).unwrap()
    }

    async fn item<T>(&mut self, mut next: impl FnMut(&mut ControlReader) -> Option<T>) -> T {
        let wait = async {
            let mut piece = [0; 4096];
            loop {
                if let Some(item) = next(&mut self.reader) {
                    return item;
                }
                let count = self.control.read(&mut piece).await.unwrap();
                assert!(count > 0, "the server hung up");
                self.reader.push(&piece[..count]);
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the server says something")
    }
}

/// Parameters of a short TCP test.
pub(crate) fn parameters(change: impl FnOnce(&mut Parameters)) -> Parameters {
    let mut parameters = Parameters { time: 5, ..Parameters::default() };
    change(&mut parameters);
    parameters
}

/// Sends for this long.
pub(crate) async fn flood(stream: &mut TcpStream, time: Duration) {
    let block = vec![7; 64 * 1024];
    let send = async { while stream.write_all(&block).await.is_ok() {} };
    let _ = tokio::time::timeout(time, send).await;
}
