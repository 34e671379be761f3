//! The way out: a running test may finish, nothing new begins, and everything is on record.

use e2e::appliance::data::{EndedBy, Limits, Target, transfer};
use e2e::appliance::{Connection, Direction, Grant, Test};
use tokio::net::TcpStream;

use crate::GENEROUS;
use crate::bed::{Bed, PATIENCE, testbed, until};
use crate::good::Good;

const PACE: u64 = 1_000_000;

/// One session at a time, so that a request beside it is denied in any case and only the reason changes.
const ONE_SLOT: &str = "[quotas]\ncooldown_sec = 0\n";

/// Asks for a test until the answer is that of a draining reflector.
async fn is_told_of_the_drain(connection: &mut Connection) {
    loop {
        let denial = connection.request(&Test::throughput(1)).await.unwrap().denied().unwrap();
        assert_eq!(denial.reason, "busy", "{denial}");
        if denial.message.contains("shutting down") {
            assert_eq!(denial.retry_after_sec, Some(60), "{denial}");
            return;
        }
    }
}

/// Half of a speed test whose bytes are known.
async fn half(grant: &Grant, direction: Direction) -> u64 {
    let limits = Limits { bytes: (direction == Direction::Upload).then_some(500_000), ..Limits::default() };
    let moved = transfer(&Target::from(grant), direction, limits).finish().await.unwrap();
    moved.bytes
}

async fn refuses(addr: std::net::SocketAddr) {
    let refused = || {
        let tried = std::net::TcpStream::connect(addr);
        tried.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
    };
    until(refused, "a closed port").await;
}

/// C6, E4
#[tokio::test]
async fn sigterm_lets_a_running_test_finish() {
    let mut bed = Bed::launch(ONE_SLOT, &[("REFLECTOR_TESTBED_PACE", &PACE.to_string())]).await;
    let (good, other) = (Good::new(&bed, "good"), Good::new(&bed, "other"));
    let (mut connection, mut bystander) = (good.connect().await.unwrap(), other.connect().await.unwrap());
    let first = connection.request(&Test::throughput(20)).await.unwrap().granted().unwrap();
    let limits = Limits { rate: Some(PACE), ..Limits::default() };
    let upload = transfer(&Target::from(&first), Direction::Upload, limits);
    until(|| (upload.bytes() > 50_000).then_some(()), "a running test").await;

    bed.daemon.sigterm().unwrap();
    is_told_of_the_drain(&mut bystander).await;
    // The port stays, because streams of what runs may come to it; newcomers are sent away.
    assert!(Good::new(&bed, "newcomer").connect().await.is_err());
    // Counted after it is sent away, so perhaps not yet.
    let away = std::time::Instant::now();
    while bed.metric("reflector_connections_refused_total{reason=\"draining\"}").await < 1.0 {
        assert!(away.elapsed() < PATIENCE, "the newcomer is not counted");
    }
    // Who has nothing running is sent away in good order.
    assert_eq!(bystander.read_raw_until_closed().await.how, e2e::appliance::Ending::CloseNotify);
    // The running test goes on, and nothing new begins beside it.
    let so_far = upload.bytes();
    let echo = connection.request(&Test::echo(1)).await.unwrap().denied().unwrap();
    assert_eq!((echo.reason.as_str(), echo.retry_after_sec), ("busy", Some(60)), "{echo}");
    until(|| (upload.bytes() > so_far + 200_000).then_some(()), "a test that goes on").await;
    upload.stop();
    let up = upload.finish().await.unwrap();
    assert_eq!(up.ended_by, EndedBy::Client, "{up:?}");

    // Its second half is admitted, and is the last thing.
    let second = connection.request(&Test::throughput(1).download()).await.unwrap().granted().unwrap();
    let down = half(&second, Direction::Download).await;
    assert!(down > 100_000, "{down}");
    let status = bed.daemon.wait(PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(0));
    refuses(first.data_addr()).await;
    refuses(second.data_addr()).await;

    let audit = bed.audit();
    for (grant, bytes) in [(&first, up.bytes), (&second, down)] {
        let of = |kind: &str| {
            let lines =
                audit.iter().filter(|l| l["event_type"] == kind && l["test_id"] == grant.test_id.as_str());
            lines.collect::<Vec<_>>()
        };
        assert_eq!(of("session_granted").len(), 1);
        let [ended] = of("session_completed")[..] else { panic!("{audit:?}") };
        assert_eq!((&ended["reason"], &ended["bytes"]), (&"completed".into(), &bytes.into()));
    }
    assert!(bed.cli(&["audit", "verify"]).status.success());
    bed.restart().await;
    let status = good.moved_to(bed.addr).connect().await.unwrap().status().await.unwrap();
    assert_eq!(status["bytes_today"], up.bytes + down);
    assert_eq!(status["tests_today"], 1, "both halves are one test");
}

