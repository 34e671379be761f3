//! Echo through a tunnel.

use std::sync::Arc;
use std::time::Duration;

use reflector::engine::echo::Tunnelled;
use reflector::engine::echo::accept::{Proof, Terms};
use reflector::engine::echo::calm::Calm;
use reflector::engine::echo::probe::{Probe, Settings, Target};
use reflector::engine::echo::responder::{End, Intake, Responder, Schedule, Setup};
use reflector::engine::echo::wire::Keys;
use reflector::engine::purse::Unlimited;
use reflector::engine::tunnel::TunnelStream;
use reflector::engine::tunnel::hello::Kind;
use tokio::time::timeout;

use crate::bed::{Bed, PATIENCE};

fn tunnelled(stream: TunnelStream) -> Tunnelled {
    Tunnelled::new(stream.into_blocking().unwrap().into_datagrams()).unwrap()
}

/// E9: the same packets as on a port, of any length; what answers ends with the tunnel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo_runs_through_a_tunnel_and_ends_with_it() {
    for length in [64, 1400, 8972] {
        let mut bed = Bed::start().await;
        let near = bed.open(1, Kind::Echo).await.unwrap();
        let far = bed.arrived().await;
        let keys = || Keys::new(&bed.credentials.secrets.echo, bed.credentials.test_id);
        let peer = [127, 0, 0, 1].into();
        let mut responder = Responder::start(Setup {
            terms: Terms { proof: Proof::Keyed(Box::new(keys())), peer, max_pps: 10_000 },
            intake: Intake::Tunnel(Box::new(tunnelled(far.stream)), (peer, 0).into()),
            purse: Arc::new(Unlimited),
            calm: Calm::default(),
            schedule: Schedule::Beside,
            drops: Arc::default(),
        })
        .unwrap();
        let settings = Settings { keys: Some(keys()), pps: 1000, length };
        let probe = Probe::start(Target::Tunnel(Box::new(tunnelled(near))), settings).unwrap();
        let wait = async {
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            while probe.snapshot().received < 50 {
                tick.tick().await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
        let [report] = probe.finish().await.try_into().unwrap();
        assert_eq!((report.lost(), report.rtt.unwrap().n), (0, report.sent), "{length}");
        assert_eq!(report.client_stamp.as_deref(), Some("user"), "no kernel stamps a tunnel's datagrams");
        assert_eq!(timeout(PATIENCE, responder.finished()).await.unwrap().end, End::Closed);
    }
}
