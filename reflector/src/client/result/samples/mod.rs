//! Results as real tests have them, for the tests of every kind of report. The noise is made of a fixed series of
//! numbers, so that each run has the same.

mod made;

use crate::client::result::*;
use crate::engine::evidence::limit::{Also, By, Cause, Limit, Side, Signal};
use made::{Load, echo, phase, real};

/// `(name, result)` of every sample.
pub(crate) fn all() -> [(&'static str, TestResult); 5] {
    [("cable", cable()), ("gigabit", gigabit()), ("cut", cut()), ("stock", stock()), ("complete", complete())]
}

fn signal(name: &str, value: f64, threshold: f64, side: Side) -> Signal {
    Signal { signal: name.to_owned(), value: real(value).unwrap(), threshold: real(threshold).unwrap(), side }
}

fn limit(by: By, cause: Cause, evidence: Vec<Signal>) -> Limit {
    Limit { by, cause, also: Vec::new(), evidence }
}

fn local() -> Local {
    Local {
        endpoint_id: Some("PP-4R7C-1G9Z-V3QJ-8M2K".to_owned()),
        address: Some("192.168.1.23".to_owned()),
        kernel: Some("Linux 6.12.47".to_owned()),
        cpu_model: Some("Raspberry Pi 5 Model B Rev 1.0".to_owned()),
        cores: Some(4),
        interface: Some("eth0".to_owned()),
        link_mbps: Some(1000),
        mtu_bytes: Some(1500),
        clock: Some(ClockState {
            synced: true,
            error_bound_us: Some(2_400),
            source: Some("arch_sys_counter".to_owned()),
        }),
    }
}

fn remote() -> Remote {
    Remote {
        target: "reflector.example.net:4000".to_owned(),
        kind: RemoteKind::Reflector,
        address: Some("203.0.113.7".to_owned()),
        endpoint_id: Some("PP-9T1H-XQ2F-0B5N-7YWE".to_owned()),
        version: Some("0.1.0".to_owned()),
        network_position: Some("wan".to_owned()),
        link_mbps: Some(10_000),
        mtu_bytes: Some(1500),
        cpu_load: real(0.08),
        clock: Some(ClockState { synced: true, error_bound_us: Some(900), source: Some("tsc".to_owned()) }),
    }
}

fn result(local: Local, reflector: Remote, phases: Vec<Phase>) -> TestResult {
    let bytes = phases.iter().map(|phase| phase.bytes).sum();
    let mut result = TestResult {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        started_at: "2026-11-21T09:14:03Z".parse().unwrap(),
        local,
        responsiveness: responsiveness(&phases),
        tunnel_tax: None,
        usage: Usage {
            tests: 1,
            bytes,
            charged_bytes: (reflector.kind == RemoteKind::Reflector).then_some(bytes + 38_112),
            remaining_bytes: Some(5_000_000_000u64.saturating_sub(bytes + 38_112)),
        },
        reflector,
        phases,
        not_measured: Vec::new(),
        warnings: Vec::new(),
    };
    result.list_missing(|_| None);
    result
}

fn down() -> Phase {
    let load = Load {
        mbps: 487.0,
        streams: 4,
        unsteady: 0.12,
        seconds: 10,
        rtt_us: 27_900.0,
        min_rtt_us: 11_480,
        retransmits: 14,
        seed: 0x5eed_0001,
    };
    let queue = vec![signal("loaded_rtt_us", 24_118.0, 22_960.0, Side::Path)];
    Phase {
        echo_idle: Some(echo(200, 12_600.0, 900.0, 9_000.0, 3)),
        echo_loaded: Some(echo(1000, 24_000.0, 5_500.0, 30_000.0, 4)),
        ..phase("down", &load, limit(By::Network, Cause::Queue, queue))
    }
}

fn up() -> Phase {
    let load = Load {
        mbps: 38.6,
        streams: 4,
        unsteady: 0.08,
        seconds: 10,
        rtt_us: 131_000.0,
        min_rtt_us: 11_520,
        retransmits: 31,
        seed: 0x5eed_0002,
    };
    let limit = Limit {
        by: By::Network,
        cause: Cause::Loss,
        also: vec![Also { by: By::Network, cause: Cause::Queue }],
        evidence: vec![
            signal("retransmit_percent", 0.41, 0.1, Side::Path),
            signal("cwnd_limited_percent_of_busy", 99.2, 50.0, Side::Local),
            signal("loaded_rtt_us", 124_870.0, 23_040.0, Side::Path),
        ],
    };
    Phase {
        echo_idle: Some(echo(200, 12_700.0, 950.0, 9_000.0, 5)),
        echo_loaded: Some(echo(1000, 122_000.0, 21_000.0, 60_000.0, 6)),
        ..phase("up", &load, limit)
    }
}

/// A cable line at home: quick down, a swollen queue up.
pub(crate) fn cable() -> TestResult {
    result(local(), remote(), vec![down(), up()])
}

/// A Raspberry Pi in the next room: the link is the limit.
pub(crate) fn gigabit() -> TestResult {
    let load = Load {
        mbps: 941.0,
        streams: 1,
        unsteady: 0.004,
        seconds: 10,
        rtt_us: 1_240.0,
        min_rtt_us: 212,
        retransmits: 0,
        seed: 0x5eed_0003,
    };
    let full = limit(By::Nic, Cause::Speed, vec![signal("mbps", 936.2, 866.164, Side::Local)]);
    let down = Phase {
        echo_idle: Some(echo(200, 260.0, 24.0, 300.0, 7)),
        echo_loaded: Some(echo(1000, 1_310.0, 210.0, 900.0, 8)),
        ..phase("down", &load, full)
    };
    let remote = Remote {
        target: "pi-attic.local:4000".to_owned(),
        address: Some("192.168.1.40".to_owned()),
        network_position: Some("lan".to_owned()),
        link_mbps: Some(1000),
        ..remote()
    };
    let mut result = result(local(), remote, vec![down]);
    result.usage.remaining_bytes = None;
    result
}

/// UDP through the tunnel until the quota was used up.
pub(crate) fn cut() -> TestResult {
    let load = Load {
        mbps: 100.0,
        streams: 1,
        unsteady: 0.01,
        seconds: 4,
        rtt_us: 0.0,
        min_rtt_us: 0,
        retransmits: 0,
        seed: 0x5eed_0004,
    };
    let used_up =
        limit(By::Policy, Cause::Quota, vec![signal("end_reason_quota_exceeded", 1.0, 1.0, Side::Reflector)]);
    let mut phase = phase("down", &load, used_up);
    phase.mode = PhaseMode::Tunneled;
    phase.transport = Some(Transport::Udp);
    phase.end_reason = "quota_exceeded".to_owned();
    phase.streams.iter_mut().for_each(|stream| *stream = Stream::new(stream.id, stream.bytes, 4.0, None));
    phase.intervals.iter_mut().for_each(|interval| interval.rtt_us = None);
    phase.udp = Some(Udp {
        datagram_bytes: Some(1448),
        asked_mbps: real(100.0),
        packets: 34_530,
        lost: 12,
        lost_percent: Real::percent(12.0, 34_530.0),
        lost_in: LostIn::Tunnel,
        jitter_us: real(84.0),
        reordered: Some(3),
        duplicates: None,
    });
    let mut result = result(local(), remote(), vec![phase]);
    result.usage.remaining_bytes = Some(0);
    result.warnings = vec![
        "the data port could not be reached, so data was sent through the tunnel: loss and jitter are the tunnel's"
            .to_owned(),
    ];
    result
}

/// Against a stock iperf3 server, on a host that tells nothing.
pub(crate) fn stock() -> TestResult {
    let load = Load {
        mbps: 2_940.0,
        streams: 2,
        unsteady: 0.05,
        seconds: 5,
        rtt_us: 310.0,
        min_rtt_us: 45,
        retransmits: 0,
        seed: 0x5eed_0005,
    };
    let mut phase = phase("up", &load, limit(By::Unknown, Cause::Unknown, Vec::new()));
    phase.test_id = None;
    phase.cpu.remote_s_per_gb = real(0.9);
    let remote = Remote {
        target: "iperf.example.org:5201".to_owned(),
        kind: RemoteKind::Iperf3,
        address: Some("198.51.100.9".to_owned()),
        ..Remote::default()
    };
    let mut result = result(Local { cores: Some(8), ..Local::default() }, remote, vec![phase]);
    result.usage.remaining_bytes = None;
    result
}

/// Nothing is absent.
pub(crate) fn complete() -> TestResult {
    let mut tunneled = down();
    tunneled.mode = PhaseMode::Tunneled;
    for echo in [&mut tunneled.echo_idle, &mut tunneled.echo_loaded].into_iter().flatten() {
        (echo.method, echo.lost_in) = (EchoMethod::Tunneled, LostIn::Tunnel);
    }
    let mut datagrams = up();
    datagrams.transport = Some(Transport::Udp);
    datagrams
        .streams
        .iter_mut()
        .for_each(|stream| *stream = Stream::new(stream.id, stream.bytes, 10.0, None));
    datagrams.udp =
        Some(Udp { duplicates: Some(0), lost_in: LostIn::Path, ..cut().phases.remove(0).udp.unwrap() });
    let mut all = result(local(), remote(), vec![down(), up(), tunneled, datagrams]);
    all.tunnel_tax = Some(TunnelTax {
        pairs: 2,
        rate_ratio: real(0.82),
        cpu_ratio: real(2.4),
        echo_p50_difference_us: real(310.5),
    });
    all.list_missing(|_| None);
    all
}
