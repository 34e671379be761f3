//! The health port under a crowd that never finishes its sentence.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::appliance::raw;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::bed::{Bed, PATIENCE, http_get};
use crate::good::Good;
use crate::{GENEROUS, count, source};

/// Connections that drip: three times what the port holds.
const DRIPS: usize = 200;

/// One header byte at a time, and again from the start when thrown out.
async fn drip(health: SocketAddr, from: usize) {
    let mut pace = interval(Duration::from_millis(100));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let Ok(mut stream) = raw::connect(health, Some(source(from))).await else { continue };
        for byte in b"GET /livez HTTP/1.1\r\nX-Drip: ".iter().chain(std::iter::repeat(&b'a')) {
            pace.tick().await;
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    }
}

async fn asks(bed: &Bed, path: &str) -> String {
    timeout(PATIENCE, http_get(bed.health, path)).await.unwrap()
}

/// H1
#[tokio::test]
async fn a_slow_drip_on_the_health_port_does_not_block_livez() {
    let bed = Bed::with(GENEROUS).await;
    let good = Good::new(&bed, "good");
    let mut drips = JoinSet::new();
    for n in 0..DRIPS {
        // Half of them from one source, the others from thirty.
        drips.spawn(drip(bed.health, if n % 2 == 0 { 0 } else { n % 30 }));
    }
    let mut dropped = 0;
    let mut asked = 0;
    let began = Instant::now();
    while dropped < DRIPS || asked < 20 {
        assert!(began.elapsed() < 2 * PATIENCE, "{dropped} thrown out");
        assert_eq!(asks(&bed, "/livez").await, "alive\n");
        assert_eq!(asks(&bed, "/readyz").await, "ready\n");
        asked += 1;
        if asked % 10 == 0 {
            good.is_served().await;
            dropped = count(&bed, "reflector_health_connections_dropped_total").await;
        }
    }
    drips.shutdown().await;
}
