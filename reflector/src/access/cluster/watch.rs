//! One list and watch after the other, for ever. IO only: what an answer means is decided in `wire` and `held`.
//!
//! The loop is ours and not kube's `runtime`: that one hides when a watch stands and when it is away, which is what the
//! grace and `/readyz` hang on; it ends at an object it cannot read unless each is wrapped; and it would bring a store,
//! a scheduler and a second hash map into a process that should idle below 20 MiB.

use std::pin::Pin;
use std::time::Duration;

use crds::{Reflector, ReflectorPeer};
use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};
use kube::core::Request;
use kube::core::params::{ListParams, WatchParams};
use kube::{Client, Resource as _};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::access::handle::Clock;
use crate::cluster::Own;

use super::held::News;
use super::lines::Lines;
use super::objects::{self, Watched};
use super::pace::{Pace, Timing, watch_seconds};
use super::wire::{self, Failure, Line};

/// Objects of one page: a hundred of the largest fit in the memory that a pod has.
const PAGE: u32 = 100;
/// Longest page. A hundred peers of a fleet of 64 with full status are 6 MB.
const MAX_PAGE: usize = 16 << 20;

type Body = Pin<Box<dyn AsyncBufRead + Send>>;

/// What came, and when.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) watched: Watched,
    pub(super) news: News,
    pub(super) received_mono_ms: u64,
}

/// One of our watches.
pub(super) struct Watch {
    pub(super) client: Client,
    pub(super) watched: Watched,
    pub(super) own: Own,
    pub(super) clock: Clock,
    pub(super) timing: Timing,
    pub(super) news: mpsc::Sender<Told>,
}

/// How one attempt ended.
enum Ended {
    /// The server ended it in order, or nothing came for long: the next one goes on where this one was.
    Closed(String),
    /// In the middle, or with words that make no sense: nobody knows what was missed.
    Cut(String),
    /// It cannot be reached or refuses.
    Away(String),
    /// We may not ask this.
    Forbidden(String),
    /// Nobody listens any more.
    Unheard,
}

impl Watch {
    /// Lists, watches, and begins again. Returns when nobody listens any more.
    pub(super) async fn run(self) {
        let mut pace = Pace::new(self.timing.first_pause);
        let mut version: Option<String> = None;
        loop {
            let began = (self.clock)().mono_ms;
            let ended = self.attempt(version.take()).await;
            let lived = Duration::from_millis((self.clock)().mono_ms.saturating_sub(began));
            let lived = match ended {
                Ended::Unheard => return,
                Ended::Closed(last) => {
                    version = Some(last);
                    lived
                }
                Ended::Cut(why) => {
                    tracing::info!(watched = self.watched.as_str(), %why, "the watch is begun anew");
                    lived
                }
                Ended::Away(why) => {
                    if !self.tell(News::Away(why)).await {
                        return;
                    }
                    // However long it took to find out.
                    Duration::ZERO
                }
                Ended::Forbidden(why) => {
                    if !self.tell(News::Forbidden(why)).await {
                        return;
                    }
                    Duration::ZERO
                }
            };
            let dice = getrandom::u32().unwrap_or(u32::MAX / 2);
            let pause = pace.pause(lived, dice);
            // Nobody listens any more, or it is time.
            if timeout(pause, self.news.closed()).await.is_ok() {
                return;
            }
        }
    }

    async fn attempt(&self, version: Option<String>) -> Ended {
        let from = match version {
            Some(version) => version,
            None => match self.list().await {
                Ok((version, all)) => {
                    if !self.tell(News::Listed(all)).await {
                        return Ended::Unheard;
                    }
                    version
                }
                Err(Failure::Expired) => return Ended::Cut("the list changed while it was read".to_owned()),
                Err(Failure::Away(why)) => return Ended::Away(why),
                Err(Failure::Forbidden(why)) => return Ended::Forbidden(why),
            },
        };
        self.watch(from).await
    }

    /// All pages. Each object is made small before the next page comes.
    async fn list(&self) -> Result<(String, Vec<Value>), Failure> {
        let (mut all, mut more) = (Vec::new(), None);
        loop {
            let params = ListParams { continue_token: more, ..ListParams::default() };
            let request = self.request().list(&params.fields(&self.selector()).limit(PAGE));
            let request = request.map_err(|error| Failure::Away(error.to_string()))?;
            let body = timeout(self.timing.answer, self.client.request_stream(request)).await;
            let body = body.map_err(|_| Failure::Away("it does not answer".to_owned()))?;
            let body = Box::pin(body.map_err(|error| wire::failure(&error))?);
            let bytes = timeout(self.timing.page, whole(body)).await;
            let bytes = bytes.map_err(|_| Failure::Away("it does not finish its answer".to_owned()))?;
            let page = wire::page(&bytes.map_err(Failure::Away)?).map_err(Failure::Away)?;
            all.extend(page.items.into_iter().map(|item| objects::slim(item, &self.own)));
            match page.more {
                None => return Ok((page.version, all)),
                token => more = token,
            }
        }
    }

