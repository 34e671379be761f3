//! `why`: what the conditions of an object and its last denials mean, and what to do.

use anyhow::{Error, Result, bail, ensure};
use crds::peer::ReflectorKind;
use crds::reasons::{FleetReason, PeerReason, ReflectorReason};
use crds::{Reflector, ReflectorFleet, ReflectorPeer};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde_json::json;

use super::answer::{Answer, written};
use super::args::Format;
use super::cluster::Cluster;
use super::denials::{self, Denials, Whose};
use super::peers::today;
use super::text::{ago, count, is_fine, line, plain};
use crate::clock;

/// What is asked about.
#[derive(Debug, Clone, PartialEq)]
enum Subject {
    Peer(Box<ReflectorPeer>),
    Reflector(Box<Reflector>),
    Fleet(Box<ReflectorFleet>),
}

pub(super) async fn run(cluster: &Cluster, name: &str, format: Option<Format>) -> Result<Answer> {
    let (found, refused) = find(cluster, name).await?;
    let subject = match (found.as_slice(), refused) {
        ([only], _) => only,
        // Whoever may look at peers alone asks for one of those.
        ([], Some(error)) => return Err(error),
        ([], None) => bail!(
            "there is no peer, Reflector or fleet {name} in namespace {}: kubectl reflector status shows those there are",
            cluster.namespace
        ),
        _ => bail!("there are several of that name: say peer/{name}, reflector/{name} or fleet/{name}"),
    };
    let denials = match subject.whose() {
        Some((whose, reflectors)) => denials::read(cluster, &whose, &reflectors).await,
        None => Denials::default(),
    };
    let now = clock::now().wall;
    let text = match format {
        None => subject.draw(name, &denials, now),
        Some(format) => {
            let all: Vec<_> = subject.conditions().iter().map(|one| subject.explained(one)).collect();
            let mut said = denials.into_json();
            said["name"] = json!(name);
            said["conditions"] = json!(all);
            written(&said, format)?
        }
    };
    Ok(Answer::text(text))
}

/// What has that name, and why there may be more.
async fn find(cluster: &Cluster, name: &str) -> Result<(Vec<Subject>, Option<Error>)> {
    let (kinds, name) = meant(name)?;
    let mut found = Vec::new();
    let mut refused = None;
    for kind in kinds {
        let one = match kind {
            Asked::Peer => cluster.find(name).await.map(|one| one.map(Box::new).map(Subject::Peer)),
            Asked::Reflector => cluster.find(name).await.map(|one| one.map(Box::new).map(Subject::Reflector)),
            Asked::Fleet => cluster.find(name).await.map(|one| one.map(Box::new).map(Subject::Fleet)),
        };
        match one {
            Ok(one) => found.extend(one),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Ok((found, refused))
}

/// A kind that can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Peer,
    Reflector,
    Fleet,
}

/// Which kinds a name may be of. As kubectl has it, the kind may stand before it.
fn meant(name: &str) -> Result<(Vec<Asked>, &str)> {
    let (kind, name) = name.split_once('/').map_or((None, name), |(kind, name)| (Some(kind), name));
    let kinds = match kind {
        None => vec![Asked::Peer, Asked::Reflector, Asked::Fleet],
        Some("peer" | "peers" | "rpeer" | "reflectorpeer" | "reflectorpeers") => vec![Asked::Peer],
        Some("reflector" | "reflectors" | "rfl") => vec![Asked::Reflector],
        Some("fleet" | "fleets" | "rfleet" | "reflectorfleet" | "reflectorfleets") => vec![Asked::Fleet],
        Some(_) => vec![],
    };
    ensure!(!kinds.is_empty() && !name.is_empty(), "say whose: peer/NAME, reflector/NAME or fleet/NAME");
    Ok((kinds, name))
}

impl Subject {
    fn conditions(&self) -> &[Condition] {
        match self {
            Self::Peer(peer) => peer.status.as_ref().map_or(&[], |status| &status.conditions),
            Self::Reflector(reflector) => reflector.status.as_ref().map_or(&[], |status| &status.conditions),
            Self::Fleet(fleet) => fleet.status.as_ref().map_or(&[], |status| &status.conditions),
        }
    }

    /// Whose denials are worth a look, and in the logs of which Reflectors. Those of a fleet are its members'.
    fn whose(&self) -> Option<(Whose, Vec<String>)> {
        match self {
            Self::Peer(peer) => {
                let named = &peer.spec.reflector_ref;
                let status = peer.status.clone().unwrap_or_default();
                let members = status.reflectors.into_iter().map(|entry| entry.name);
                let reflectors = match named.kind {
                    ReflectorKind::Reflector => vec![named.name.clone()],
                    _ => members.collect(),
                };
                Some((Whose::of(peer), reflectors))
            }
            Self::Reflector(reflector) => Some((Whose::All, vec![reflector.name_any()])),
            Self::Fleet(_) => None,
        }
    }

    /// What a reason means and what to do. A newer operator may have one we do not know.
    fn words(&self, reason: &str) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Peer(_) => reason.parse::<PeerReason>().ok().map(|one| (one.explanation(), one.remedy())),
            Self::Reflector(_) => {
                reason.parse::<ReflectorReason>().ok().map(|one| (one.explanation(), one.remedy()))
            }
            Self::Fleet(_) => reason.parse::<FleetReason>().ok().map(|one| (one.explanation(), one.remedy())),
        }
    }

    fn explained(&self, condition: &Condition) -> serde_json::Value {
        let mut said = json!({
            "type": condition.type_, "status": condition.status, "reason": condition.reason, "message": condition.message,
        });
        if let Some((means, remedy)) = self.words(&condition.reason) {
            said["explanation"] = json!(means);
            said["remedy"] = json!(remedy);
        }
        said
    }

    fn draw(&self, name: &str, denials: &Denials, now: Timestamp) -> String {
        let mut out = String::new();
        for condition in self.conditions() {
            let since = ago(Some(&condition.last_transition_time), now);
            let mark = if is_fine(condition) { " " } else { "!" };
            let (type_, status, reason) =
                (plain(&condition.type_), plain(&condition.status), plain(&condition.reason));
            line(&mut out, &format!("{mark} {type_} is {status} for {since}: {reason}"));
            let words = self.words(&condition.reason);
            let (means, remedy) =
                words.unwrap_or(("", "This release of the plugin does not know the reason."));
            let details = details(&condition.message, means, remedy);
            for words in [means, &details, remedy]
                .into_iter()
                .filter(|line| !line.is_empty() && *line != "Nothing to do.")
            {
                line(&mut out, &format!("    {words}"));
            }
        }
        if out.is_empty() {
            out = format!("Nobody has looked at {} yet. Is the operator running?\n", plain(name));
        }
        out.push_str(&self.denied(denials, now));
        out.push_str(&denials.draw(now));
        out
    }

    /// What there is to know beside the denials that the logs have.
    fn denied(&self, denials: &Denials, now: Timestamp) -> String {
        let mut out = String::new();
        let Self::Peer(peer) = self else { return out };
        let denied = today(peer, now).and_then(|usage| usage.denied_today).unwrap_or(0);
        if denied > 0 {
            let older = ": they are older than the log of the pod, the audit log on its claim has them";
            let older = if denials.is_empty() && denials.unread.is_empty() { older } else { "" };
            line(&mut out, &format!("  {} denied today{older}.", count(denied, "request")));
        }
        let id = peer.status.as_ref().and_then(|status| status.endpoint_id.as_ref());
        let named = &peer.spec.reflector_ref;
        if id.is_none() && peer.spec.endpoint_id.is_none() && named.kind == ReflectorKind::Reflector {
            let reflector = plain(&named.name);
            line(
                &mut out,
                &format!(
                    "  It has no Endpoint ID yet. Whom {reflector} did not know and turned away: \
                     kubectl reflector why reflector/{reflector}"
                ),
            );
        }
        out
    }
}

