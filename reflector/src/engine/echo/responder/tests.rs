use std::net::TcpStream;

use uuid::Uuid;

use super::super::accept::Proof;
use super::super::channel::{Framed, Stream};
use super::super::probe::{Probe, Settings, Target};
use super::super::wire::{KEY_BYTES, Keys};
use super::*;
use crate::engine::purse::Unlimited;

const PATIENCE: Duration = Duration::from_secs(30);

fn keys() -> Keys {
    Keys::new(&[4; KEY_BYTES], Uuid::from_u128(9 << 96))
}

fn setup(intake: Intake, schedule: Schedule) -> Setup {
    let peer = [127, 0, 0, 1].into();
    let terms = Terms { proof: Proof::Keyed(Box::new(keys())), peer, max_pps: 10_000 };
    Setup { terms, intake, purse: Arc::new(Unlimited), calm: Calm::default(), schedule }
}

fn port() -> UdpSocket {
    socket::open(([127, 0, 0, 1], 0).into(), [127, 0, 0, 1].into()).unwrap()
}

async fn end(mut responder: Responder) -> End {
    tokio::time::timeout(PATIENCE, responder.finished()).await.expect("it ends").end
}

#[tokio::test]
async fn nobody_asks_and_it_never_started() {
    let start_within = Duration::from_millis(20);
    let alone = Schedule::Alone { start_within, runs_for: Duration::from_secs(60) };
    let responder = Responder::start(setup(Intake::Port(port()), alone)).unwrap();
    assert_eq!(end(responder).await, End::NeverStarted);
}

#[tokio::test]
async fn dropped_it_leaves_neither_thread_nor_port() {
    let socket = port();
    let at = socket.local_addr().unwrap();
    let responder = Responder::start(setup(Intake::Port(socket), Schedule::Beside)).unwrap();
    let bell = Arc::downgrade(&responder.bell);
    assert!(UdpSocket::bind(at).is_err());
    drop(responder);
    assert!(UdpSocket::bind(at).is_ok() && bell.upgrade().is_none());
}

/// The other half of a tunnel without its encryption.
struct Plain(TcpStream);

impl Stream for Plain {
    fn socket(&self) -> &TcpStream {
        &self.0
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.0, into)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.0, bytes)
    }
}

fn tunnel() -> (Framed<Plain>, Framed<Plain>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Framed::new(Plain(near)).unwrap(), Framed::new(Plain(listener.accept().unwrap().0)).unwrap())
}

/// E9: the same packets through a tunnel; it ends when the tunnel does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo_runs_through_a_tunnel_and_ends_with_it() {
    for length in [64, 1400, 8972] {
        let (near, far) = tunnel();
        let intake = Intake::Channel(Box::new(far), ([127, 0, 0, 1], 0).into());
        let responder = Responder::start(setup(intake, Schedule::Beside)).unwrap();
        let settings = Settings { keys: Some(keys()), pps: 1000, length };
        let probe = Probe::start(Target::Tunnel(Box::new(near)), settings).unwrap();
        while probe.snapshot().received < 50 {
            tokio::task::yield_now().await;
        }
        let [report] = probe.finish().await.try_into().unwrap();
        assert_eq!((report.lost(), report.rtt.unwrap().n), (0, report.sent));
        assert_eq!(end(responder).await, End::Closed);
    }
}

/// A tunnel's other end may send anything.
#[tokio::test]
async fn frames_of_any_length_and_cut_are_taken_apart() {
    use super::super::channel::Channel as _;
    let (mut near, mut far) = tunnel();
    let mut into = [0; 10];
    assert_eq!(far.receive(&mut into).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    for length in [0, 1, 10, 11, 65_535] {
        near.send(&vec![7; length]).unwrap();
        let got = loop {
            match far.receive(&mut into) {
                Ok(got) => break got,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        assert_eq!(got, length.min(10), "what does not fit is cut off");
    }
    assert_eq!(near.send(&[0; 65_536]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    drop(near);
    let ended = loop {
        match far.receive(&mut into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => break other,
        }
    };
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
