//! A client that goes away in the middle of a test: its slot is free within 3 s and its port is gone.

use std::process::Command;
use std::time::Duration;

use e2e::appliance::data::{Limits, Moved, Running, Target, transfer};
use e2e::appliance::{Appliance, Connection, Direction, Grant, Key, Test};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::bed::{Bed, PATIENCE, until};
use crate::good::{Good, run};

/// link.md §5.
const PROMISE: Duration = Duration::from_secs(3);
/// What comes after 3 s of silence: stopping the engine, closing its port, writing the line.
const TEAR_DOWN: Duration = Duration::from_millis(500);
/// A test that lasts until somebody ends it.
const PACE: u64 = 1_000_000;

/// One slot, so that the next peer's grant shows that it is free.
const ONE_SLOT: &str = "[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 1000\n";

/// How a client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// Its sockets are closed, as when it is killed.
    Killed,
    /// All of them are reset.
    Reset,
    /// Its control connection is gone, data goes on.
    ControlFirst,
    /// Its data connection is gone; the control connection stays.
    DataOnly,
}

struct Client {
    control: Connection,
    data: Running<Moved>,
    grant: Grant,
}

/// A running upload, past its first bytes.
async fn busy(bed: &Bed, key: &Key) -> Client {
    let (mut control, _) = Appliance::builder(key.clone()).wait(PATIENCE).open(bed.addr).await.unwrap();
    let grant = control.request(&Test::throughput(30)).await.unwrap().granted().unwrap();
    let limits = Limits { rate: Some(PACE), ..Limits::default() };
    let data = transfer(&Target::from(&grant), Direction::Upload, limits);
    until(|| (data.bytes() > 50_000).then_some(()), "a running test").await;
    Client { control, data, grant }
}

/// G3
#[tokio::test]
async fn a_client_that_is_gone_frees_its_slot_and_its_port() {
    let bed = Bed::with(ONE_SLOT).await;
    let (key, next) = (Key::generate(), Good::new(&bed, "next"));
    bed.add(&key, "client");
    let mut waiting = next.connect().await.unwrap();
    for how in [Leaves::Killed, Leaves::Reset, Leaves::ControlFirst, Leaves::DataOnly] {
        let Client { control, data, grant } = busy(&bed, &key).await;
        let denial = waiting.request(&Test::throughput(5)).await.unwrap().denied().unwrap();
        assert_eq!(denial.reason, "busy", "{how:?}: {denial}");
        let (mut stays, mut flows) = (None, None);
        let (left, began) = (jiff::Timestamp::now(), Instant::now());
        match how {
            Leaves::Killed => drop((control, data)),
            Leaves::Reset => {
                control.abort().unwrap();
                drop(data);
            }
            Leaves::ControlFirst => {
                drop(control);
                flows = Some(data);
            }
            Leaves::DataOnly => {
                drop(data);
                stays = Some(control);
            }
        }
        let granted = loop {
            match waiting.request(&Test::throughput(5)).await.unwrap().granted() {
                Ok(granted) => break granted,
                Err(busy) => assert!(began.elapsed() < PATIENCE, "{how:?}: {busy}"),
            }
        };
        run(&granted).await;

        let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
        // Written when slot and port are free; how long the next peer took to ask again is its own affair.
        let took = since(left, &ended);
        assert!(took < PROMISE, "{how:?}: {took:?}");
        // An engine that sees an orderly end of the data before the control connection's reports what it saw.
        let reason = ended["reason"].as_str().unwrap();
        match how {
            Leaves::Killed | Leaves::Reset => {
                assert!(
                    ["client_vanished", "client_terminated", "completed"].contains(&reason),
                    "{how:?}: {ended}"
                );
            }
            Leaves::ControlFirst => assert_eq!(reason, "client_vanished"),
            Leaves::DataOnly => assert!(["client_terminated", "completed"].contains(&reason), "{ended}"),
        }
        assert!(ended["bytes"].as_u64().unwrap() > 0, "{ended}");
        let port = TcpStream::connect(grant.data_addr()).await.unwrap_err();
        assert_eq!(port.kind(), std::io::ErrorKind::ConnectionRefused, "{how:?}");
        if let Some(flows) = flows {
            let moved = flows.finish().await.unwrap();
            assert_eq!(moved.ended_by, e2e::appliance::data::EndedBy::Server);
        }
        if let Some(mut control) = stays {
            control.status().await.unwrap();
        }
    }
    assert_eq!(bed.status()["active_tests"], 0);
}

/// From then to this line of the audit log.
fn since(then: jiff::Timestamp, line: &serde_json::Value) -> Duration {
    let at: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
    Duration::try_from(at.duration_since(then)).unwrap_or_default()
}

/// Names the test below to the process it starts.
const INSIDE: &str = "REFLECTOR_TEST_INSIDE";
const LOOPBACK: &str = "/sys/class/net/lo/flags";
/// `IFF_LOOPBACK`, and the same with `IFF_UP`.
const DOWN: &str = "0x8";
const UP: &str = "0x9";

/// In a network of its own, where the network can be cut: the client says nothing, and neither does its kernel. The
/// test starts itself there.
///
/// G3
#[tokio::test]
async fn a_client_that_vanishes_without_a_word_frees_its_slot() {
    if std::env::var_os(INSIDE).is_some() {
        return vanishes().await;
    }
    let script = format!("mount -t sysfs sysfs /sys && echo {UP} >{LOOPBACK} && exec \"$@\"");
    let apart = |words: &[&std::ffi::OsStr]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--mount", "sh", "-c", &script, "sh"]).args(words).env(INSIDE, "1");
        tokio::task::spawn_blocking(move || unshare.output())
    };
    let missing = match apart(&["true".as_ref()]).await.unwrap() {
        Ok(tried) if tried.status.success() => None,
        Ok(tried) => Some(String::from_utf8_lossy(&tried.stderr).into_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    };
    if let Some(why) = missing {
        return e2e::skipping::skip_test(&format!("a network of its own: {why}"));
    }
    // Built before: inside there is no network to fetch anything with.
    crate::bed::testbed();
    let myself = std::env::current_exe().unwrap();
    let name = "vanished::a_client_that_vanishes_without_a_word_frees_its_slot";
    let words = [myself.as_os_str(), "--exact".as_ref(), name.as_ref(), "--nocapture".as_ref()];
    let inside = apart(&words).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&inside.stdout);
    assert!(inside.status.success(), "{text}\n{}", String::from_utf8_lossy(&inside.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

async fn vanishes() {
    let bed = Bed::with(ONE_SLOT).await;
    let key = Key::generate();
    bed.add(&key, "client");
    let client = busy(&bed, &key).await;
    // The admin socket needs no network.
    assert_eq!(bed.status()["active_tests"], 1);
    std::fs::write(LOOPBACK, DOWN).unwrap();
    let cut = jiff::Timestamp::now();
    let of_this_test = |line: &serde_json::Value| line["test_id"] == client.grant.test_id.as_str();
    let ended = bed.audited("session_completed", of_this_test).await;
    assert_eq!(ended["reason"], "client_vanished");
    let took = since(cut, &ended);
    assert!(took <= PROMISE + TEAR_DOWN, "{took:?}");
    assert_eq!(bed.status()["active_tests"], 0);

    std::fs::write(LOOPBACK, UP).unwrap();
    let next = Good::new(&bed, "next");
    next.is_served().await;
}