/// C6, E4
#[tokio::test]
async fn a_second_sigterm_cuts_what_runs() {
    let mut bed = Bed::launch(GENEROUS, &[("REFLECTOR_TESTBED_PACE", &PACE.to_string())]).await;
    let good = Good::new(&bed, "good");
    let mut connection = good.connect().await.unwrap();
    let grant = connection.request(&Test::throughput(30)).await.unwrap().granted().unwrap();
    let download = transfer(&Target::from(&grant), Direction::Download, Limits::default());
    until(|| (download.bytes() > 50_000).then_some(()), "a running test").await;
    bed.daemon.sigterm().unwrap();
    until(|| (bed.status()["serving"] == false).then_some(()), "a drain").await;
    let so_far = download.bytes();
    until(|| (download.bytes() > so_far).then_some(()), "a test that goes on").await;

    bed.daemon.sigterm().unwrap();
    let moved = download.finish().await.unwrap();
    assert_eq!(moved.ended_by, EndedBy::Server, "{moved:?}");
    assert_eq!(bed.daemon.wait(PATIENCE).await.unwrap().code(), Some(0));
    let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    assert_eq!(ended["reason"], "shutdown");
    assert!(ended["bytes"].as_u64().unwrap() >= moved.bytes, "{ended} {moved:?}");
    assert!(bed.cli(&["audit", "verify"]).status.success());
    refuses(grant.data_addr()).await;
}

/// C6, E4: in a container nobody stands above the process, and the kernel delivers it only signals it has a handler for.
#[tokio::test]
async fn as_pid_1_sigterm_drains_and_ends_a_session_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("as-pid-1");
    let user = if rustix::process::geteuid().is_root() { "" } else { "--user --map-current-user" };
    let script = format!(
        "#!/bin/sh\nexec unshare {user} --pid --fork --kill-child -- {} \"$@\"\n",
        testbed().display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let able = std::process::Command::new(&program).arg("--version").output().unwrap();
    if !able.status.success() {
        let why = String::from_utf8_lossy(&able.stderr).into_owned();
        return e2e::skipping::skip_test(&format!("a PID namespace: {why}"));
    }

    let pace = PACE.to_string();
    let paced = |spawn: e2e::proc::Spawn| spawn.env("REFLECTOR_TESTBED_PACE", &pace);
    let mut bed = Bed::launch_as(&program, dir, GENEROUS, paced).await;
    let pid = bed.daemon.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let inside: i32 = children.trim().parse().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{inside}/status")).unwrap();
    let names = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    assert_eq!(names.split_whitespace().last(), Some("1"), "{names}");

    let good = Good::new(&bed, "good");
    let mut connection = good.connect().await.unwrap();
    let grant = connection.request(&Test::throughput(1)).await.unwrap().granted().unwrap();
    let download = transfer(&Target::from(&grant), Direction::Download, Limits::default());
    until(|| (download.bytes() > 50_000).then_some(()), "a running test").await;
    let inside = rustix::process::Pid::from_raw(inside).unwrap();
    rustix::process::kill_process(inside, rustix::process::Signal::TERM).unwrap();
    refuses(bed.addr).await;
    let moved = download.finish().await.unwrap();
    assert_eq!(bed.daemon.wait(PATIENCE).await.unwrap().code(), Some(0));
    let ended = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    assert_eq!((&ended["reason"], &ended["bytes"]), (&"completed".into(), &moved.bytes.into()), "{moved:?}");
}

/// E4
#[tokio::test]
async fn sigkill_leaves_no_port_behind() {
    let mut bed = Bed::with(GENEROUS).await;
    let good = Good::new(&bed, "good");
    let mut connection = good.connect().await.unwrap();
    let grant = connection.request(&Test::throughput(30)).await.unwrap().granted().unwrap();
    let waiting = connection.request(&Test::echo(30)).await.unwrap().granted().unwrap();
    bed.daemon.kill_9().await.unwrap();
    let gone = TcpStream::connect(grant.data_addr()).await.unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::ConnectionRefused);
    // A UDP port that can be bound is nobody's.
    std::net::UdpSocket::bind(waiting.data_addr()).unwrap();
    let children = std::fs::read_dir(format!("/proc/{}", bed.daemon.pid()));
    assert!(children.is_err(), "the process is gone and reaped");
    bed.restart().await;
    good.moved_to(bed.addr).is_served().await;
}
