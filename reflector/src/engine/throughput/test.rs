//! One test from grant to goodbye: the order of things, and who hears what at the end.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::engine::Ended;
use crate::engine::echo::calm::Calm;
use crate::engine::iperf::{Code, Results, State, results};
use crate::engine::measured::Measured;
use crate::reason::EndReason;
use crate::session::SessionControl;

use super::arrivals::Arrivals;
use super::budget::first_buffer;
use super::caps::Grant;
use super::control::ControlError;
use super::entrance::{Client, Entrance, START_WITHIN, dismiss};
use super::flows::Flows;
use super::freeze::{Flood, Goodbye, goodbye};
use super::opening::{Opening, STREAMS_WITHIN, prepare_listener};
use super::plan::Plan;
use super::report::Finished;
use super::running::{self, Over, told};

/// The host a test runs on.
pub(super) struct Here {
    /// Our address of the control connection.
    pub(super) local: IpAddr,
    /// What else wants its cores.
    pub(super) calm: Calm,
}

/// Serves one test. Dropping it resets every connection and ends every thread.
pub(super) async fn serve(
    mut arrivals: Arrivals,
    grant: Grant,
    here: Here,
    session: SessionControl,
) -> Ended {
    let mut entrance = Entrance::new(grant);
    let admitted = tokio::select! {
        biased;
        over = told(&session) => Err(over),
        admitted = timeout(START_WITHIN, entrance.admit(&mut arrivals)) => {
            admitted.map_err(|_| Over::told(EndReason::NoStart))
        }
    };
    let mut client = match admitted {
        Ok(client) => client,
        Err(over) => {
            entrance.close(over).await;
            return Ended::plain(over.reason(), Duration::ZERO);
        }
    };
    drop(entrance);
    let mut opening = Opening::new(&client);
    let mut flows = match open(&mut client, &mut arrivals, &mut opening, &session).await {
        Ok(flows) => flows,
        Err(over) => {
            dismiss(client.control, over).await;
            return Ended::plain(over.reason(), Duration::ZERO);
        }
    };
    if client.control.send(&[State::TestStart.byte(), State::TestRunning.byte()]).await.is_err() {
        return Ended::plain(EndReason::ClientTerminated, Duration::ZERO);
    }
    let started = Instant::now();
    let streams_run = here.calm.streams();
    flows.start(here.local);
    session.report_silence(flows.silence());
    let over = running::run(&mut client, &mut arrivals, &mut opening, &mut flows, &session, started).await;
    let mut over = over;
    // Not when the last thread has noticed: nothing moves while it waits for more.
    let lasted = started.elapsed();
    flows.freeze().await;
    drop(streams_run);
    let evidence = flows.evidence();
    session.closing();
    if let Over::Cut(reason) = over {
        over = wait_for_interval(&mut client, &flows, reason, started, lasted).await;
    }
    let plan = client.plan.clone();
    let finished = finished(&plan, over.reason(), lasted, &flows);
    let measured = Measured { echo_dropped: arrivals.echo_dropped(), ..finished.measured(evidence, &grant) };
    let measured = Some(Arc::new(measured));
    let reason = match over {
        Over::ByClient | Over::Cut(_) => exchange(client, &flows, &finished, over, &session).await,
        other => {
            dismiss(client.control, other).await;
            other.reason()
        }
    };
    Ended { reason, duration: lasted, measured }
}

/// Asks for the streams and waits for them.
async fn open(
    client: &mut Client,
    arrivals: &mut Arrivals,
    opening: &mut Opening,
    session: &SessionControl,
) -> Result<Flows, Over> {
    client.plan.bound_first(first_buffer(session.meter().left(), client.plan.directions.len()));
    prepare_listener(arrivals, &client.plan);
    if client.control.tell(State::CreateStreams).await.is_err() {
        return Err(Over::Gone(EndReason::ClientTerminated));
    }
    let opened = tokio::select! {
        biased;
        over = told(session) => return Err(over),
        message = client.control.any_state() => return Err(match Over::said(&message) {
            // There is nothing to end yet.
            Over::ByClient => Over::Failed(EndReason::ProtocolError, Code::State),
            over => over,
        }),
        opened = timeout(STREAMS_WITHIN, opening.all(arrivals, &client.plan)) => opened,
    };
    let failed = |error: std::io::Error| {
        // Ours, not the kernel's EINVAL: what the client asked for cannot be done.
        if error.kind() == std::io::ErrorKind::InvalidInput && error.raw_os_error().is_none() {
            tracing::info!(%error, "streams refused");
            return Over::Failed(EndReason::ProtocolError, Code::UdpLength);
        }
        tracing::warn!(%error, "open the streams of a test");
        Over::Failed(EndReason::Internal, Code::Accept)
    };
    opened.map_err(|_| Over::Failed(EndReason::ProtocolError, Code::Accept))?.map_err(failed)?;
    let sockets = opening.take().map_err(failed)?;
    let control = client.control.stream().as_fd().try_clone_to_owned().map_err(failed)?;
    Flows::new(&client.plan, sockets, control, session.meter()).map_err(failed)
}

/// Streams are frozen: waits until the client can be told so, or has ended the test itself.
async fn wait_for_interval(
    client: &mut Client,
    flows: &Flows,
    reason: EndReason,
    started: Instant,
    frozen: Duration,
) -> Over {
    let uploads_udp = client.plan.is_udp() && client.plan.receives();
    let flood = if uploads_udp && reason == EndReason::QuotaExceeded { Flood::GoesOn } else { Flood::Stops };
    let at = match goodbye(frozen, client.plan.omit, flood) {
        Goodbye::Terminate => return Over::Terminated(reason),
        Goodbye::Finish { at } => started + at,
    };
    tokio::select! {
        biased;
        message = client.control.any_state() => match Over::said(&message) {
            // It ended by itself meanwhile; why the streams stand still does not change.
            Over::ByClient => {
                flows.finish_sending();
                Over::Cut(reason)
            }
            over => over,
        },
        () = sleep_until(at) => Over::Cut(reason),
    }
}

fn finished<'a>(plan: &'a Plan, reason: EndReason, lasted: Duration, flows: &Flows) -> Finished<'a> {
    Finished {
        plan,
        reason,
        lasted,
        streams: flows.moved(),
        cpu: flows.cpu(),
        congestion: flows.congestion(),
    }
}

/// The last exchange. A client that falls silent in it changes nothing: our numbers stand.
async fn exchange(
    mut client: Client,
    flows: &Flows,
    finished: &Finished<'_>,
    over: Over,
    session: &SessionControl,
) -> EndReason {
    let outcome = async {
        let control = &mut client.control;
        control.tell(State::ExchangeResults).await?;
        if over == Over::ByClient || control.late_end().await? {
            flows.finish_sending();
        }
        let text = control.json(results::MAX_BYTES).await?;
        let readable = Results::parse(&text).is_ok();
        if readable {
            control.send_json(&finished.results().to_json()).await?;
            control.tell(State::DisplayResults).await?;
            while control.state().await? != State::IperfDone {}
        }
        Ok::<_, ControlError>(readable)
    };
    match outcome.await {
        Ok(true) => session.released(),
        Ok(false) | Err(ControlError::Unreadable(_)) => {
            let failed = Over::Failed(EndReason::ProtocolError, Code::Results);
            dismiss(client.control, failed).await;
            return failed.reason();
        }
        Err(_) => {}
    }
    over.reason()
}