/// What a message says beyond what the table says already.
fn details(message: &str, means: &str, remedy: &str) -> String {
    let message = plain(message);
    let rest = message.strip_prefix(means).unwrap_or(&message);
    rest.strip_suffix(remedy).unwrap_or(rest).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::{golden, now, picture};

    #[test]
    fn golden_why() {
        let all = picture();
        let asked = |name: &str, subject: &Subject| {
            format!("$ kubectl reflector why {name}\n{}", subject.draw(name, &Denials::default(), now()))
        };
        let reflectors = all.reflectors.into_iter().filter(|one| !one.name_any().starts_with("homes"));
        let parts = reflectors
            .map(|one| asked(&one.name_any(), &Subject::Reflector(Box::new(one))))
            .chain(all.peers.into_iter().map(|one| asked(&one.name_any(), &Subject::Peer(Box::new(one)))))
            .chain(all.fleets.into_iter().map(|one| asked(&one.name_any(), &Subject::Fleet(Box::new(one)))));
        let text: String = parts.collect();
        golden("why.txt", &text);
    }

    #[test]
    fn a_kind_may_stand_before_the_name() {
        assert_eq!(meant("rpeer/den").unwrap(), (vec![Asked::Peer], "den"));
        assert_eq!(meant("reflector/den").unwrap(), (vec![Asked::Reflector], "den"));
        assert_eq!(meant("den").unwrap().0.len(), 3);
        for wrong in ["pod/den", "peer/", "", "/den"] {
            assert!(meant(wrong).unwrap_err().to_string().contains("peer/NAME"), "{wrong}");
        }
    }

    #[test]
    fn what_the_table_says_is_not_said_twice() {
        assert_eq!(details("It means. port 4000. Do it.", "It means.", "Do it."), "port 4000.");
        assert_eq!(details("words of a stranger", "It means.", "Do it."), "words of a stranger");
        assert_eq!(details("", "", ""), "");
    }

    #[test]
    fn an_object_nobody_has_looked_at_and_a_reason_of_the_future_are_said() {
        let mut reflector = picture().reflectors.remove(0);
        reflector.status.as_mut().unwrap().conditions[0].reason = "InventedLater".into();
        let subject = Subject::Reflector(Box::new(reflector.clone()));
        assert!(subject.draw("attic", &Denials::default(), now()).contains("does not know the reason"));
        reflector.status = None;
        let subject = Subject::Reflector(Box::new(reflector));
        assert!(subject.draw("attic", &Denials::default(), now()).contains("operator"));
    }
}
