//! One test from its cookie to its last byte.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::carrier::Carrier;
use super::control::{Control, Stop};
use super::flow::{Flow, Way};
use super::series::STEP;
use super::streams::{tcp_source, total, udp_sink, udp_source};
use super::{Ending, Outcome, Setup, ThroughputError};
use crate::engine::evidence::{self, Sampler};
use crate::engine::iperf::results::{self, Retransmits};
use crate::engine::iperf::{Cookie, Results, State, Transport, stream_id};
use crate::engine::purse::{Limited, Purse, Unlimited};

/// For threads to notice that they are frozen; their calls wait 100 ms at most.
const FREEZE: Duration = Duration::from_secs(2);

/// What is known when data may flow, every 100 ms, and when the test is over.
#[derive(Clone, Copy)]
pub struct Tick<'a> {
    /// Which of these it is.
    pub stage: Stage,
    /// Since data may flow.
    pub at: Duration,
    /// Up before down.
    pub flows: &'a [Flow],
    /// Smoothed round-trip time of what we send.
    pub rtt: Option<Duration>,
}

/// Where a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Data may flow from now on.
    Begins,
    /// It flows.
    Runs,
    /// It is over; the last words are being exchanged.
    Over,
}

/// Told at each tick; must not block.
pub type Watch<'a> = dyn FnMut(Tick<'_>) + Send + 'a;

/// Runs one test. An error means that nothing was measured; whatever was measured is an outcome, however it ended.
pub async fn run(
    setup: &Setup,
    carrier: &dyn Carrier,
    stop: &CancellationToken,
    watch: &mut Watch<'_>,
) -> Result<Outcome, ThroughputError> {
    let cookie = Cookie::random().map_err(ThroughputError::Random)?;
    let stream = carrier.control().await.map_err(ThroughputError::Unreachable)?;
    let opened = async {
        let mut control = Control::open(stream, &cookie).await?;
        let flows = open(setup, carrier, &mut control, cookie).await?;
        Ok((control, flows))
    };
    let opened = tokio::select! {
        opened = opened => opened,
        () = stop.cancelled() => Err(Stop::Ended(Ending::Interrupted)),
    };
    match opened {
        Ok((control, flows)) => {
            let sampler = sampler(setup, &flows);
            let test = Test { setup, control, flows, sampler, began: Instant::now() };
            Ok(test.run(stop, watch).await)
        }
        Err(Stop::Ended(ending)) => Ok(Outcome::nothing(ending)),
        Err(Stop::Broken(error)) => Err(error),
    }
}

/// Up to the moment when data may flow.
async fn open(
    setup: &Setup,
    carrier: &dyn Carrier,
    control: &mut Control,
    cookie: Cookie,
) -> Result<Vec<Flow>, Stop> {
    let parameters = &setup.parameters;
    control.expect(State::ParamExchange).await?;
    control.send_json(&parameters.to_json()).await?;
    control.expect(State::CreateStreams).await?;
    // What comes in is read on after the end: a server whose bytes nobody takes does not hear that it is over.
    let purse = |way| -> Arc<dyn Purse> {
        match (total(parameters), way) {
            (0, _) | (_, Way::Down) => Arc::new(Unlimited),
            (bytes, Way::Up) => Arc::new(Limited::new(bytes)),
        }
    };
    let ways: &[Way] = match (parameters.bidirectional, parameters.reverse) {
        (true, _) => &[Way::Up, Way::Down],
        (false, true) => &[Way::Down],
        (false, false) => &[Way::Up],
    };
    let mut flows = Vec::new();
    let mut index = 0;
    for way in ways {
        let knows_arrivals = carrier.is_direct() && parameters.transport == Transport::Tcp;
        let mut flow = Flow::new(*way, purse(*way), knows_arrivals);
        for _ in 0..parameters.parallel {
            let id = stream_id(index);
            index += 1;
            let added = if parameters.transport == Transport::Udp {
                let link = carrier.udp(index).await.map_err(ThroughputError::Stream)?;
                flow.add_udp(id, link, udp_sink(setup), udp_source(setup))
            } else {
                let link = carrier.tcp(index, cookie).await.map_err(ThroughputError::Stream)?;
                flow.add_tcp(id, link, tcp_source(setup))
            };
            added.map_err(ThroughputError::Stream)?;
        }
        flows.push(flow);
    }
    control.expect(State::TestStart).await?;
    control.expect(State::TestRunning).await?;
    Ok(flows)
}

/// Evidence is worth having and no reason to fail.
fn sampler(setup: &Setup, flows: &[Flow]) -> Option<Sampler> {
    let watches = flows.iter().flat_map(|flow| {
        let ids = flow.ids.iter().copied();
        ids.zip(flow.streams().iter())
            .filter_map(|(id, stream)| evidence::Watch::new(id, stream, flow.way == Way::Up).ok())
    });
    let started = Sampler::start(setup.local, watches.collect());
    started.inspect_err(|error| tracing::warn!(%error, "nothing is sampled during this test")).ok()
}

/// A test whose streams are open.
struct Test<'a> {
    setup: &'a Setup,
    control: Control,
    flows: Vec<Flow>,
    sampler: Option<Sampler>,
    began: Instant,
}

