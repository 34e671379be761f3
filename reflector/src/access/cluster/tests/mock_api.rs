//! A mock of an API server: it lists and watches what a test puts in, over plain HTTP, and misbehaves when told to. It checks
//! no rights and no schema; that a real one accepts our requests is proven on the bed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Takes the connection and says nothing.
    Silent,
    /// Refuses everything with this status.
    Refusing(u16),
}

/// What happens on every watch that stands.
#[derive(Debug, Clone)]
enum Happening {
    Event(&'static str, Value),
    /// To be sent as it is.
    Bytes(String),
    /// Ends it in order.
    End,
    /// Drops the connection in the middle of a chunk.
    Cut,
}

struct State {
    mood: Mood,
    version: u64,
    objects: BTreeMap<(String, String), Value>,
    lists: Vec<String>,
    watches: Vec<String>,
}

#[derive(Clone)]
pub(super) struct MockApi {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    happenings: broadcast::Sender<Happening>,
}

impl MockApi {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = State {
            mood: Mood::Well,
            version: 10,
            objects: BTreeMap::new(),
            lists: Vec::new(),
            watches: Vec::new(),
        };
        let api = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(state)),
            happenings: broadcast::Sender::new(64),
        };
        let served = api.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = served.clone();
                // A client that hangs up ends its connection and nothing else.
                tokio::spawn(async move { drop(api.serve(stream).await) });
            }
        });
        api
    }

    pub(super) fn client(&self) -> Client {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut config = Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Puts an object in and tells every watch.
    pub(super) fn put(&self, object: Value) {
        let (object, known) = self.put_quietly(object);
        self.tell(Happening::Event(if known { "MODIFIED" } else { "ADDED" }, object));
    }

    /// Puts an object in and tells nobody.
    pub(super) fn put_quietly(&self, mut object: Value) -> (Value, bool) {
        let mut state = self.state();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let known = state.objects.insert(key(&object), object.clone()).is_some();
        (object, known)
    }

    pub(super) fn delete(&self, object: &Value) {
        self.delete_quietly(object);
        self.tell(Happening::Event("DELETED", object.clone()));
    }

    pub(super) fn delete_quietly(&self, object: &Value) {
        let mut state = self.state();
        state.version += 1;
        state.objects.remove(&key(object)).unwrap();
    }

    pub(super) fn bookmark(&self, version: &str) {
        let event = json!({ "type": "BOOKMARK", "object": { "metadata": { "resourceVersion": version } } });
        self.tell(Happening::Bytes(format!("{event}\n")));
    }

    pub(super) fn say(&self, bytes: &str) {
        self.tell(Happening::Bytes(bytes.to_owned()));
    }

    pub(super) fn end_watches(&self) {
        self.tell(Happening::End);
    }

    pub(super) fn cut_watches(&self) {
        self.tell(Happening::Cut);
    }

    fn tell(&self, happening: Happening) {
        // Nobody watches at the moment.
        let _ = self.happenings.send(happening);
    }

    /// What was asked for, by path and query.
    pub(super) fn lists(&self) -> Vec<String> {
        self.state().lists.clone()
    }

    pub(super) fn watches(&self) -> Vec<String> {
        self.state().watches.clone()
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().replace("%3D", "=").replace("%2C", ",");
        let (path, query) = target.split_once('?').unwrap();
        let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let mood = self.state().mood;
        match mood {
            Mood::Well => {}
            Mood::Silent => return std::future::pending().await,
            Mood::Refusing(code) => {
                let status = json!({ "kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "no" });
                return answer(&mut stream, code, &status).await;
            }
        }
        if query.contains_key("watch") {
            return self.watch(stream, &target, path, &query).await;
        }
        let list = self.list(&target, path, &query);
        answer(&mut stream, 200, &list).await
    }

    fn list(&self, target: &str, path: &str, query: &BTreeMap<&str, &str>) -> Value {
        let mut state = self.state();
        state.lists.push(target.to_owned());
        let limit: usize = query["limit"].parse().unwrap();
        let skip: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let all: Vec<&Value> =
            state.objects.values().filter(|object| selected(object, path, query)).collect();
        let page: Vec<&&Value> = all.iter().skip(skip).take(limit).collect();
        let more =
            if skip + page.len() < all.len() { (skip + page.len()).to_string() } else { String::new() };
        json!({ "metadata": { "resourceVersion": state.version.to_string(), "continue": more }, "items": page })
    }

    async fn watch(
        &self,
        mut stream: TcpStream,
        target: &str,
        path: &str,
        query: &BTreeMap<&str, &str>,
    ) -> std::io::Result<()> {
        let mut happenings = self.happenings.subscribe();
        self.state().watches.push(target.to_owned());
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        while let Ok(happening) = happenings.recv().await {
            let text = match happening {
                Happening::Event(kind, object) if selected(&object, path, query) => {
                    format!("{}\n", json!({ "type": kind, "object": object }))
                }
                Happening::Event(..) => continue,
                Happening::Bytes(text) => text,
                Happening::End => return stream.write_all(b"0\r\n\r\n").await,
                Happening::Cut => return stream.write_all(b"ffff\r\n{\"type\":\"ADD").await,
            };
            stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await?;
        }
        Ok(())
    }
}

fn key(object: &Value) -> (String, String) {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    (text("/kind"), text("/metadata/name"))
}

/// What a field selector of ours selects.
fn selected(object: &Value, path: &str, query: &BTreeMap<&str, &str>) -> bool {
    let plural = path.rsplit('/').next().unwrap();
    let (kind, _) = key(object);
    let selector = query["fieldSelector"];
    format!("{}s", kind.to_lowercase()) == plural
        && selector.split(',').all(|term| {
            let (field, value) = term.split_once('=').unwrap();
            object.pointer(&format!("/{}", field.replace('.', "/"))).and_then(Value::as_str) == Some(value)
        })
}

async fn answer(stream: &mut TcpStream, code: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}
