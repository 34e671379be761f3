//! The task against a mock of the API server: it takes every apply, unless it is told to say something else.

use std::collections::{BTreeMap, VecDeque};
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::task::Reporter;
use super::*;
use crate::clock::Now;
use crate::metrics::{Metrics, PerPeer};

/// How long anything here may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// One apply, as the mock saw it.
#[derive(Debug, Clone)]
struct Applied {
    path: String,
    query: String,
    body: Value,
}

/// A mock of the API server: keeps what was applied, and answers what it is told to.
#[derive(Clone)]
struct MockApi {
    applied: watch::Sender<Vec<Applied>>,
    answers: Arc<Mutex<VecDeque<(StatusCode, &'static str)>>>,
}

impl MockApi {
    async fn start() -> (Self, Client) {
        let mock = Self { applied: watch::Sender::new(Vec::new()), answers: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(take).with_state(mock.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        (mock, client(&address.to_string()))
    }

    /// The next applies are answered like this.
    fn answer(&self, code: StatusCode, message: &'static str, times: usize) {
        self.answers.lock().unwrap().extend(std::iter::repeat_n((code, message), times));
    }

    /// Waits for that many applies; says what they were.
    async fn applied(&self, count: usize) -> Vec<Applied> {
        let mut applied = self.applied.subscribe();
        let enough = applied.wait_for(|applied| applied.len() >= count);
        timeout(SOON, enough).await.expect("the applies came in time").unwrap().clone()
    }

    fn paths(&self) -> Vec<String> {
        self.applied.borrow().iter().map(|apply| apply.path.clone()).collect()
    }
}

async fn take(State(mock): State<MockApi>, method: Method, uri: Uri, body: Bytes) -> Response {
    assert_eq!(method, Method::PATCH);
    let body: Value = serde_json::from_slice(&body).unwrap();
    let apply = Applied {
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        body: body.clone(),
    };
    let answer = mock.answers.lock().unwrap().pop_front();
    mock.applied.send_modify(|applied| applied.push(apply));
    match answer {
        None => body.to_string().into_response(),
        Some((code, message)) => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": message, "reason": "Mock", "code": code.as_u16(),
            });
            (code, status.to_string()).into_response()
        }
    }
}

fn client(address: &str) -> Client {
    // kube wants a provider even where there is no TLS; another test may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn sender(client: Client) -> Sender {
    Sender::new(client, Target { namespace: "reflectors".into(), reflector: "attic".into() })
}

/// Facts that a test sets.
#[derive(Default)]
struct Told {
    subjects: Mutex<BTreeMap<Subject, Report>>,
}

impl Told {
    fn tell(&self, subject: &Subject, report: Report) {
        self.subjects.lock().unwrap().insert(subject.clone(), report);
    }
}

impl Facts for Told {
    fn about(&self, _: &Hint) -> Vec<Subject> {
        self.subjects.lock().unwrap().keys().cloned().collect()
    }

    fn look(&self, subject: &Subject, _: Option<&Report>, _: Now) -> Option<Seen> {
        let report = self.subjects.lock().unwrap().get(subject).cloned()?;
        Some(Seen { report, there: None, busy: false })
    }
}

