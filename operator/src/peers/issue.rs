//! Makes a code: the Secret for a person, the public key for everybody. IO; whether to make one was decided before.

use crds::ReflectorPeer;
use crds::pairing::{self, Code, CodeKey, SecretKey};
use crds::peer::{PairingState, PairingStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::decide::Issue;
use super::found::Named;
use super::secret;
use crate::clock;
use crate::metrics::Kind;
use crate::writing::{self, Writer};

/// A code was not made, or one that is of no use is still there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("make a pairing code: no random numbers")]
    Random(#[source] getrandom::Error),
    #[error(transparent)]
    Hash(#[from] pairing::Error),
    #[error("hash a pairing code: its task ended")]
    Task(#[from] tokio::task::JoinError),
    #[error("make a pairing code: its end is out of range")]
    Time(#[source] jiff::Error),
    #[error(transparent)]
    Write(#[from] writing::Error),
}

/// Makes code and Secret; what is to be said in the status. One at a time is the caller's business.
pub(super) async fn issue(
    writer: &Writer,
    peer: &ReflectorPeer,
    named: &Named,
    issue: &Issue,
) -> Result<PairingStatus, Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(Error::Random)?;
    let code = Code::from_random(random);
    let key = hash(code.clone(), named.uid.clone()).await?;
    let end = clock::now().wall.checked_add(issue.ttl).map_err(Error::Time)?;
    // Times in objects have whole seconds; none shall be shorter than was asked for.
    let end = Timestamp::from_second(end.as_second().saturating_add(1)).map_err(Error::Time)?;
    let mut secret = secret::secret(peer, named, issue.round, &code, end);
    let mut uid = writer.create(Kind::Secret, &secret).await?;
    if uid.is_none() {
        // Most likely ours, of a try that ended before the status had its key: nobody knows that key any more, and it
        // goes with the peer. It is neither read nor removed.
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(Error::Random)?;
        secret.metadata.name = Some(secret::other_name(&peer.uid().unwrap_or_default(), issue.round, random));
        uid = writer.create(Kind::Secret, &secret).await?;
    }
    let Some(uid) = uid else {
        return Err(Error::Write(writing::Error::taken(Kind::Secret, &secret.name_any())));
    };
    Ok(PairingStatus {
        state: Some(PairingState::Waiting),
        code_key: Some(key.to_string()),
        expires_at: Some(Time(end)),
        round: Some(i64::from(issue.round)),
        secret: secret.metadata.name,
        secret_uid: Some(uid),
        reference_uid: Some(named.uid.clone()),
        ..PairingStatus::default()
    })
}

/// Removes the Secret a pairing names, if it is the one that was made for it. That it is gone already is fine.
pub(super) async fn withdraw(
    writer: &Writer,
    peer: &ReflectorPeer,
    pairing: &PairingStatus,
) -> Result<(), writing::Error> {
    let (Some(name), Some(uid)) = (&pairing.secret, &pairing.secret_uid) else { return Ok(()) };
    let namespace = peer.namespace().unwrap_or_default();
    writer.delete_unread::<Secret>(Kind::Secret, &namespace, name, uid).await
}

async fn hash(code: Code, uid: String) -> Result<CodeKey, Error> {
    let key = tokio::task::spawn_blocking(move || {
        SecretKey::derive(&code, &uid, &mut pairing::memory()).map(|key| key.code_key())
    });
    Ok(key.await??)
}
