//! Data peers that are gone without a word while the control connection lives: no FIN, no reset, no acknowledgement.
//!
//! A filter on the client's own socket drops what arrives before its kernel sees it, so it answers nothing, keepalive probes
//! included. That needs no privilege and cuts one connection only.

use reflector::engine::iperf::{Code, State};
use reflector::reason::EndReason;
use socket2::{SockFilter, SockRef};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::house::{Ask, House, ended, until};
use crate::raw::{Raw, parameters};

/// From now on this end is as good as unplugged. It must have nothing to send.
fn vanish(stream: &TcpStream) {
    /// `BPF_RET | BPF_K`: of every packet keep so many bytes.
    const RETURN: u16 = 0x06;
    SockRef::from(stream).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]).unwrap();
}

/// G3: both ways. The client on the control connection reads why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_peers_that_vanish_without_a_word_end_the_test_in_its_time() {
    for reverse in [false, true] {
        let house = House::for_one();
        let granted = house.grant(Ask { seconds: 50, ..Ask::TCP }).await;
        let asked = parameters(|p| (p.reverse, p.time, p.parallel) = (reverse, 45, 2));
        let (mut raw, mut streams) = Raw::running(&granted, &asked).await;
        for stream in &mut streams {
            if !reverse {
                stream.write_all(&[1; 1000]).await.unwrap();
            }
        }
        until("bytes move", || house.sessions.active(None).iter().any(|session| session.bytes >= 2000)).await;
        streams.iter().for_each(vanish);
        assert_eq!(raw.refusal().await, Code::Idle, "reverse: {reverse}");
        ended(&house, granted, EndReason::Stalled, &format!("reverse: {reverse}")).await;
    }
}

/// G3: the other stream goes on, and the one that is gone holds nothing up when its test ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_data_peer_that_vanishes_does_not_hold_up_the_end_of_its_test() {
    for reverse in [false, true] {
        let house = House::for_one();
        let granted = house.grant(Ask::TCP).await;
        let asked = parameters(|p| (p.reverse, p.parallel) = (reverse, 2));
        let (mut raw, mut streams) = Raw::running(&granted, &asked).await;
        vanish(&streams[0]);
        if !reverse {
            streams[1].write_all(&[1; 3000]).await.unwrap();
        }
        until("bytes move", || house.sessions.active(None).iter().any(|session| session.bytes >= 3000)).await;
        raw.tell(State::TestEnd).await;
        let results = raw.exchange(2).await;
        assert!(results.streams[1].bytes >= 3000 || reverse, "{:?}", results.streams);
        ended(&house, granted, EndReason::Completed, &format!("reverse: {reverse}")).await;
    }
}
