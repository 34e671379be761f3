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
    /// Makes an object that must not be there. False, when one of that name is.
    pub(crate) async fn create<K>(&self, kind: Kind, object: &K) -> Result<bool, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let api = self.api::<K>(&namespace);
        match self.send(kind, Verb::Create, &name, api.create(&parameters, object)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(409, "AlreadyExists") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what has this name without seeing it. Its uid comes from a deletion that is only tried; so one that was
    /// made by somebody else in between is not hit. That it is gone already is fine.
    pub(crate) async fn delete_unread<K>(&self, kind: Kind, namespace: &str, name: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>(namespace);
        let tried = DeleteParams { dry_run: true, ..DeleteParams::default() };
        let answer = match self.send(kind, Verb::Delete, name, api.delete(name, &tried)).await {
            Err(error) if error.is(404, "NotFound") => return Ok(()),
            answer => answer?,
        };
        let uid = answer.either(
            |object| object.uid(),
            |status| status.details.map(|details| details.uid).filter(|uid| !uid.is_empty()),
        );
        let only = Preconditions { uid, resource_version: None };
        let parameters = DeleteParams::background().preconditions(only);
        match self.send(kind, Verb::Delete, name, api.delete(name, &parameters)).await {
            Err(error) if error.is(404, "NotFound") => Ok(()),
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

    #[tokio::test]
    async fn a_name_that_is_taken_is_no_failure_and_nothing_is_adopted() {
        let server = Server::answering([status(409, "AlreadyExists")]);
        assert!(!server.writer().create(Kind::Secret, &secret()).await.unwrap());
        assert_eq!(server.asked()[0].0, format!("POST {PATH}"), "and nothing else");
        let server = Server::answering([status(403, "Forbidden")]);
        assert!(server.writer().create(Kind::Secret, &secret()).await.is_err());
    }

    #[tokio::test]
    async fn a_secret_is_removed_unread_and_only_the_one_that_was_there() {
        let server = Server::answering([status(200, ""), status(200, "")]);
        server.writer().delete_unread::<Secret>(Kind::Secret, "homes", "pairing-1").await.unwrap();
        let asked = server.asked();
        let [(first, tried), (second, meant)] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!(
            (first, second),
            (&format!("DELETE {PATH}/pairing-1"), &format!("DELETE {PATH}/pairing-1"))
        );
        assert_eq!(tried["dryRun"], json!(["All"]));
        assert!(meant.get("dryRun").is_none(), "{meant}");
        assert_eq!(meant["preconditions"]["uid"], "uid-of-what-is-there");
    }

    #[tokio::test]
    async fn one_that_is_gone_is_fine_and_one_that_was_replaced_is_left_alone() {
        let server = Server::answering([status(404, "NotFound")]);
        server.writer().delete_unread::<Secret>(Kind::Secret, "homes", "pairing-1").await.unwrap();
        server.asked();
        let server = Server::answering([status(200, ""), status(404, "NotFound")]);
        server.writer().delete_unread::<Secret>(Kind::Secret, "homes", "pairing-1").await.unwrap();
        server.asked();
        let server = Server::answering([status(200, ""), status(409, "Conflict")]);
        assert!(server.writer().delete_unread::<Secret>(Kind::Secret, "homes", "pairing-1").await.is_err());
        server.asked();
    }
}
