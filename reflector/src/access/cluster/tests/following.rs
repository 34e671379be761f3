//! The whole feeder against a mock of an API server that lists, watches and misbehaves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::feeder::{Cluster, Handle, Settings};
use super::super::pace::Timing;
use super::mock_api::{MockApi, Mood};
use super::{attic, own, sent};
use crate::access::fixtures::{id, peer, reflector};
use crate::access::policy::{Refusal, Verdict};
use crate::access::{Access, Settings as AccessSettings};
use crate::clock;
use crate::cluster::Own;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A feeder that runs, and what it feeds.
struct Running {
    access: Access,
    handle: Handle,
    heard: Arc<AtomicU64>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

fn timing() -> Timing {
    Timing {
        answer: Duration::from_secs(3),
        page: Duration::from_secs(3),
        quiet: Duration::from_secs(60),
        first_pause: Duration::from_millis(20),
    }
}

fn run_as(own: Own, api: &MockApi, dir: &Path, timing: Timing) -> Running {
    let settings = AccessSettings {
        reflector: reflector(),
        authorized_peers: Vec::new(),
        offline_grace: Duration::from_secs(3600),
    };
    let access = Access::new(settings, Arc::new(clock::now));
    let heard = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&heard);
    let (handle, cluster) = Cluster::new(Settings {
        own,
        client: api.client(),
        access: access.clone(),
        base: reflector(),
        state_dir: dir.to_owned(),
        clock: Arc::new(clock::now),
        synchronised: || false,
        heard: Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }),
    });
    let cancel = CancellationToken::new();
    let task = tokio::spawn(cluster.with_timing(timing).run(cancel.clone()));
    Running { access, handle, heard, cancel, task }
}

fn run(api: &MockApi, dir: &Path) -> Running {
    run_as(own(), api, dir, timing())
}

