//! Whose first list is in, and why one is not: what is not in a cold cache is not missing.

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

/// Which first lists are in. Clones share the answer.
#[derive(Debug, Clone)]
pub(crate) struct Warmth {
    /// In the order in which they were added; none, once its list is in.
    all: Arc<watch::Sender<Vec<Option<Cold>>>>,
}

/// Tells of one kind.
#[derive(Debug)]
pub(super) struct First {
    warmth: Warmth,
    place: usize,
}

impl Warmth {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(watch::Sender::new(Vec::new())) }
    }

    pub(super) fn add(&self, kind: Kind) -> First {
        let mut place = 0;
        self.all.send_modify(|all| {
            place = all.len();
            all.push(Some(Cold { kind: kind.value(), why: None }));
        });
        First { warmth: self.clone(), place }
    }

    /// Kinds whose first list has not arrived.
    pub(crate) fn cold(&self) -> Vec<Cold> {
        self.all.borrow().iter().flatten().cloned().collect()
    }

    /// Until every first list is in: for ever, when one is refused for ever.
    pub(crate) async fn warm(&self) {
        let mut all = self.all.subscribe();
        // The sender is ours: it is not closed while we wait.
        let _ = all.wait_for(|all| all.iter().all(Option::is_none)).await;
    }
}

impl First {
    /// The first list is in. It stays so, whatever becomes of the watch.
    pub(super) fn is_in(&self) {
        self.change(None);
    }

    /// The API server did not give it.
    pub(super) fn failed(&self, words: &str) {
        let cold = self.warmth.all.borrow().get(self.place).cloned().flatten();
        if let Some(cold) = cold {
            self.change(Some(Cold { why: Some(cut(words, MAX_WORDS).to_owned()), ..cold }));
        }
    }

    fn change(&self, to: Option<Cold>) {
        self.warmth.all.send_if_modified(|all| {
            let Some(place) = all.get_mut(self.place).filter(|place| **place != to) else { return false };
            *place = to;
            true
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
        pods.failed("pods is forbidden");
        nodes.failed("a watch that broke later");
        let said: Vec<String> = warmth.cold().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["Pod (pods is forbidden)"]);
        pods.is_in();
        assert!(warmth.cold().is_empty());
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