impl Test<'_> {
    async fn run(mut self, stop: &CancellationToken, watch: &mut Watch<'_>) -> Outcome {
        for flow in &self.flows {
            flow.streams().start();
        }
        watch(Tick { stage: Stage::Begins, at: Duration::ZERO, flows: &self.flows, rtt: None });
        let mut stopped = self.until_over(stop, watch).await;
        self.sample(Stage::Over, watch);
        // What comes in from now on is only taken off the server's hands.
        self.flows.iter_mut().filter(|flow| flow.way == Way::Down).for_each(Flow::close_books);
        if let Ok(Ending::Completed) = stopped {
            stopped = self.say_over().await;
        }
        self.freeze().await;
        self.flows.iter_mut().for_each(Flow::close_books);
        let evidence = self.sampler.take().map(Sampler::finish).unwrap_or_default();
        let remote = match &stopped {
            Ok(ending) if ending.has_results() => self.exchange().await.map(Some),
            Ok(Ending::Interrupted) => self.control.send_state(State::ClientTerminate).await.map(|()| None),
            _ => Ok(None),
        };
        let (ending, mut problem) = match stopped {
            Ok(ending) | Err(Stop::Ended(ending)) => (ending, None),
            Err(Stop::Broken(error)) => (Ending::Vanished, Some(error)),
        };
        let remote = remote.unwrap_or_else(|stop| {
            if let Stop::Broken(error) = stop {
                problem = Some(error);
            }
            None
        });
        self.control.close().await;
        let block = self.setup.parameters.length;
        Outcome { ending, block, flows: self.flows, remote, evidence, problem }
    }

    /// Lets data flow until somebody ends it.
    async fn until_over(&mut self, stop: &CancellationToken, watch: &mut Watch<'_>) -> Result<Ending, Stop> {
        let parameters = &self.setup.parameters;
        let omit = Duration::from_secs(parameters.omit.into());
        let end = self.began + omit + Duration::from_secs(parameters.time.into());
        let total = total(parameters);
        let timed = parameters.time > 0 && total == 0;
        let sends = self.flows.iter().any(|flow| flow.way == Way::Up);
        let mut omitting = !omit.is_zero();
        let mut ticks = interval_at(self.began + STEP, STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ending::Interrupted),
                state = self.control.state() => match state? {
                    State::ExchangeResults => return Ok(Ending::Cut),
                    got => return Err(ThroughputError::State { expected: State::ExchangeResults, got }.into()),
                },
                () = sleep_until(end), if timed => return Ok(Ending::Completed),
                () = ended(&self.flows, Way::Up), if sends && total > 0 => return Ok(Ending::Completed),
                _ = ticks.tick() => {
                    let at = self.sample(Stage::Runs, watch);
                    let received: u64 = self.flows.iter().flat_map(|flow| flow.series.totals()).sum();
                    if !sends && total > 0 && received >= total {
                        return Ok(Ending::Completed);
                    }
                    if omitting && at >= omit {
                        omitting = false;
                        self.flows.iter_mut().for_each(Flow::omit_until_now);
                    }
                }
            }
        }
    }

    fn sample(&mut self, stage: Stage, watch: &mut Watch<'_>) -> Duration {
        let at = self.began.elapsed();
        for flow in &mut self.flows {
            flow.sample(at);
        }
        let rtt = self.sampler.as_ref().and_then(Sampler::rtt);
        watch(Tick { stage, at, flows: &self.flows, rtt });
        at
    }

    /// Stops sending, says so at once, as the server's clock runs until it hears it, and reads on until the server has
    /// stopped: it may be waiting for room.
    async fn say_over(&mut self) -> Result<Ending, Stop> {
        for flow in self.flows.iter().filter(|flow| flow.way == Way::Up) {
            flow.streams().freeze();
        }
        self.control.send_state(State::TestEnd).await?;
        self.control.expect(State::ExchangeResults).await?;
        Ok(Ending::Completed)
    }

    async fn freeze(&mut self) {
        for flow in &self.flows {
            flow.streams().freeze();
        }
        for way in [Way::Up, Way::Down] {
            // What does not end in time is joined when it is dropped.
            let _ = timeout(FREEZE, ended(&self.flows, way)).await;
        }
    }

    /// Ours for theirs.
    async fn exchange(&mut self) -> Result<Results, Stop> {
        self.control.send_json(&self.ours().to_json()).await?;
        let text = self.control.json(results::MAX_BYTES).await?;
        let theirs = Results::parse(&text).map_err(ThroughputError::Results)?;
        self.control.expect(State::DisplayResults).await?;
        self.control.send_state(State::IperfDone).await?;
        Ok(theirs)
    }

    fn ours(&self) -> Results {
        let seconds = self.flows.iter().map(|flow| flow.series.duration()).max().unwrap_or_default();
        let percent = |time: Duration| 100.0 * time.as_secs_f64() / seconds.as_secs_f64().max(0.1);
        let (user, system) = self
            .flows
            .iter()
            .map(Flow::cpu)
            .fold((Duration::ZERO, Duration::ZERO), |(user, system), (more_user, more_system)| {
                (user + more_user, system + more_system)
            });
        let sends = self.flows.iter().any(|flow| flow.way == Way::Up);
        Results {
            cpu_total: percent(user + system),
            cpu_user: percent(user),
            cpu_system: percent(system),
            retransmits: if sends { Retransmits::Known } else { Retransmits::OnlyReceiving },
            streams: self.flows.iter().flat_map(|flow| flow.results(seconds.as_secs_f64())).collect(),
            ..Results::default()
        }
    }
}

async fn ended(flows: &[Flow], way: Way) {
    for flow in flows.iter().filter(|flow| flow.way == way) {
        flow.streams().all_ended().await;
    }
}