    async fn watch(&self, mut version: String) -> Ended {
        let dice = getrandom::u32().unwrap_or_default();
        let params = WatchParams::default().fields(&self.selector()).timeout(watch_seconds(dice));
        let request = match self.request().watch(&params, &version) {
            Ok(request) => request,
            Err(error) => return Ended::Away(error.to_string()),
        };
        let mut body: Body = match timeout(self.timing.answer, self.client.request_stream(request)).await {
            Ok(Ok(body)) => Box::pin(body),
            Ok(Err(error)) => {
                return match wire::failure(&error) {
                    Failure::Expired => {
                        Ended::Cut("what happened meanwhile is not known any more".to_owned())
                    }
                    Failure::Away(why) => Ended::Away(why),
                    Failure::Forbidden(why) => Ended::Forbidden(why),
                };
            }
            Err(_) => return Ended::Away("it does not answer".to_owned()),
        };
        if !self.tell(News::Stands).await {
            return Ended::Unheard;
        }
        let mut lines = Lines::default();
        loop {
            let piece = match timeout(self.timing.quiet, body.fill_buf()).await {
                // Nothing for long, or the end.
                Err(_) | Ok(Ok([])) => return Ended::Closed(version),
                Ok(Err(error)) => return Ended::Cut(error.to_string()),
                Ok(Ok(piece)) => piece,
            };
            let received_mono_ms = (self.clock)().mono_ms;
            let length = piece.len();
            lines.push(piece);
            body.as_mut().consume_unpin(length);
            loop {
                let line = match lines.pop() {
                    Ok(None) => break,
                    Ok(Some(line)) => wire::line(&line),
                    Err(_) => Err("a line of its watch does not end".to_owned()),
                };
                let news = match line {
                    Ok(Line::Bookmark(at)) => {
                        version = at;
                        News::Quiet
                    }
                    Ok(Line::Changed(object)) => {
                        version = wire::version(&object).unwrap_or(&version).to_owned();
                        News::Changed(objects::slim(object, &self.own))
                    }
                    Ok(Line::Gone(object)) => {
                        version = wire::version(&object).unwrap_or(&version).to_owned();
                        News::Gone(objects::slim(object, &self.own))
                    }
                    Ok(Line::Expired) => {
                        return Ended::Cut("what happened meanwhile is not known any more".to_owned());
                    }
                    Ok(Line::Failed(why)) | Err(why) => return Ended::Cut(why),
                };
                if !self.tell_at(news, received_mono_ms).await {
                    return Ended::Unheard;
                }
            }
        }
    }

    fn request(&self) -> Request {
        let namespace = Some(self.own.namespace.as_str());
        Request::new(match self.watched {
            Watched::Own => Reflector::url_path(&(), namespace),
            Watched::Peers | Watched::FleetPeers => ReflectorPeer::url_path(&(), namespace),
        })
    }

    /// So narrow that no pod sees the peers of another.
    fn selector(&self) -> String {
        let peers =
            |kind: &str, name: &str| format!("spec.reflectorRef.kind={kind},spec.reflectorRef.name={name}");
        match self.watched {
            Watched::Own => format!("metadata.name={}", self.own.name),
            Watched::Peers => peers("Reflector", &self.own.name),
            Watched::FleetPeers => {
                peers("ReflectorFleet", self.own.fleet.as_ref().map_or("", |fleet| fleet.name.as_str()))
            }
        }
    }

    async fn tell(&self, news: News) -> bool {
        self.tell_at(news, (self.clock)().mono_ms).await
    }

    async fn tell_at(&self, news: News, received_mono_ms: u64) -> bool {
        self.news.send(Told { watched: self.watched, news, received_mono_ms }).await.is_ok()
    }
}

/// The whole answer, as far as one may be long.
async fn whole(mut body: Body) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        let piece = body.fill_buf().await.map_err(|error| format!("its answer was cut off: {error}"))?;
        if piece.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(piece);
        let length = piece.len();
        body.as_mut().consume_unpin(length);
        if bytes.len() > MAX_PAGE {
            return Err(format!("its answer is longer than {MAX_PAGE} bytes"));
        }
    }
}
