//! Every wait of a test has an end, and the end that the table of deadlines names: what the client reads, the reason, in the
//! metrics too, and the slot free.

use futures_util::future::join_all;
use reflector::engine::iperf::reader::frame;
use reflector::engine::iperf::{Code, Cookie, Results, State, Transport};
use reflector::reason::EndReason;
use reflector::session::Granted;
use tokio::io::AsyncWriteExt;

use crate::house::{Ask, House, ended};
use crate::raw::{Gone, Raw, dial, gone, parameters};

/// What a client does not do any more.
#[derive(Debug, Clone, Copy)]
enum Missing {
    /// 3 s.
    FirstByte,
    /// 3 s.
    RestOfCookie,
    /// 5 s.
    Parameters,
    /// 10 s from the grant, in the 5 s for parameters.
    ParametersOfALateComer,
    /// 10 s.
    Stream,
    /// 10 s.
    Hello,
    /// 15 s.
    Data,
    /// 15 s.
    Reader,
    /// 5 s.
    Results,
    /// 5 s.
    RestOfResults,
    /// 5 s.
    LastByte,
    /// 5 s, in a test that we ended.
    ResultsOfACut,
}

/// What it reads then.
#[derive(Debug, PartialEq)]
enum Reads {
    Reset,
    Error(Code),
}

impl Missing {
    const TABLE: [(Self, Reads, EndReason); 12] = [
        (Self::FirstByte, Reads::Reset, EndReason::NoStart),
        (Self::RestOfCookie, Reads::Reset, EndReason::NoStart),
        (Self::Parameters, Reads::Reset, EndReason::NoStart),
        (Self::ParametersOfALateComer, Reads::Error(Code::Parameters), EndReason::NoStart),
        (Self::Stream, Reads::Error(Code::Accept), EndReason::ProtocolError),
        (Self::Hello, Reads::Error(Code::Accept), EndReason::ProtocolError),
        (Self::Data, Reads::Error(Code::Idle), EndReason::Stalled),
        (Self::Reader, Reads::Error(Code::Idle), EndReason::Stalled),
        (Self::Results, Reads::Reset, EndReason::Completed),
        (Self::RestOfResults, Reads::Reset, EndReason::Completed),
        (Self::LastByte, Reads::Reset, EndReason::Completed),
        (Self::ResultsOfACut, Reads::Reset, EndReason::DurationCap),
    ];

    fn ask(self) -> Ask {
        match self {
            Self::Hello => Ask::UDP,
            Self::Data | Self::Reader => Ask { seconds: 50, ..Ask::TCP },
            Self::ResultsOfACut => Ask { seconds: 1, ..Ask::TCP },
            _ => Ask::TCP,
        }
    }

    /// Goes as far as there, and reads.
    async fn play(self, granted: &Granted) -> Reads {
        let long = |reverse| parameters(|p| (p.reverse, p.time) = (reverse, 45));
        match self {
            Self::FirstByte => reset(&mut dial(Ask::TCP.source, granted.grant.port).await).await,
            Self::RestOfCookie => half_a_cookie(granted).await,
            Self::Parameters => {
                let mut raw = Raw::connect(granted).await;
                assert_eq!(raw.state().await, State::ParamExchange);
                reset(&mut raw.control).await
            }
            Self::ParametersOfALateComer => {
                // Six seconds: its five end after the ten of the session.
                half_a_cookie(granted).await;
                half_a_cookie(granted).await;
                let mut raw = Raw::connect(granted).await;
                assert_eq!(raw.state().await, State::ParamExchange);
                refused(raw).await
            }
            Self::Stream => {
                let raw = Raw::asked(granted, &parameters(|p| p.parallel = 2)).await;
                let _one = raw.stream().await;
                refused(raw).await
            }
            Self::Hello => {
                let asked = parameters(|p| (p.transport, p.length) = (Transport::Udp, 1000));
                refused(Raw::asked(granted, &asked).await).await
            }
            Self::Data | Self::Reader => {
                let reads_nothing = matches!(self, Self::Reader);
                let (raw, _streams) = Raw::running(granted, &long(reads_nothing)).await;
                refused(raw).await
            }
            Self::Results | Self::RestOfResults | Self::LastByte => {
                let (mut raw, _streams) = Raw::running(granted, &parameters(|_| ())).await;
                raw.tell(State::TestEnd).await;
                assert_eq!(raw.state().await, State::ExchangeResults);
                match self {
                    Self::RestOfResults => raw.send(&frame(&Results::default().to_json())[..20]).await,
                    Self::LastByte => drop(raw.results_but_no_word_more(1).await),
                    _ => {}
                }
                reset(&mut raw.control).await
            }
            Self::ResultsOfACut => {
                let (mut raw, _streams) = Raw::running(granted, &long(false)).await;
                assert_eq!(raw.state().await, State::ExchangeResults, "unasked");
                reset(&mut raw.control).await
            }
        }
    }
}

async fn reset(control: &mut tokio::net::TcpStream) -> Reads {
    assert_eq!(gone(control).await, Gone::Reset);
    Reads::Reset
}

async fn half_a_cookie(granted: &Granted) -> Reads {
    let mut half = dial(Ask::TCP.source, granted.grant.port).await;
    half.write_all(&Cookie::random().unwrap().to_bytes()[..20]).await.unwrap();
    reset(&mut half).await
}

/// After the error comes the end of the connection, in order.
async fn refused(mut raw: Raw) -> Reads {
    let code = raw.refusal().await;
    assert_eq!(gone(&mut raw.control).await, Gone::Closed);
    Reads::Error(code)
}

/// G3, X4: all at once, each in a house of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_deadline_ends_as_the_table_says() {
    join_all(Missing::TABLE.map(async |(missing, reads, reason)| {
        let house = House::for_one();
        let granted = house.grant(missing.ask()).await;
        assert_eq!(missing.play(&granted).await, reads, "{missing:?}");
        ended(&house, granted, reason, &format!("{missing:?}")).await;
    }))
    .await;
}

/// E4: before there are streams a stop is told as well.
#[tokio::test]
async fn a_stop_before_the_start_is_told_as_the_server_s_end() {
    let house = House::for_one();
    for (reason, asked) in [
        (EndReason::Revoked, false),
        (EndReason::Suspended, true),
        (EndReason::QuotaExceeded, false),
        (EndReason::Expired, true),
    ] {
        let granted = house.grant(Ask::TCP).await;
        let mut raw = if asked {
            Raw::asked(&granted, &parameters(|_| ())).await
        } else {
            let mut raw = Raw::connect(&granted).await;
            assert_eq!(raw.state().await, State::ParamExchange);
            raw
        };
        house.stop(reason);
        assert_eq!(raw.state().await, State::ServerTerminate, "{reason}");
        assert_eq!(gone(&mut raw.control).await, Gone::Closed);
        ended(&house, granted, reason, &format!("{reason}")).await;
    }
}
