//! Secrets are made and removed, never read, changed or adopted: `create` and `delete` are all the rights there are.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::apply::{Error, MANAGER, Writer};
use crate::metrics::{Kind, Verb};

impl Writer {
    /// Makes an object that must not be there, and says its uid. None, when one of that name is there.
    pub(crate) async fn create<K>(&self, kind: Kind, object: &K) -> Result<Option<String>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let api = self.api::<K>(&namespace);
        match self.send(kind, Verb::Create, &name, api.create(&parameters, object)).await {
            // Without a uid it is never removed: no object has this one.
            Ok(made) => Ok(Some(made.uid().unwrap_or_default())),
            Err(error) if error.is(409, "AlreadyExists") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what has this name and this uid, without seeing it. That it is gone already is fine, and what somebody else
    /// put in its place stays.
    pub(crate) async fn delete_unread<K>(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let only = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let parameters = DeleteParams::background().preconditions(only);
        let api = self.api::<K>(namespace);
        match self.send(kind, Verb::Delete, name, api.delete(name, &parameters)).await {
            Err(error) if error.is(404, "NotFound") || error.is(409, "Conflict") => Ok(()),
            answer => answer.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::to_bytes;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Response};
    use k8s_openapi::api::core::v1::Secret;
    use kube::Client;
    use serde_json::{Value, json};

    use super::*;
    use crate::lease::Standing;
    use crate::metrics::Metrics;

    /// An API server that gives these answers, one per request, and remembers what it was asked.
    #[derive(Clone)]
    struct Server {
        answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
        asked: Arc<Mutex<Vec<(String, Value)>>>,
    }

    impl Server {
        fn answering<const N: usize>(answers: [(u16, Value); N]) -> Self {
            Self { answers: Arc::new(Mutex::new(answers.into())), asked: Arc::default() }
        }

        fn writer(&self) -> Writer {
            let server = self.clone();
            let router = Router::new().fallback(async move |request: Request| server.answer(request).await);
            Writer::new(Client::new(router, "homes"), Standing::alone(), Metrics::new())
        }

        async fn answer(&self, request: Request) -> Response {
            let line = format!("{} {}", request.method(), request.uri().path());
            let body = to_bytes(request.into_body(), 10_000).await.unwrap();
            self.asked.lock().unwrap().push((line, serde_json::from_slice(&body).unwrap_or_default()));
            let (code, answer) = self.answers.lock().unwrap().pop_front().expect("no further request");
            (StatusCode::from_u16(code).unwrap(), answer.to_string()).into_response()
        }

        fn asked(&self) -> Vec<(String, Value)> {
            assert!(self.answers.lock().unwrap().is_empty(), "not all was asked");
            self.asked.lock().unwrap().clone()
        }
    }

    fn status(code: u16, reason: &str) -> (u16, Value) {
        let word = if code < 400 { "Success" } else { "Failure" };
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": word, "code": code, "reason": reason, "message": reason,
            "details": { "name": "pairing-1", "kind": "secrets", "uid": "uid-of-what-is-there" },
        });
        (code, status)
    }

    fn secret() -> Secret {
        let metadata = json!({ "name": "pairing-1", "namespace": "homes" });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    const PATH: &str = "/api/v1/namespaces/homes/secrets";

    async fn delete(server: &Server) -> Result<(), Error> {
        let writer = server.writer();
        writer.delete_unread::<Secret>(Kind::Secret, "homes", "pairing-1", "uid-of-ours").await
    }

    #[tokio::test]
    async fn a_name_that_is_taken_is_no_failure_and_nothing_is_adopted() {
        let server = Server::answering([status(409, "AlreadyExists")]);
        assert_eq!(server.writer().create(Kind::Secret, &secret()).await.unwrap(), None);
        assert_eq!(server.asked()[0].0, format!("POST {PATH}"), "and nothing else");
        let server = Server::answering([status(403, "Forbidden")]);
        assert!(server.writer().create(Kind::Secret, &secret()).await.is_err());
        let made = json!({ "metadata": { "name": "pairing-1", "uid": "uid-of-ours" } });
        let server = Server::answering([(201, made)]);
        let uid = server.writer().create(Kind::Secret, &secret()).await.unwrap();
        assert_eq!(uid.as_deref(), Some("uid-of-ours"));
    }

    /// What it made itself is all it removes.
    #[tokio::test]
    async fn a_secret_is_removed_unread_and_only_the_one_that_was_made() {
        let server = Server::answering([status(200, "")]);
        delete(&server).await.unwrap();
        let asked = server.asked();
        let [(line, meant)] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!(line, &format!("DELETE {PATH}/pairing-1"));
        assert_eq!(meant["preconditions"]["uid"], "uid-of-ours");
    }

    #[tokio::test]
    async fn one_that_is_gone_is_fine_and_so_is_another_in_its_place() {
        for (code, reason) in [(404, "NotFound"), (409, "Conflict")] {
            let server = Server::answering([status(code, reason)]);
            delete(&server).await.unwrap();
            server.asked();
        }
        let server = Server::answering([status(403, "Forbidden")]);
        assert!(delete(&server).await.is_err());
    }
}