impl Running {
    /// Waits until this is so.
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let mut changes = self.access.changes();
        let mut news = self.handle.changes();
        let mut durable = self.handle.durable();
        let wait = async {
            while !so(self) {
                tokio::select! {
                    more = changes.changed() => more.unwrap(),
                    more = news.changed() => more.unwrap(),
                    more = durable.changed() => more.unwrap(),
                }
            }
        };
        assert!(timeout(PATIENCE, wait).await.is_ok(), "not {what}: {:?}", self.access.source());
    }

    fn allows(&self, n: u8) -> bool {
        matches!(self.access.verdict(&id(n)), Verdict::Allowed(_))
    }

    fn source(&self) -> &'static str {
        self.access.source().as_str()
    }

    async fn current(&self) {
        self.until("current", |running| running.source() == "current").await;
    }

    /// What was received after `since` is on disk.
    async fn kept(&self, since: u64) {
        let kept = |running: &Self| running.handle.durable().borrow().is_some_and(|upto| upto >= since);
        self.until("kept", kept).await;
    }

    async fn stop(self) {
        self.cancel.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

async fn serving(peers: &[(u8, &str)]) -> (MockApi, tempfile::TempDir, Running) {
    let api = MockApi::start().await;
    api.put(attic(3, &json!({})));
    for (n, name) in peers {
        api.put(sent(&peer(name).endpoint(*n), *n));
    }
    let dir = tempfile::tempdir().unwrap();
    let running = run(&api, dir.path());
    running.current().await;
    (api, dir, running)
}

/// A1, A8
#[tokio::test]
async fn peers_of_ours_are_served_and_each_change_acts_through_the_watch() {
    let (api, _dir, running) = serving(&[(1, "a")]).await;
    assert!(running.allows(1) && !running.allows(2));
    api.put(sent(&peer("b").endpoint(2).reference("ReflectorFleet", "homes"), 2));
    api.put(sent(&peer("x").endpoint(9).reference("Reflector", "cellar"), 2));
    running.until("b allowed", |running| running.allows(2)).await;
    assert!(!running.allows(9), "that of another reflector");
    api.put(sent(&peer("a").endpoint(1).suspended(), 1));
    let suspended = Verdict::Refused(Refusal::Suspended { peer: "a".into() });
    running.until("a suspended", |running| running.access.verdict(&id(1)) == suspended).await;
    api.delete(&sent(&peer("b").endpoint(2).reference("ReflectorFleet", "homes"), 2));
    running.until("b gone", |running| !running.allows(2)).await;
    api.put(attic(4, &json!({ "quotas": { "testsPerHour": 3 } })));
    running
        .until("the next generation", |running| {
            running.handle.look(|held| held.reflector().is_some_and(|held| held.generation == 4))
        })
        .await;
    assert_eq!(api.lists().len(), 3, "one list of each kind: {:?}", api.lists());
    running.stop().await;
}

/// So narrow that ten thousand peers do not reach every pod.
#[tokio::test]
async fn each_request_selects_what_is_ours_asks_for_bookmarks_and_names_its_own_end() {
    let (api, _dir, running) = serving(&[]).await;
    let all = [api.lists(), api.watches()].concat();
    for (plural, selector) in [
        ("reflectors", "metadata.name=attic"),
        ("reflectorpeers", "spec.reflectorRef.kind=Reflector,spec.reflectorRef.name=attic"),
        ("reflectorpeers", "spec.reflectorRef.kind=ReflectorFleet,spec.reflectorRef.name=homes"),
    ] {
        let path = format!("/apis/packetparamedic.io/v1alpha1/namespaces/reflectors/{plural}?");
        let asked = all.iter().filter(|asked| asked.starts_with(&path) && asked.contains(selector)).count();
        assert_eq!(asked, 2, "{selector}: {all:?}");
    }
    for watch in api.watches() {
        assert!(watch.contains("allowWatchBookmarks=true") && watch.contains("timeoutSeconds=2"), "{watch}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let api = MockApi::start().await;
    api.put(attic(3, &json!({})));
    for n in 0..=200u8 {
        api.put(sent(&peer(&format!("p{n:03}")).endpoint(n), 0));
    }
    let dir = tempfile::tempdir().unwrap();
    let running = run(&api, dir.path());
    running.current().await;
    assert!((0..=200u8).all(|n| running.allows(n)));
    assert_eq!(api.lists().iter().filter(|asked| asked.contains("continue=")).count(), 2);
    running.stop().await;
}

/// A deletion that fell into the gap is found by the next list.
#[tokio::test]
async fn a_version_that_is_too_old_leads_to_a_new_list() {
    let (api, _dir, running) = serving(&[(1, "a"), (2, "b")]).await;
    api.delete_quietly(&sent(&peer("a").endpoint(1), 1));
    api.say("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}}\n");
    running.until("a gone", |running| !running.allows(1)).await;
    assert!(running.allows(2));
    running.stop().await;
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_and_a_line_of_garbage_lead_to_a_new_list() {
    let (api, _dir, running) = serving(&[(1, "a"), (2, "b")]).await;
    api.delete_quietly(&sent(&peer("a").endpoint(1), 1));
    api.cut_watches();
    running.until("a gone", |running| !running.allows(1)).await;
    running.until("watching again", |_| api.watches().len() == 6).await;
    api.delete_quietly(&sent(&peer("b").endpoint(2), 2));
    api.say("{\"type\":\"ADDED\",\"object\":{\"meta\n");
    running.until("b gone", |running| !running.allows(2)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_watch_that_ends_in_order_goes_on_where_it_was() {
    let (api, _dir, running) = serving(&[(1, "a")]).await;
    let heard = running.heard.load(Ordering::SeqCst);
    api.bookmark("4711");
    api.end_watches();
    // Three bookmarks and three watches that stand again: each is a sign of life.
    let six = |running: &Running| running.heard.load(Ordering::SeqCst) >= heard + 6;
    running.until("watching again", |running| api.watches().len() == 6 && six(running)).await;
    assert!(
        api.watches()[3..].iter().all(|watch| watch.ends_with("resourceVersion=4711")),
        "{:?}",
        api.watches()
    );
    assert_eq!((api.lists().len(), running.source()), (3, "current"));
    running.stop().await;
}

/// The other side may be gone without a word.
#[tokio::test]
async fn a_watch_on_which_nothing_comes_is_opened_anew() {
    let api = MockApi::start().await;
    api.put(attic(3, &json!({})));
    let dir = tempfile::tempdir().unwrap();
    let running = run_as(own(), &api, dir.path(), Timing { quiet: Duration::from_millis(100), ..timing() });
    running.until("watching again", |_| api.watches().len() > 6).await;
    assert_eq!(api.lists().len(), 3, "nothing was missed");
    running.stop().await;
}

/// X2, G12
#[tokio::test]
async fn while_the_server_is_away_the_policy_holds_and_when_it_is_back_it_is_current() {
    let (api, _dir, running) = serving(&[(1, "a")]).await;
    for (mood, why) in
        [(Mood::Silent, "it does not answer"), (Mood::Refusing(403), "is its RoleBinding there?")]
    {
        api.mood(mood);
        api.cut_watches();
        let says = |running: &Running| running.access.source().why().is_some_and(|said| said.contains(why));
        running.until("away", |running| running.source() == "stale" && says(running)).await;
        assert!(running.allows(1) && !running.access.may_pair());
        let forbidden = running.handle.look(|held| held.forbidden().map(str::to_owned));
        let expected = matches!(mood, Mood::Refusing(_)).then_some(why);
        assert_eq!(forbidden.is_some(), expected.is_some(), "{forbidden:?}");
        assert!(forbidden.unwrap_or_default().contains(expected.unwrap_or_default()));
        api.mood(Mood::Well);
        running.current().await;
        assert!(running.handle.look(|held| held.forbidden().is_none()), "the right is there again");
    }
    running.stop().await;
}

/// X2: what was accepted last holds over a restart, and what was narrowed stays so.
#[tokio::test]
async fn a_pod_that_starts_without_its_server_serves_what_was_kept() {
    let (api, dir, running) = serving(&[(1, "a"), (2, "b")]).await;
    let before = clock::now().mono_ms;
    api.put(sent(&peer("b").endpoint(2).suspended(), 2));
    running.until("b suspended", |running| !running.allows(2)).await;
    running.kept(before).await;
    // As after `kill -9`.
    running.task.abort();

    api.mood(Mood::Refusing(503));
    let again = run(&api, dir.path());
    again.until("the kept policy", |running| running.source() == "stale").await;
    assert!(again.allows(1) && !again.allows(2) && !again.access.may_pair());
    assert_eq!(again.handle.look(|held| held.reflector().unwrap().generation), 3);
    api.delete_quietly(&sent(&peer("a").endpoint(1), 1));
    api.mood(Mood::Well);
    again.current().await;
    assert!(!again.allows(1));
    again.stop().await;
}

#[tokio::test]
async fn the_kept_policy_of_another_reflector_or_without_its_contact_lets_nobody_in() {
    let (api, dir, running) = serving(&[(1, "a")]).await;
    running.kept(0).await;
    running.stop().await;
    api.mood(Mood::Refusing(503));
    let other = Own { uid: Some("u-other".to_owned()), ..own() };
    let again = run_as(other, &api, dir.path(), timing());
    again.until("away", |running| running.access.source().why().is_some()).await;
    assert_eq!(again.source(), "never_loaded");
    again.stop().await;

    std::fs::remove_file(dir.path().join("policy-contact.json")).unwrap();
    let again = run(&api, dir.path());
    again.until("over", |running| running.source() == "grace_over").await;
    assert!(!again.allows(1));
    again.stop().await;
}

/// A disk that cannot be written must not keep a revocation from acting; it is only not called enforced.
#[tokio::test]
async fn a_revocation_acts_also_when_it_cannot_be_written() {
    let (api, dir, running) = serving(&[(1, "a")]).await;
    running.kept(0).await;
    dir.close().unwrap();
    let before = clock::now().mono_ms;
    api.put(sent(&peer("a").endpoint(1).suspended(), 1));
    running.until("a suspended", |running| !running.allows(1)).await;
    assert!(running.handle.durable().borrow().is_some_and(|upto| upto < before));
    running.stop().await;
}
