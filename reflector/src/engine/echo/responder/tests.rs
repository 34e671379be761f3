use uuid::Uuid;

use super::super::accept::{Proof, Terms};
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
    Setup {
        terms,
        intake,
        purse: Arc::new(Unlimited),
        calm: Calm::default(),
        schedule,
        drops: Arc::default(),
    }
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
