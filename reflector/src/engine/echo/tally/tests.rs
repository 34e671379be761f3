use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

/// What the wall clocks say when ours that never goes back says 0. Theirs is half a second ahead.
const WALL: u64 = 1_700_000_000_000 * MS;
const AHEAD: u64 = WALL + 500 * MS;

/// A server that sees what gets there, and a clock that advances 10 ms with each request.
struct Path {
    tally: Tally,
    now: u64,
    answered: u32,
}

impl Path {
    fn new() -> Self {
        Self { tally: Tally::new(Base::default(), 0), now: 0, answered: 0 }
    }

    fn send(&mut self) -> u64 {
        self.now += 10 * MS;
        self.tally.send(self.now)
    }

    /// The server answers: what the reply will say.
    fn answer(&mut self, seq: u64) -> Arrival {
        self.answered = self.answered.wrapping_add(1);
        let (received, source) = (AHEAD + self.now + 3 * MS, StampSource::Kernel);
        let told = Told { received, inside: MS, answered: self.answered, source };
        let at = self.now + 5 * MS;
        Arrival { seq, at, wall: WALL + at, source, told: Some(told) }
    }

    fn there_and_back(&mut self) {
        let seq = self.send();
        let reply = self.answer(seq);
        self.tally.arrive(reply);
    }
}

/// E7
#[test]
fn round_trip_leaves_out_the_time_in_the_server() {
    let mut path = Path::new();
    path.there_and_back();
    let report = path.tally.report();
    let rtt = report.rtt.unwrap();
    assert!((rtt.p50_us - 4000.0).abs() < 4.0, "{rtt:?}");
    assert_eq!((report.sent, report.lost(), report.samples.len()), (1, 0, 1));
    assert!((report.samples[0].rtt_us - 4000.0).abs() < f64::EPSILON);
    assert_eq!(report.server_stamp.as_deref(), Some("kernel"));
    assert_eq!(report.client_stamp.as_deref(), Some("kernel"));
}

/// E7, X7
#[test]
fn loss_is_told_by_direction_and_behind_the_last_reply_by_none() {
    let mut path = Path::new();
    path.there_and_back();
    for _ in 0..3 {
        path.send();
    }
    for _ in 0..2 {
        let seq = path.send();
        path.answer(seq);
    }
    path.there_and_back();
    for _ in 0..4 {
        path.send();
    }
    let report = path.tally.report();
    assert_eq!((report.lost_up, report.lost_down, report.lost_unknown), (Some(3), Some(2), 4));
    assert_eq!(report.lost(), report.sent - report.rtt.unwrap().n);
}

#[test]
fn what_the_server_dropped_by_its_limit_is_no_loss_of_the_path() {
    let mut report = Report { lost_up: Some(5), lost_down: Some(1), ..Report::default() };
    report.excuse(3);
    assert_eq!((report.lost_up, report.lost()), (Some(2), 3));
    report.excuse(30);
    assert_eq!((report.lost_up, report.lost()), (Some(0), 1));
}

#[test]
fn without_keys_nobody_can_tell_the_direction() {
    let mut path = Path::new();
    path.send();
    let seq = path.send();
    let at = path.now + MS;
    path.tally.arrive(Arrival { seq, at, wall: WALL + at, source: StampSource::User, told: None });
    let report = path.tally.report();
    assert_eq!((report.lost_up, report.lost_down, report.lost_unknown), (None, None, 1));
    assert_eq!((report.client_stamp.as_deref(), report.server_stamp), (Some("user"), None));
}

#[test]
fn again_behind_and_too_late_are_counted_apart() {
    let mut path = Path::new();
    let (first, second, third) = (path.send(), path.send(), path.send());
    let (one, two, three) = (path.answer(first), path.answer(second), path.answer(third));
    path.tally.arrive(three);
    path.tally.arrive(two);
    path.tally.arrive(two);
    path.tally.arrive(Arrival { at: one.at + LOST_AFTER_NS, ..one });
    // Never sent, and of an earlier phase.
    path.tally.arrive(Arrival { seq: 4, ..one });
    path.tally.arrive(Arrival { seq: 0, ..one });
    let report = path.tally.report();
    assert_eq!((report.duplicate, report.reordered, report.late), (1, 1, 1));
    assert_eq!((report.lost_up, report.lost_down), (Some(0), Some(1)));
    assert_eq!(report.rtt.unwrap().n, 2);
}

#[test]
fn two_seconds_are_in_time_no_more() {
    for (late_by, in_time) in [(0, false), (1, true)] {
        let mut path = Path::new();
        let seq = path.send();
        let reply = path.answer(seq);
        path.tally.arrive(Arrival { at: path.now + LOST_AFTER_NS - late_by, ..reply });
        assert_eq!(path.tally.report().rtt.is_some(), in_time);
    }
}