/// The task and everything around it.
struct Pod {
    api: MockApi,
    facts: Arc<Told>,
    hints: Hints,
    metrics: Metrics,
    loaded: watch::Sender<bool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Pod {
    async fn start() -> Self {
        let (api, client) = MockApi::start().await;
        let (facts, hints) = (Arc::new(Told::default()), Hints::default());
        let metrics = Metrics::new(PerPeer::Shown);
        let (loaded, is_loaded) = watch::channel(false);
        let reporter = Reporter {
            facts: facts.clone(),
            hints: hints.clone(),
            sender: sender(client),
            metrics: metrics.clone(),
            numbers_every: pace::NUMBERS_EVERY,
            loaded: is_loaded,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(reporter.run(stop.clone()));
        Self { api, facts, hints, metrics, loaded, stop, task }
    }

    fn load(&self) {
        self.loaded.send_replace(true);
    }

    fn tell(&self, subject: &Subject, report: Report) {
        self.facts.tell(subject, report);
        self.hints.leave(Hint::Own);
    }

    fn counted(&self, kind: &str, result: &str) -> u64 {
        let name = format!("reflector_status_writes_total{{kind=\"{kind}\",result=\"{result}\"}} ");
        let text = self.metrics.render().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(SOON, self.task).await.expect("the task ends when it is told to").unwrap();
    }
}

#[tokio::test]
async fn each_report_is_one_apply_of_the_status_in_our_name() {
    let pod = Pod::start().await;
    pod.tell(&own(), own_report(|_| {}));
    pod.tell(&peer(1), peer_report(|_| {}));
    pod.load();
    let mut applied = pod.api.applied(2).await;
    applied.sort_by(|a, b| a.path.cmp(&b.path));
    let base = "/apis/packetparamedic.io/v1alpha1/namespaces/reflectors";
    assert_eq!(applied[0].path, format!("{base}/reflectorpeers/peer-1/status"));
    assert_eq!(applied[1].path, format!("{base}/reflectors/attic/status"));
    for apply in &applied {
        assert!(
            apply.query.contains("fieldManager=rfl-attic") && apply.query.contains("force=true"),
            "{apply:?}"
        );
    }
    assert_eq!(applied[1].body, super::super::patch::body(&own(), &own_report(|_| {}), "attic"));
    pod.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_before_a_policy_is_loaded() {
    let pod = Pod::start().await;
    pod.tell(&own(), own_report(|_| {}));
    // The task had every chance: what it does is done without waiting for anything.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pod.api.paths(), Vec::<String>::new());
    pod.load();
    pod.api.applied(1).await;
    pod.stop().await;
}

#[tokio::test]
async fn a_task_that_never_got_a_policy_stops_when_told() {
    Pod::start().await.stop().await;
}

#[tokio::test]
async fn an_unchanged_report_is_not_sent_again() {
    let pod = Pod::start().await;
    pod.load();
    pod.tell(&own(), own_report(|_| {}));
    pod.api.applied(1).await;
    pod.tell(&own(), own_report(|_| {}));
    pod.hints.leave(Hint::Everything);
    pod.tell(&peer(1), peer_report(|_| {}));
    let paths: Vec<String> = pod.api.applied(2).await.into_iter().map(|apply| apply.path).collect();
    assert!(paths[1].ends_with("/peer-1/status"), "{paths:?}");
    pod.stop().await;
}

/// A missing right: one request, counted, and the other kind goes on.
#[tokio::test]
async fn a_missing_right_stops_its_kind_and_no_other() {
    let pod = Pod::start().await;
    let words = "reflectorpeers is forbidden: User cannot patch resource \"reflectorpeers/status\"";
    pod.api.answer(StatusCode::FORBIDDEN, words, 1);
    pod.load();
    pod.tell(&peer(1), peer_report(|_| {}));
    pod.api.applied(1).await;
    for n in 2..20 {
        pod.tell(&peer(n), peer_report(|_| {}));
    }
    pod.tell(&own(), own_report(|_| {}));
    pod.api.applied(2).await;
    pod.tell(&own(), own_report(|facts| facts.pod_uid = Some("pod-2".into())));
    let applied = pod.api.applied(3).await;
    assert!(applied[1..].iter().all(|apply| apply.path.ends_with("/reflectors/attic/status")), "{applied:?}");
    assert_eq!((pod.counted("peer", "forbidden"), pod.counted("peer", "ok")), (1, 0));
    pod.stop().await;
}

#[tokio::test]
async fn a_peer_that_is_gone_is_asked_about_once() {
    let pod = Pod::start().await;
    pod.api.answer(StatusCode::NOT_FOUND, "not found", 1);
    pod.load();
    pod.tell(&peer(1), peer_report(|_| {}));
    pod.api.applied(1).await;
    pod.facts.subjects.lock().unwrap().clear();
    pod.tell(&own(), own_report(|_| {}));
    let applied = pod.api.applied(2).await;
    assert!(applied[1].path.ends_with("/reflectors/attic/status"));
    assert_eq!(pod.counted("peer", "gone"), 1);
    pod.stop().await;
}

/// A conflict, words that were not taken, a server that is not well: each is tried again, later.
#[tokio::test]
async fn what_failed_is_tried_again() {
    for (code, result) in [
        (StatusCode::CONFLICT, "conflict"),
        (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        (StatusCode::SERVICE_UNAVAILABLE, "away"),
    ] {
        let pod = Pod::start().await;
        pod.api.answer(code, "try again", 1);
        pod.load();
        pod.tell(&peer(1), peer_report(|_| {}));
        pod.api.applied(2).await;
        assert_eq!(pod.counted("peer", result), 1);
        pod.stop().await;
    }
}

/// Paused time runs as soon as nothing else can, and a server that only accepts is nothing.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_away() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener.local_addr().unwrap().to_string());
    let started = tokio::time::Instant::now();
    let failed = sender(client).send(&own(), &own_report(|_| {})).await.unwrap_err();
    assert_eq!(failed.trouble, Trouble::Away);
    // By the paused clock, which no busy machine slows down.
    assert!(started.elapsed() <= sender::DEADLINE + Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(failed.to_string().contains("no answer from the API server within 10 s"), "{failed}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away_and_says_why() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener.local_addr().unwrap().to_string());
    drop(listener);
    let failed = sender(client).send(&own(), &own_report(|_| {})).await.unwrap_err();
    assert_eq!(failed.trouble, Trouble::Away);
    assert!(failed.to_string().to_lowercase().contains("refused"), "{failed}");
}
