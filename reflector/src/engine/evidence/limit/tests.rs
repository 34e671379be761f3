use super::*;
use crate::engine::evidence::Evidence;
use crate::engine::evidence::cpu::CpuUse;
use crate::engine::evidence::nic::NicUse;
use crate::engine::evidence::tcp::{Stream, TcpSummary};
use crate::engine::evidence::thermal::Thermal;
use crate::link::message::Mode;
use crate::reason::EndReason;

/// A run, and what each end saw of it. Starts as one that nothing limited.
#[derive(Clone)]
struct Run {
    direction: Direction,
    mode: Mode,
    end_reason: Option<EndReason>,
    bytes: u64,
    mbps: f64,
    asked_mbps: Option<f64>,
    granted: Granted,
    udp: Option<UdpFacts>,
    loaded_echo_us: Option<f64>,
    idle_echo_us: Option<f64>,
    client: Evidence,
    reflector: Evidence,
}

/// A change with a name.
type Named<T> = (&'static str, fn(&mut T));

fn healthy_tcp(id: u32) -> Stream {
    let summary = TcpSummary {
        retransmits: Some(9),
        segments: Some(100_000),
        rtt_us: Real::of(11_900.0),
        min_rtt_us: Some(10_000),
        busy_ms: Some(9_800),
        rwnd_limited_ms: Some(700),
        sndbuf_limited_ms: Some(400),
        pmtu_bytes: Some(1500),
        ..TcpSummary::default()
    };
    Stream { id, summary, sample_interval_ms: 100, samples: Vec::new() }
}

fn host(speed: u64) -> Evidence {
    Evidence {
        tcp_info: vec![healthy_tcp(1), healthy_tcp(3)],
        cpu: Some(CpuUse {
            busiest_thread_percent: Real::of(61.0),
            busiest_core_percent: Real::of(99.0),
            busiest_softirq_percent: Real::of(23.0),
            cgroup_throttled_periods: Some(0),
            ..CpuUse::default()
        }),
        nic: Some(NicUse { speed_mbps: Some(speed), mtu_bytes: Some(1500), ..NicUse::default() }),
        thermal: Some(Thermal {
            firmware_throttled: Some(false),
            under_voltage: Some(false),
            throttle_events: Some(0),
        }),
        clock: None,
    }
}

fn run(direction: Direction) -> Run {
    Run {
        direction,
        mode: Mode::DirectEphemeral,
        end_reason: Some(EndReason::Completed),
        bytes: 625_000_000,
        mbps: 500.0,
        asked_mbps: None,
        granted: Granted { duration_s: Some(10.0), bytes: Some(5_000_000_000), mbps: Some(900.0) },
        udp: None,
        loaded_echo_us: Some(15_000.0),
        idle_echo_us: Some(9_700.0),
        client: host(1000),
        reflector: host(2500),
    }
}

impl Run {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn limit(&self) -> Limit {
        decide(&Facts {
            direction: self.direction,
            mode: self.mode,
            end_reason: self.end_reason,
            run_s: 10.0,
            bytes: self.bytes,
            mbps: Real::of(self.mbps),
            asked_mbps: self.asked_mbps,
            granted: self.granted,
            udp: self.udp,
            loaded_echo_us: self.loaded_echo_us,
            idle_echo_us: self.idle_echo_us,
            local: &self.client,
            reflector: &self.reflector,
        })
    }
}

fn up() -> Run {
    run(Direction::Up)
}

fn each_stream(host: &mut Evidence, change: impl Fn(&mut TcpSummary)) {
    host.tcp_info.iter_mut().for_each(|stream| change(&mut stream.summary));
}

fn cpu(host: &mut Evidence) -> &mut CpuUse {
    host.cpu.as_mut().unwrap()
}

fn nic(host: &mut Evidence) -> &mut NicUse {
    host.nic.as_mut().unwrap()
}

fn thermal(host: &mut Evidence) -> &mut Thermal {
    host.thermal.as_mut().unwrap()
}

/// Judged alone: one culprit, this signal first, and nothing else.
#[track_caller]
fn is_only(run: &Run, expected: &str, signal: &str, side: Side) {
    let limit = run.limit();
    assert_eq!(format!("{}/{}", limit.by, limit.cause), expected, "{limit:?}");
    assert_eq!(limit.also, [], "{limit:?}");
    assert_eq!((limit.evidence[0].signal.as_str(), limit.evidence[0].side), (signal, side), "{limit:?}");
}

/// H7
#[test]
fn nothing_found_is_unknown_and_never_a_guess() {
    for direction in [Direction::Up, Direction::Down] {
        let limit = run(direction).limit();
        assert_eq!((limit.by, limit.cause), (By::Unknown, Cause::Unknown), "{limit:?}");
        assert!(limit.also.is_empty() && limit.evidence.is_empty());
    }
    let nothing_known = Run { client: Evidence::default(), reflector: Evidence::default(), ..up() }
        .with(|run| (run.loaded_echo_us, run.idle_echo_us, run.end_reason) = (None, None, None));
    assert_eq!(nothing_known.limit().by, By::Unknown);
}

#[test]
fn a_cut_by_the_owner_is_policy() {
    for (reason, cause) in [
        (EndReason::DurationCap, "policy/duration"),
        (EndReason::WindowClosed, "policy/duration"),
        (EndReason::QuotaExceeded, "policy/quota"),
        (EndReason::RateExceeded, "policy/rate"),
    ] {
        let cut = up().with(|run| run.end_reason = Some(reason));
        is_only(&cut, cause, &format!("end_reason_{reason}"), Side::Reflector);
    }
    for no_cut in [EndReason::Completed, EndReason::Revoked, EndReason::ClientTerminated] {
        assert_eq!(up().with(|run| run.end_reason = Some(no_cut)).limit().by, By::Unknown);
    }
}

#[test]
fn a_run_close_to_a_cap_was_held_by_it() {
    is_only(&up().with(|run| run.bytes = 4_850_000_000), "policy/quota", "bytes", Side::Reflector);
    assert_eq!(up().with(|run| run.bytes = 4_849_999_999).limit().by, By::Unknown);
    let at = |mbps| up().with(|run| (run.mbps, run.granted.mbps) = (mbps, Some(600.0)));
    is_only(&at(582.0), "policy/rate", "mbps", Side::Reflector);
    assert_eq!(at(581.9).limit().by, By::Unknown);
}

#[test]
fn a_test_that_asked_for_no_more_was_limited_by_itself() {
    is_only(&up().with(|run| run.asked_mbps = Some(510.0)), "application/rate", "mbps", Side::Local);
    assert_eq!(up().with(|run| run.asked_mbps = Some(520.0)).limit().by, By::Unknown);
    // One stream that was busy is enough.
    let idle = |ms| {
        run(Direction::Down).with(|run| {
            each_stream(&mut run.reflector, |tcp| tcp.busy_ms = Some(6000));
            run.reflector.tcp_info[1].summary.busy_ms = Some(ms);
        })
    };
    is_only(&idle(7999), "application/idle", "sender_busy_percent", Side::Reflector);
    assert_eq!(idle(8000).limit().by, By::Unknown);
    // Its thread wanted to run, and there was no core for it.
    let crowded = idle(7999).with(|run| cpu(&mut run.reflector).wanting_thread_percent = Real::of(70.0));
    is_only(&crowded, "reflector-host/cpu", "wanting_thread_percent", Side::Reflector);
}

/// H7: every sign of a slow processor, at either end, in either direction.
#[test]
fn a_processor_at_its_limit_is_named_with_its_host() {
    let signs: [Named<Evidence>; 6] = [
        ("busiest_thread_percent", |host| cpu(host).busiest_thread_percent = Real::of(90.0)),
        ("busiest_softirq_percent", |host| cpu(host).busiest_softirq_percent = Real::of(91.0)),
        ("wanting_thread_percent", |host| cpu(host).wanting_thread_percent = Real::of(70.0)),
        ("cgroup_throttled_periods", |host| cpu(host).cgroup_throttled_periods = Some(1)),
        ("firmware_throttled", |host| thermal(host).firmware_throttled = Some(true)),
        ("throttle_events", |host| thermal(host).throttle_events = Some(2)),
    ];
    for (signal, raise) in signs {
        is_only(&up().with(|run| raise(&mut run.client)), "sender/cpu", signal, Side::Local);
        let down = run(Direction::Down);
        is_only(&down.clone().with(|run| raise(&mut run.client)), "receiver/cpu", signal, Side::Local);
        for run in [up(), down] {
            let slow = run.with(|run| raise(&mut run.reflector));
            is_only(&slow, "reflector-host/cpu", signal, Side::Reflector);
        }
    }
    let nearly = up().with(|run| cpu(&mut run.client).busiest_thread_percent = Real::of(89.9));
    assert_eq!(nearly.limit().by, By::Unknown);
}

/// H7: 1000 Mbit/s × 1448/1538 × 92 % = 866.16 Mbit/s; at MTU 9000 it is 910.9.
#[test]
fn a_link_at_its_speed_is_named_at_either_end() {
    let at = |mbps| up().with(|run| (run.mbps, run.granted.mbps) = (mbps, None));
    is_only(&at(866.2), "nic/speed", "mbps", Side::Local);
    assert_eq!(at(866.1).limit().by, By::Unknown);
    let slow_reflector = at(87.0).with(|run| nic(&mut run.reflector).speed_mbps = Some(100));
    is_only(&slow_reflector, "nic/speed", "mbps", Side::Reflector);
    let jumbo = |mbps| {
        at(mbps).with(|run| {
            nic(&mut run.client).mtu_bytes = Some(9000);
            each_stream(&mut run.client, |tcp| tcp.pmtu_bytes = Some(9000));
        })
    };
    assert_eq!(jumbo(910.0).limit().by, By::Unknown);
    assert_eq!(jumbo(911.0).limit().by, By::Nic);
    let no_speed = at(5000.0).with(|run| {
        nic(&mut run.client).speed_mbps = None;
        run.reflector.nic = None;
    });
    assert_eq!(no_speed.limit().by, By::Unknown);
}

#[test]
fn windows_and_buffers_are_read_from_the_senders_clock() {
    let window = up().with(|run| each_stream(&mut run.client, |tcp| tcp.rwnd_limited_ms = Some(4900)));
    is_only(&window, "receiver/window", "rwnd_limited_percent_of_busy", Side::Local);
    let below = up().with(|run| each_stream(&mut run.client, |tcp| tcp.rwnd_limited_ms = Some(4899)));
    assert_eq!(below.limit().by, By::Unknown);
    let buffer = run(Direction::Down)
        .with(|run| each_stream(&mut run.reflector, |tcp| tcp.sndbuf_limited_ms = Some(4900)));
    is_only(&buffer, "sender/buffer", "sndbuf_limited_percent_of_busy", Side::Reflector);
    // The receiver's own sockets sent nothing: what they say does not count.
    let other_end = up().with(|run| each_stream(&mut run.reflector, |tcp| tcp.rwnd_limited_ms = Some(9000)));
    assert_eq!(other_end.limit().by, By::Unknown);
}

#[test]
fn a_path_with_smaller_packets_and_retransmits_is_an_mtu_limit() {
    let narrow = up().with(|run| run.client.tcp_info[1].summary.pmtu_bytes = Some(1420));
    is_only(&narrow, "network/mtu", "path_mtu_bytes", Side::Path);
    let clean = narrow.with(|run| each_stream(&mut run.client, |tcp| tcp.retransmits = Some(0)));
    assert_eq!(clean.limit().by, By::Unknown);
    let loopback = up().with(|run| {
        nic(&mut run.client).mtu_bytes = Some(65_536);
        each_stream(&mut run.client, |tcp| tcp.pmtu_bytes = Some(65_535));
    });
    assert_eq!(loopback.limit().by, By::Unknown);
    let fragments = up().with(|run| {
        run.udp = Some(UdpFacts { packets: 1000, lost: 0 });
        nic(&mut run.reflector).reassembly_failures = Some(4);
    });
    is_only(&fragments, "network/mtu", "reassembly_failures", Side::Reflector);
    // Without UDP in the test they are somebody else's.
    assert_eq!(fragments.with(|run| run.udp = None).limit().by, By::Unknown);
}

#[test]
fn loss_counts_when_the_congestion_window_held_the_sender() {
    let resent = |count| up().with(|run| each_stream(&mut run.client, |tcp| tcp.retransmits = Some(count)));
    is_only(&resent(101), "network/loss", "retransmit_percent", Side::Path);
    assert_eq!(resent(100).limit().by, By::Unknown);
    let held_elsewhere = resent(101).with(|run| {
        each_stream(&mut run.client, |tcp| {
            (tcp.rwnd_limited_ms, tcp.sndbuf_limited_ms) = (Some(4000), Some(1000));
        });
    });
    assert_eq!(held_elsewhere.limit().by, By::Unknown);
}

#[test]
fn lost_datagrams_are_loss_unless_the_receiver_dropped_them() {
    let lost = |lost| up().with(|run| run.udp = Some(UdpFacts { packets: 100_000, lost }));
    is_only(&lost(101), "network/loss", "udp_lost_percent", Side::Path);
    assert_eq!(lost(100).limit().by, By::Unknown);
    let own = lost(101).with(|run| nic(&mut run.reflector).udp_receive_buffer_drops = Some(1));
    assert_eq!(own.limit().by, By::Unknown);
}

/// X8
#[test]
fn what_is_lost_in_a_tunnel_is_never_called_a_loss_of_the_network() {
    let tunneled = up().with(|run| {
        run.mode = Mode::Tunneled;
        run.udp = Some(UdpFacts { packets: 100_000, lost: 40_000 });
        nic(&mut run.reflector).reassembly_failures = Some(7);
        // Echoes wait in the tunnel's queues.
        run.loaded_echo_us = Some(900_000.0);
    });
    assert_eq!((tunneled.limit().by, tunneled.limit().evidence), (By::Unknown, Vec::new()));
    // The tunnel is TCP on the path, and what that sends again the path did lose.
    let path = tunneled.with(|run| {
        each_stream(&mut run.client, |tcp| {
            (tcp.retransmits, tcp.rwnd_limited_ms, tcp.sndbuf_limited_ms) = (Some(500), Some(0), Some(0));
        });
    });
    let limit = path.limit();
    assert_eq!((limit.by, limit.cause), (By::Network, Cause::Loss));
    assert!(limit.evidence.iter().all(|signal| signal.signal != "udp_lost_percent"), "{limit:?}");
}

#[test]
fn waiting_twice_the_paths_own_time_is_a_queue() {
    let loaded = |us| up().with(|run| run.loaded_echo_us = Some(us));
    is_only(&loaded(19_400.0), "network/queue", "loaded_rtt_us", Side::Path);
    assert_eq!(loaded(19_399.0).limit().by, By::Unknown);
    // Without echoes the kernel's own round-trip time counts.
    let no_echo = up().with(|run| (run.loaded_echo_us, run.idle_echo_us) = (None, None));
    assert_eq!(no_echo.limit().by, By::Unknown);
    let slow = no_echo.with(|run| each_stream(&mut run.client, |tcp| tcp.rtt_us = Real::of(20_000.0)));
    is_only(&slow, "network/queue", "loaded_rtt_us", Side::Path);
}

/// The order of the table: whichever two of the rules match, the earlier one is the limit and the later one is `also`.
#[test]
fn the_first_rule_of_the_table_wins_and_the_rest_are_also() {
    let rules: [Named<Run>; 13] = [
        ("policy/duration", |run| run.end_reason = Some(EndReason::DurationCap)),
        ("policy/quota", |run| run.granted.bytes = Some(run.bytes)),
        ("policy/rate", |run| run.granted.mbps = Some(500.0)),
        ("application/rate", |run| run.asked_mbps = Some(500.0)),
        ("application/idle", |run| {
            each_stream(&mut run.client, |tcp| {
                let share = |part: Option<u64>| part.map(|ms| ms * 5000 / 9800);
                (tcp.rwnd_limited_ms, tcp.sndbuf_limited_ms) =
                    (share(tcp.rwnd_limited_ms), share(tcp.sndbuf_limited_ms));
                tcp.busy_ms = Some(5000);
            });
        }),
        ("sender/cpu", |run| cpu(&mut run.client).busiest_thread_percent = Real::of(99.0)),
        ("reflector-host/cpu", |run| cpu(&mut run.reflector).busiest_softirq_percent = Real::of(98.0)),
        ("nic/speed", |run| nic(&mut run.client).speed_mbps = Some(100)),
        ("receiver/window", |run| {
            each_stream(&mut run.client, |tcp| tcp.rwnd_limited_ms = tcp.busy_ms.map(|ms| ms / 2));
        }),
        ("sender/buffer", |run| {
            each_stream(&mut run.client, |tcp| tcp.sndbuf_limited_ms = tcp.busy_ms.map(|ms| ms / 2));
        }),
        ("network/mtu", |run| each_stream(&mut run.client, |tcp| tcp.pmtu_bytes = Some(1280))),
        ("network/loss", |run| run.udp = Some(UdpFacts { packets: 10, lost: 1 })),
        ("network/queue", |run| run.loaded_echo_us = Some(50_000.0)),
    ];
    for (index, (earlier, first)) in rules.iter().enumerate() {
        for (later, second) in rules.iter().skip(index + 1) {
            let mut run = up();
            first(&mut run);
            second(&mut run);
            let limit = run.limit();
            let also: Vec<String> =
                limit.also.iter().map(|also| format!("{}/{}", also.by, also.cause)).collect();
            assert_eq!(format!("{}/{}", limit.by, limit.cause), *earlier, "with {later}: {limit:?}");
            assert_eq!(also, [*later], "with {earlier}: {limit:?}");
        }
    }
    let mut all = up();
    for (_, change) in rules {
        change(&mut all);
    }
    let also: Vec<String> =
        all.limit().also.iter().map(|also| format!("{}/{}", also.by, also.cause)).collect();
    assert_eq!(also, rules[1..].iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

/// H7, E13: without a client that tells anything, for audit and status.
#[test]
fn a_reflector_judges_by_what_it_knows_alone() {
    let mut seen = host(1000);
    let judge =
        |seen: &Evidence, direction| decide(&Facts::of_reflector(direction, 10.0, 1_150_000_000, seen));
    assert_eq!(judge(&seen, Direction::Down).by, By::Nic);
    cpu(&mut seen).busiest_thread_percent = Real::of(97.0);
    let limit = decide(&Facts {
        end_reason: Some(EndReason::QuotaExceeded),
        ..Facts::of_reflector(Direction::Up, 10.0, 1_150_000_000, &seen)
    });
    let also: Vec<(By, Cause)> = limit.also.iter().map(|also| (also.by, also.cause)).collect();
    assert_eq!((limit.by, limit.cause), (By::Policy, Cause::Quota));
    assert_eq!(also, [(By::ReflectorHost, Cause::Cpu), (By::Nic, Cause::Speed)]);
}

#[test]
fn a_limit_survives_json() {
    let limit = up().with(|run| (run.bytes, run.loaded_echo_us) = (4_900_000_000, Some(99_999.9))).limit();
    let text = serde_json::to_string(&limit).unwrap();
    assert_eq!(serde_json::from_str::<Limit>(&text).unwrap(), limit);
    assert_eq!(
        text,
        r#"{"by":"policy","cause":"quota","also":[{"by":"network","cause":"queue"}],"evidence":[{"signal":"bytes","value":4900000000.0,"threshold":4850000000.0,"side":"reflector"},{"signal":"loaded_rtt_us","value":99999.9,"threshold":19400.0,"side":"path"}]}"#
    );
    for by in By::ALL {
        assert_eq!(serde_json::to_value(by).unwrap(), by.as_str());
    }
    for cause in Cause::ALL {
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
    }
    for side in Side::ALL {
        assert_eq!(serde_json::to_value(side).unwrap(), side.as_str());
    }
}
