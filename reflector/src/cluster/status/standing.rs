//! From how the rooms stand to what is said about the reflector. Pure.

use crds::reasons::ReflectorReason as Reason;

use crate::access::source::Source;
use crate::selfconnect::Reached;

use super::condition::Said;

/// Whether anybody can come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listener {
    /// It takes connections.
    #[default]
    Open,
    /// The process is on its way out.
    Draining,
    /// It ended, and nobody asked it to.
    Gone,
}

/// What decides whether a test would be granted. In the order in which it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doorway {
    /// Whether anybody can come in.
    pub listener: Listener,
    /// `spec.suspend`
    pub suspended: bool,
    /// The audit log decides about tests, and cannot be written.
    pub audit_denies: bool,
    /// Why usage cannot be written.
    pub unrecorded: Option<String>,
    /// Whether it can connect to itself.
    pub reached: Reached,
}

impl Doorway {
    /// The condition `Accepting`.
    pub fn accepting(&self) -> Said {
        match self.listener {
            Listener::Draining => return Said::not(Reason::Draining, ""),
            Listener::Gone => return Said::not(Reason::ListenFailed, "the control listener has ended"),
            Listener::Open => {}
        }
        if self.suspended {
            Said::not(Reason::Suspended, "")
        } else if self.audit_denies {
            Said::not(Reason::AuditFull, "")
        } else if let Some(why) = &self.unrecorded {
            Said::not(Reason::UsageNotRecorded, why)
        } else {
            match &self.reached {
                Reached::Yes => Said::yes(Reason::Listening, ""),
                Reached::No(why) => Said::not(Reason::SelfConnectFailed, why),
                Reached::Untried => Said::unknown(Reason::Starting, "It has not connected to itself yet."),
            }
        }
    }
}

/// The condition `PolicyCurrent`. `trouble` is why our Reflector cannot be used as it was written, `forbidden` what the API
/// server says of a right that is missing: it is there, and only a person can help.
pub fn policy_current(source: &Source, trouble: Option<&str>, forbidden: Option<&str>) -> Said {
    let of_rights = matches!(source, Source::NeverLoaded { .. } | Source::Stale { .. });
    if let Some(words) = forbidden.filter(|_| of_rights && trouble.is_none()) {
        return Said::not(Reason::Forbidden, words);
    }
    match source {
        Source::NeverLoaded { why } => {
            Said::not(Reason::Loading, trouble.or(why.as_deref()).unwrap_or_default())
        }
        Source::Current => match trouble {
            None => Said::yes(Reason::Loaded, ""),
            Some(trouble) => Said::not(Reason::Loading, trouble),
        },
        Source::Stale { why, .. } => match trouble {
            // The server is there; what it says cannot be used.
            Some(trouble) => Said::not(Reason::Loading, trouble),
            None => Said::not(Reason::Stale, why),
        },
        Source::GraceOver { why } => Said::not(Reason::Expired, trouble.unwrap_or(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_it_from_granting_is_said_in_order() {
        let all = Doorway {
            listener: Listener::Draining,
            suspended: true,
            audit_denies: true,
            unrecorded: Some("disk full".into()),
            reached: Reached::No("refused".into()),
        };
        assert_eq!(all.accepting(), Said::not(Reason::Draining, ""));
        let rest = Doorway { listener: Listener::Gone, ..all };
        assert_eq!(rest.accepting(), Said::not(Reason::ListenFailed, "the control listener has ended"));
        let rest = Doorway { listener: Listener::Open, ..rest };
        assert_eq!(rest.accepting(), Said::not(Reason::Suspended, ""));
        let rest = Doorway { suspended: false, ..rest };
        assert_eq!(rest.accepting(), Said::not(Reason::AuditFull, ""));
        let rest = Doorway { audit_denies: false, ..rest };
        assert_eq!(rest.accepting(), Said::not(Reason::UsageNotRecorded, "disk full"));
        let rest = Doorway { unrecorded: None, ..rest };
        assert_eq!(rest.accepting(), Said::not(Reason::SelfConnectFailed, "refused"));
        let rest = Doorway { reached: Reached::Yes, ..rest };
        assert_eq!(rest.accepting(), Said::yes(Reason::Listening, ""));
        let untried = Said::unknown(Reason::Starting, "It has not connected to itself yet.");
        assert_eq!(Doorway::default().accepting(), untried, "what nobody has tried is not promised");
    }

    #[test]
    fn a_policy_is_current_only_while_it_is_what_was_written() {
        let (away, bad) = (|| "away".to_owned(), Some("spec.quotas cannot be used"));
        let stale = Source::Current.away(7, away());
        for (source, trouble, expected) in [
            (Source::Current, None, Said::yes(Reason::Loaded, "")),
            (Source::Current, bad, Said::not(Reason::Loading, "spec.quotas cannot be used")),
            (Source::NeverLoaded { why: None }, None, Said::not(Reason::Loading, "")),
            (Source::NeverLoaded { why: Some(away()) }, None, Said::not(Reason::Loading, "away")),
            (stale.clone(), None, Said::not(Reason::Stale, "away")),
            (stale, bad, Said::not(Reason::Loading, "spec.quotas cannot be used")),
            (Source::GraceOver { why: away() }, None, Said::not(Reason::Expired, "away")),
        ] {
            assert_eq!(policy_current(&source, trouble, None), expected, "{source:?}");
        }
    }

    #[test]
    fn a_right_that_is_missing_is_no_absence_of_the_api_server() {
        let words = Some("may not watch peers");
        let stale = Source::Current.away(7, "refused".into());
        for source in [Source::NeverLoaded { why: None }, stale.clone()] {
            let expected = Said::not(Reason::Forbidden, "may not watch peers");
            assert_eq!(policy_current(&source, None, words), expected, "{source:?}");
        }
        assert_eq!(policy_current(&stale, Some("bad"), words), Said::not(Reason::Loading, "bad"));
        let over = Source::GraceOver { why: "refused".into() };
        assert_eq!(policy_current(&over, None, words), Said::not(Reason::Expired, "refused"));
    }
}