#[test]
fn open_requests_are_waited_for_two_seconds() {
    let mut path = Path::new();
    path.there_and_back();
    assert!(!path.tally.is_open());
    path.send();
    path.tally.expire(path.now + LOST_AFTER_NS - 1);
    assert!(path.tally.is_open());
    path.tally.expire(path.now + LOST_AFTER_NS);
    assert!(!path.tally.is_open());
}

/// E11: idle, then loaded, on one session and one row of numbers.
#[test]
fn phases_share_the_numbers_and_keep_their_losses_apart() {
    let mut path = Path::new();
    path.there_and_back();
    path.send();
    path.there_and_back();
    let mut idle = path.tally.clone();
    let in_flight = { path.send() };
    idle.send(path.now);
    path.tally = Tally::new(idle.next_base(), path.now);
    assert!(!path.tally.begins_before(in_flight));
    let reply = path.answer(in_flight);
    idle.arrive(reply);
    path.there_and_back();
    let seq = path.send();
    path.answer(seq);
    path.there_and_back();
    let (idle, loaded) = (idle.report(), path.tally.report());
    assert_eq!((idle.sent, idle.lost_up, idle.lost_down, idle.lost_unknown), (4, Some(1), Some(0), 0));
    assert_eq!(
        (loaded.sent, loaded.lost_up, loaded.lost_down, loaded.lost_unknown),
        (3, Some(0), Some(1), 0)
    );
}

/// E7
#[test]
fn one_way_delays_are_the_differences_of_the_two_clocks() {
    let mut path = Path::new();
    for _ in 0..MAX_SAMPLES * 2 {
        path.there_and_back();
    }
    let OneWay { up, down } = path.tally.report().one_way.unwrap();
    // 3 ms there and 1 ms back, each off by what the clocks are apart.
    for (spread, expected) in [(up, 503_000.0), (down, -499_000.0)] {
        for delay in [spread.min_us, spread.p50_us, spread.p95_us] {
            assert!((delay - expected).abs() < 1e-6, "{spread:?}");
        }
    }
    let mut legacy = Path::new();
    let seq = legacy.send();
    let reply = legacy.answer(seq);
    legacy.tally.arrive(Arrival { told: None, ..reply });
    assert_eq!(legacy.tally.report().one_way, None);
}

#[test]
fn a_server_whose_clock_was_set_does_not_shorten_a_round_trip() {
    let mut path = Path::new();
    let seq = path.send();
    let reply = path.answer(seq);
    let told = Told { inside: 3_600_000 * MS, ..reply.told.unwrap() };
    path.tally.arrive(Arrival { told: Some(told), ..reply });
    assert!((path.tally.report().rtt.unwrap().p50_us - 5000.0).abs() < 5.0);
}

#[test]
fn samples_are_bounded_and_spread_over_the_whole_phase() {
    let mut path = Path::new();
    for _ in 0..MAX_SAMPLES * 5 + 3 {
        path.there_and_back();
    }
    let samples = path.tally.report().samples;
    assert!(samples.len() <= MAX_SAMPLES && samples.len() > MAX_SAMPLES / 2, "{}", samples.len());
    let step = samples[1].at_ms - samples[0].at_ms;
    assert!(samples.windows(2).all(|two| (two[1].at_ms - two[0].at_ms - step).abs() < 1e-6));
    let last = Duration::from_secs_f64(samples[samples.len() - 1].at_ms / 1e3);
    assert!(Duration::from_nanos(path.now) < last + Duration::from_millis(90), "{last:?}");
}

#[test]
fn the_count_of_answers_survives_its_32_bits() {
    for (asked, answered) in
        [(5, 5_u64), (1 << 32, (1 << 32) - 1), ((7 << 32) + 3, (7 << 32) + 2), ((7 << 32) + 3, (6 << 32) + 9)]
    {
        #[expect(clippy::cast_possible_truncation, reason = "as on the wire")]
        let low = answered as u32;
        assert_eq!(unwrapped(low, asked), answered);
    }
}

proptest! {
    /// Any loss in either direction: everything sent is accounted for once.
    #[test]
    fn sent_is_received_and_lost(fates in prop::collection::vec(0_u8..4, 1..300)) {
        let mut path = Path::new();
        let (mut up, mut down, mut since_last) = (0, 0, (0, 0));
        for fate in fates {
            let seq = path.send();
            match fate {
                0 => { since_last.0 += 1; }
                1 => { path.answer(seq); since_last.1 += 1; }
                _ => {
                    let reply = path.answer(seq);
                    path.tally.arrive(reply);
                    up += since_last.0;
                    down += since_last.1;
                    since_last = (0, 0);
                }
            }
        }
        let report = path.tally.report();
        let received = report.rtt.map_or(0, |rtt| rtt.n);
        prop_assert_eq!(report.sent, received + report.lost());
        if received > 0 {
            prop_assert_eq!((report.lost_up, report.lost_down), (Some(up), Some(down)));
        }
        prop_assert_eq!(report.lost_unknown, since_last.0 + since_last.1);
    }
}
