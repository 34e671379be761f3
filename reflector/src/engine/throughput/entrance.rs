//! The first connections of a test: finds the one client whose parameters are accepted, and turns away whoever waits when
//! nobody is let in any more.

use std::time::Duration;

use socket2::SockRef;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::engine::iperf::{Cookie, Parameters, State, params};
use crate::engine::tunnel::Carried;

use super::arrivals::{Arrival, Arrivals, Connection, Place};
use super::caps::{self, Grant};
use super::control::{Control, ControlError};
use super::flows::keep_alive;
use super::lobby::Lobby;
use super::plan::Plan;
use super::running::Over;

/// A client that is not there by now is not coming; one that has said hello and nothing more is told so (tests
/// `nobody_comes_and_the_session_ends`, `every_deadline_ends_as_the_table_says`).
pub(super) const START_WITHIN: Duration = Duration::from_secs(10);

/// A little more than the last byte gets.
const CLOSED_WITHIN: Duration = Duration::from_millis(150);

/// The client whose test this is.
pub(super) struct Client {
    pub(super) control: Control<Carried>,
    pub(super) cookie: Cookie,
    pub(super) plan: Plan,
    _place: Option<Place>,
}

/// Where clients say who they are and what they want.
pub(super) struct Entrance {
    lobby: Lobby<Client>,
    grant: Grant,
    /// Why nobody is let in any more.
    closed: watch::Sender<Option<Over>>,
}

impl Entrance {
    pub(super) fn new(grant: Grant) -> Self {
        Self { lobby: Lobby::new(), grant, closed: watch::Sender::new(None) }
    }

    /// Waits for the client. Never ends by itself. Cancel-safe: who has come stays.
    pub(super) async fn admit(&mut self, arrivals: &mut Arrivals) -> Client {
        loop {
            tokio::select! {
                biased;
                client = self.lobby.next() => return client,
                arrival = arrivals.next() => {
                    // A hello before any parameters is of nobody's stream.
                    if let Arrival::Connection(connection) = arrival
                        && arrivals.may_be_control(&connection)
                    {
                        self.lobby.enter(introduce(connection, self.grant, self.closed.subscribe()));
                    }
                }
            }
        }
    }

    /// Nobody is let in any more. Who speaks iperf3 is told why, everybody else is reset.
    pub(super) async fn close(mut self, over: Over) {
        self.closed.send_replace(Some(over));
        // Each has a deadline of its own for its last byte; this one is for those who do not take it.
        let _ = timeout(CLOSED_WITHIN, self.lobby.empty()).await;
    }
}

/// Cookie, then parameters. What is refused is told so; the grant is still there for a better try.
async fn introduce(
    connection: Connection,
    grant: Grant,
    mut closed: watch::Receiver<Option<Over>>,
) -> Option<Client> {
    let mut control = Control::new(connection.stream);
    let socket = SockRef::from(control.stream());
    // One byte at a time must not wait for the acknowledgement of the last.
    let _ = socket.set_tcp_nodelay(true);
    keep_alive(&socket);
    let mut greet = async || {
        let cookie = control.cookie().await?;
        control.tell(State::ParamExchange).await?;
        Ok::<_, ControlError>(cookie)
    };
    let cookie = tokio::select! {
        biased;
        _ = closed.wait_for(Option::is_some) => return None,
        cookie = greet() => cookie.ok()?,
    };
    let text = tokio::select! {
        biased;
        over = closed_by(&mut closed) => {
            dismiss(control, over).await;
            return None;
        }
        text = control.json(params::MAX_BYTES) => text,
    };
    let refusal = match text {
        Ok(text) => match Parameters::parse(&text) {
            Ok(parameters) => match caps::plan(parameters, &grant) {
                Ok(plan) => return Some(Client { control, cookie, plan, _place: connection.place }),
                Err(refusal) => {
                    tracing::info!(code = refusal.code.number(), "parameters refused: {}", refusal.reason);
                    refusal.code
                }
            },
            Err(error) => {
                tracing::info!(code = error.code().number(), "{error}");
                error.code()
            }
        },
        Err(ControlError::Unreadable(error)) => {
            tracing::info!("{error}");
            params::ParametersError::Unreadable.code()
        }
        Err(_) => return None,
    };
    control.say_last(&refusal.to_bytes()).await;
    None
}

/// Why the entrance is closed, when it is.
async fn closed_by(closed: &mut watch::Receiver<Option<Over>>) -> Over {
    match closed.wait_for(Option::is_some).await.map(|over| *over) {
        Ok(Some(over)) => over,
        // It was dropped, and with it this future.
        _ => std::future::pending().await,
    }
}

/// Says what there is to say to a client that reads no results.
pub(super) async fn dismiss(control: Control<Carried>, over: Over) {
    match over {
        // There is no shorter test either before the first byte.
        Over::Terminated(_) | Over::Cut(_) => control.say_last(&[State::ServerTerminate.byte()]).await,
        Over::Failed(_, code) => control.say_last(&code.to_bytes()).await,
        Over::ByClient | Over::Gone(_) => {}
    }
}
