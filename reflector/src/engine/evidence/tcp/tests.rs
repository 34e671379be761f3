use super::*;

fn state(tick: u32) -> TcpState {
    TcpState {
        at_ms: tick * SAMPLE_INTERVAL_MS,
        rtt_us: 1000 + tick,
        min_rtt_us: Some(900 - tick.min(100)),
        cwnd_bytes: u64::from(tick) * 10,
        snd_wnd_bytes: Some(70_000),
        delivery_rate_bytes_per_s: Some(125_000),
        retransmits: u64::from(tick) * 2,
        segments: Some(u64::from(tick) * 3),
        busy_us: Some(u64::from(tick) * 99_000),
        rwnd_limited_us: Some(5_999),
        sndbuf_limited_us: Some(7_000),
        pmtu_bytes: 1500,
        reord_seen: Some(4),
    }
}

fn series(streams: usize, ticks: u32) -> Series {
    let mut series = Series::new(streams);
    (0..ticks).for_each(|tick| series.push(state(tick)));
    series
}

#[test]
fn a_stream_is_what_its_samples_say() {
    let stream = series(1, 11).finish(3, Some("cubic".to_owned())).unwrap();
    assert_eq!((stream.id, stream.sample_interval_ms, stream.samples.len()), (3, 100, 11));
    assert_eq!(
        stream.summary,
        TcpSummary {
            retransmits: Some(20),
            segments: Some(30),
            rtt_us: Real::of(1005.0),
            min_rtt_us: Some(890),
            cwnd_bytes: Some(50),
            snd_wnd_bytes: Some(70_000),
            delivery_rate_mbps: Real::of(1.0),
            busy_ms: Some(990),
            rwnd_limited_ms: Some(5),
            sndbuf_limited_ms: Some(7),
            pmtu_bytes: Some(1500),
            reord_seen: Some(4),
            congestion: Some("cubic".to_owned()),
        }
    );
    assert_eq!(Series::new(1).finish(1, None), None);
}

/// However long the run: bounded, evenly spread from the first to the last, and the mean is of all samples.
#[test]
fn samples_are_bounded_and_cover_the_whole_run() {
    for (streams, ticks) in [(1, 600), (1, 601), (1, 36_000), (16, 600), (16, 257), (128, 5_000)] {
        let stream = series(streams, ticks).finish(1, None).unwrap();
        let most = (MAX_SAMPLES_PER_SESSION / streams).min(MAX_SAMPLES_PER_STREAM);
        assert!(
            stream.samples.len() <= most && stream.samples.len() * 2 >= most.min(ticks as usize),
            "{ticks}"
        );
        let steps: Vec<u32> = stream.samples.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect();
        assert!(steps.iter().all(|step| *step == stream.sample_interval_ms), "{ticks}: {steps:?}");
        assert_eq!(stream.samples[0].at_ms, 0);
        let last = stream.samples.last().unwrap().at_ms;
        assert!(ticks * 100 - last <= stream.sample_interval_ms, "{ticks}: {last}");
        assert_eq!(stream.summary.rtt_us, Real::of(1000.0 + f64::from(ticks - 1) / 2.0));
    }
}

/// As many streams as there may be, and still room in a frame.
#[test]
fn all_samples_of_a_session_fit_into_a_frame() {
    let longest = TcpState { at_ms: u32::MAX, rtt_us: u32::MAX, cwnd_bytes: u64::MAX / 2, ..state(1) };
    let mut series = series(16, 0);
    (0..MAX_SAMPLES_PER_STREAM).for_each(|_| series.push(longest));
    let one = serde_json::to_string(&series.finish(1, None).unwrap()).unwrap();
    assert!(one.len() * 16 < 512 * 1024, "{}", one.len());
}

#[test]
fn a_kernel_that_has_not_measured_yet_gives_no_round_trip_time() {
    let mut series = Series::new(1);
    let fresh =
        TcpInfo { min_rtt: Some(std::time::Duration::from_micros(u32::MAX.into())), ..TcpInfo::default() };
    series.push(TcpState::new(0, &fresh));
    assert_eq!(series.rtt_us(), None);
    let summary = series.finish(1, None).unwrap().summary;
    assert_eq!((summary.rtt_us, summary.min_rtt_us, summary.busy_ms), (None, None, None));
}

#[test]
fn the_round_trip_time_of_an_interval_is_the_mean_of_its_samples() {
    let streams = [series(1, 5).finish(1, None).unwrap(), series(1, 3).finish(3, None).unwrap()];
    // At 100, 200 and 300 ms, the last only of the first one.
    assert_eq!(mean_rtt_us(&streams, 201, 301), Real::of((1002.0 + 1003.0 + 1002.0) / 3.0));
    assert_eq!(mean_rtt_us(&streams, 401, 500), Real::of(1004.0));
    assert_eq!(mean_rtt_us(&streams, 501, 600), None);
}
