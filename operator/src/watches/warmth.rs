//! Whose first list is in, and why one is not: what is not in a cold cache is not missing. And which kind the API server
//! does not let us see, at first or any more.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::metrics::Kind;
use crds::reasons::cut;

/// Longest words of the API server about one kind: they are read in a terminal.
const MAX_WORDS: usize = 300;

/// A kind whose first list has not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cold {
    pub(crate) kind: &'static str,
    /// What the API server said last, if it refused.
    pub(crate) why: Option<String>,
}

impl fmt::Display for Cold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            None => out.write_str(self.kind),
            Some(why) => write!(out, "{} ({why})", self.kind),
        }
    }
}

/// What is known of one watch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// None, once its first list is in.
    cold: Option<Cold>,
    /// The kind, while the API server says that we may not see it.
    forbidden: Option<&'static str>,
}

/// Which first lists are in. Clones share the answer.
#[derive(Debug, Clone)]
pub(crate) struct Warmth {
    /// In the order in which they were added.
    all: Arc<watch::Sender<Vec<Known>>>,
}

/// Tells of one kind.
#[derive(Debug)]
pub(super) struct State {
    warmth: Warmth,
    kind: Kind,
    place: usize,
}

impl Warmth {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(watch::Sender::new(Vec::new())) }
    }

    pub(super) fn add(&self, kind: Kind) -> State {
        let mut place = 0;
        self.all.send_modify(|all| {
            place = all.len();
            all.push(Known { cold: Some(Cold { kind: kind.value(), why: None }), forbidden: None });
        });
        State { warmth: self.clone(), kind, place }
    }

    /// Kinds whose first list has not arrived.
    pub(crate) fn cold(&self) -> Vec<Cold> {
        self.all.borrow().iter().filter_map(|known| known.cold.clone()).collect()
    }

    /// Kinds that the API server does not let us see now.
    pub(crate) fn forbidden(&self) -> Vec<&'static str> {
        self.all.borrow().iter().filter_map(|known| known.forbidden).collect()
    }

    /// Until every first list is in: for ever, when one is refused for ever.
    pub(crate) async fn warm(&self) {
        let mut all = self.all.subscribe();
        // The sender is ours: it is not closed while we wait.
        let _ = all.wait_for(|all| all.iter().all(|known| known.cold.is_none())).await;
    }
}

impl State {
    /// The first list is in. It stays so, whatever becomes of the watch.
    pub(super) fn is_in(&self) {
        self.change(|known| known.cold = None);
    }

    /// The API server answered what we asked.
    pub(super) fn answered(&self) {
        self.change(|known| known.forbidden = None);
    }

    /// It did not. `forbidden`: because we lack the right to it.
    pub(super) fn failed(&self, words: &str, forbidden: bool) {
        self.change(|known| {
            if let Some(cold) = &mut known.cold {
                cold.why = Some(cut(words, MAX_WORDS).to_owned());
            }
            known.forbidden = forbidden.then_some(self.kind.value());
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        self.warmth.all.send_if_modified(|all| {
            let Some(known) = all.get_mut(self.place) else { return false };
            let before = known.clone();
            change(known);
            *known != before
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    /// Of what happens at once.
    const DEADLINE: Duration = Duration::from_secs(20);

    #[test]
    fn a_cold_kind_says_what_the_server_said_until_its_list_is_in() {
        let warmth = Warmth::new();
        let (pods, nodes) = (warmth.add(Kind::Pod), warmth.add(Kind::Node));
        nodes.is_in();
        pods.failed("pods is forbidden", true);
        nodes.failed("a watch that broke later", false);
        let said: Vec<String> = warmth.cold().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["Pod (pods is forbidden)"]);
        pods.is_in();
        assert!(warmth.cold().is_empty());
    }

    #[test]
    fn a_kind_is_forbidden_from_the_servers_words_to_its_next_answer() {
        let warmth = Warmth::new();
        let (pods, nodes) = (warmth.add(Kind::Pod), warmth.add(Kind::Node));
        nodes.is_in();
        nodes.failed("it is away", false);
        assert!(warmth.forbidden().is_empty());
        nodes.failed("nodes is forbidden", true);
        pods.failed("pods is forbidden", true);
        assert_eq!(warmth.forbidden(), ["Pod", "Node"]);
        pods.answered();
        nodes.failed("it is away", false);
        assert!(warmth.forbidden().is_empty(), "what is not asked any more is not known to be refused");
    }

    #[tokio::test]
    async fn everybody_who_waits_goes_on_with_the_last_first_list() {
        let warmth = Warmth::new();
        let (pods, nodes) = (warmth.add(Kind::Pod), warmth.add(Kind::Node));
        let waiting =
            [warmth.clone(), warmth.clone()].map(|warmth| tokio::spawn(async move { warmth.warm().await }));
        pods.is_in();
        tokio::task::yield_now().await;
        assert!(warmth.warm().now_or_never().is_none());
        nodes.is_in();
        for one in waiting {
            tokio::time::timeout(DEADLINE, one).await.unwrap().unwrap();
        }
    }
}
