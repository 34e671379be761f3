//! A client of the API server, from the files that a pod has or from `KUBECONFIG`. IO only.

use std::time::Duration;

use kube::{Client, Config};

use super::own::Own;

/// Connecting and the TLS handshake. An API server that takes longer is away for us.
const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no client. The API server being away is no reason: nothing is sent yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a service account nor a kubeconfig.
    #[error("find the API server: run as a pod with its service account, or set KUBECONFIG")]
    Find(#[source] kube::config::InferConfigError),
    /// Its certificate or our credentials cannot be used.
    #[error("prepare to ask the API server")]
    Prepare(#[source] kube::Error),
}

/// Makes the client. It tries nothing twice by itself: whoever asks waits with a deadline and backs off with the rest of
/// its room, and an answer `429` or `503` is seen at once.
pub async fn connect(own: &Own) -> Result<Client, Error> {
    // Fails when it is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut config = Config::infer().await.map_err(Error::Find)?;
    config.default_namespace.clone_from(&own.namespace);
    config.connect_timeout = Some(CONNECT);
    config.default_retry = false;
    Client::try_from(config).map_err(Error::Prepare)
}
