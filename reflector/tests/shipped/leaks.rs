//! What thousands of sessions leave behind: nothing.

use e2e::appliance::{Connection, Test};
use e2e::vitals::Vitals;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bed::until;
use crate::shipped;

/// As many as an hour may have.
const SETTINGS: &str = "[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 10000\n";
const WARM_UP: usize = 100;
const SHORT: usize = 300;
const LONG: usize = 9_900;
/// The hour remembers when each grant was, and an allocator keeps some room of its own.
const MOST_GROWTH_KIB: u64 = 4 * 1024;

/// E4, G2
#[tokio::test]
async fn thousands_of_short_sessions_leave_no_thread_descriptor_or_memory() {
    let bed = shipped(SETTINGS).await;
    let (_key, mut link) = bed.appliance("busy").await;
    for number in 0..WARM_UP {
        short(&mut link, number).await;
    }
    let vitals = Vitals::of(bed.daemon.pid());
    let (threads, descriptors) = (vitals.threads().unwrap(), vitals.open_fds().unwrap());
    let memory = vitals.rss_kib().unwrap();
    let rounds = if std::env::var_os("REFLECTOR_TEST_LONG").is_some() { LONG } else { SHORT };
    for number in 0..rounds {
        short(&mut link, number).await;
    }
    // A session that has ended may still be closing its sockets.
    until(|| (vitals.threads().unwrap() <= threads).then_some(()), "as few threads as before").await;
    until(|| (vitals.open_fds().unwrap() <= descriptors).then_some(()), "as few descriptors as before").await;
    let grown = vitals.rss_kib().unwrap().saturating_sub(memory);
    assert!(grown <= MOST_GROWTH_KIB, "{grown} KiB more after {rounds} sessions");
    let status = bed.status();
    assert_eq!(status["active_tests"], 0);
}

/// One session from grant to end. In every tenth a client begins, says who it is, and is cut off in the middle.
async fn short(link: &mut Connection, number: usize) {
    let test = match number % 3 {
        0 => Test::throughput(1),
        1 => Test::throughput(1).download(),
        _ => Test::echo(1),
    };
    let grant = link.request(&test).await.unwrap().granted().unwrap_or_else(|e| panic!("{number}: {e}"));
    let mut client = None;
    if number.is_multiple_of(10) && number % 3 != 2 {
        let mut stream = TcpStream::connect(grant.data_addr()).await.unwrap();
        stream.write_all(b"abcdefghijklmnopqrstuvwxyz234567abcd\0").await.unwrap();
        assert_eq!(stream.read_i8().await.unwrap(), 9, "asked for parameters");
        client = Some(stream);
    }
    link.close_session(&grant.test_id).await.unwrap();
    drop(client);
}
