//! What is told of events, and what becomes of a watch that is refused.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use serde_json::json;

use super::*;
use crate::watches::Warmth;

type Map = DeserializeGuard<ConfigMap>;

struct Feed {
    cache: Cached<ConfigMap>,
    writer: store::store::Writer<Map>,
}

impl Feed {
    fn new() -> Self {
        let (cache, writer) = store::store();
        Self { cache, writer }
    }

    /// Names that are told.
    fn see(&mut self, event: Event<Map>) -> Vec<String> {
        let wanted = Wanted {
            kind: Kind::ConfigMap,
            labels: "",
            trim: |map: &mut ConfigMap| map.metadata.annotations = None,
        };
        let told = take_in(&self.cache, &mut self.writer, event, &wanted, &Metrics::new());
        let mut names: Vec<String> = told.iter().map(|object| object.name_any()).collect();
        names.sort();
        names
    }
}

fn map(name: &str, version: &str, value: &str) -> Map {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": "n", "uid": name, "resourceVersion": version,
            "annotations": { "ignored": version }, "managedFields": [{ "manager": version }] },
        "data": { "k": value },
    }))
    .unwrap()
}

/// An API server that knows no `ConfigMap`; it lets nobody watch them until it is told to, and then nothing happens.
fn refusing(allowed: Arc<AtomicBool>) -> kube::Client {
    let answer = async move |request: Request| {
        if !request.uri().query().is_some_and(|query| query.contains("watch=true")) {
            let list = json!({ "metadata": { "resourceVersion": "1" }, "items": [] });
            return list.to_string().into_response();
        }
        if allowed.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
            "reason": "Forbidden", "message": "configmaps is forbidden" });
        (StatusCode::FORBIDDEN, status.to_string()).into_response()
    };
    kube::Client::new(Router::new().fallback(answer), "homes")
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_is_known_until_somebody_gives_it_even_when_nothing_happens() {
    let allowed = Arc::new(AtomicBool::new(false));
    let (warmth, metrics) = (Warmth::new(), Metrics::new());
    let state = warmth.add(Kind::ConfigMap);
    let wanted = Wanted { kind: Kind::ConfigMap, labels: "", trim: |_: &mut ConfigMap| {} };
    let api = Api::all(refusing(allowed.clone()));
    let (_cache, run) = watch(wanted, api, Arc::new(Board::default()), state, metrics.clone());
    let _watching = tokio::spawn(run);
    for (given, kinds, value) in [(false, &["ConfigMap"][..], 1), (true, &[], 0)] {
        allowed.store(given, Ordering::SeqCst);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let known = async {
            while warmth.forbidden() != kinds {
                tick.tick().await;
            }
        };
        tokio::time::timeout(UNTIL_ALLOWED * 6, known).await.unwrap();
        let line = format!("watch_forbidden{{kind=\"ConfigMap\"}} {value}");
        assert!(metrics.render().unwrap().contains(&line), "allowed: {given}");
    }
}

#[test]
fn nothing_is_told_before_the_whole_list_is_in() {
    let mut feed = Feed::new();
    assert!(feed.see(Event::Init).is_empty());
    assert!(feed.see(Event::InitApply(map("a", "1", "x"))).is_empty());
    assert_eq!(feed.see(Event::InitDone), ["a"]);
}

#[test]
fn what_changed_in_a_gap_is_told_and_so_is_what_went() {
    let mut feed = Feed::new();
    feed.see(Event::Init);
    for name in ["same", "gone", "changed"] {
        feed.see(Event::InitApply(map(name, "1", "x")));
    }
    feed.see(Event::InitDone);
    feed.see(Event::Init);
    feed.see(Event::InitApply(map("same", "1", "x")));
    feed.see(Event::InitApply(map("changed", "5", "y")));
    feed.see(Event::InitApply(map("new", "6", "x")));
    assert_eq!(feed.see(Event::InitDone), ["changed", "gone", "new"]);
}

#[test]
fn a_change_in_what_nobody_looks_at_is_no_news_and_a_deletion_is() {
    let mut feed = Feed::new();
    assert_eq!(feed.see(Event::Apply(map("a", "1", "x"))), ["a"]);
    assert!(feed.see(Event::Apply(map("a", "2", "x"))).is_empty());
    let cached = feed.cache.state();
    assert_eq!(cached[0].resource_version().as_deref(), Some("2"), "the cache moves on all the same");
    assert!(cached[0].meta().managed_fields.is_none());
    assert_eq!(feed.see(Event::Apply(map("a", "3", "y"))), ["a"]);
    assert_eq!(feed.see(Event::Delete(map("a", "4", "y"))), ["a"]);
    assert!(feed.cache.state().is_empty());
}

#[test]
fn an_object_that_cannot_be_read_is_counted_kept_and_told() {
    let mut feed = Feed::new();
    let broken: Map =
        serde_json::from_value(json!({ "metadata": { "name": "broken", "namespace": "n" }, "data": 7 }))
            .unwrap();
    assert!(broken.0.is_err());
    assert_eq!(feed.see(Event::Apply(broken)), ["broken"]);
    assert_eq!(feed.see(Event::Apply(map("fine", "1", "x"))), ["fine"]);
    assert_eq!(feed.cache.state().len(), 2);
}
