//! Why a write failed, what follows from it, and whether it is worth a line in the log.

use super::subject::Subject;

/// What server-side apply says to a field that the definition in the cluster does not have.
const NOT_DEFINED: &str = "field not declared in schema";

/// What the API server made of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Nobody answered, or the server is not well: everything waits.
    Away,
    /// Our account may not do this at all: the whole kind waits, until somebody grants it.
    Forbidden,
    /// The object is gone: there is nobody left to tell about.
    Gone,
    /// The object is another one by now, or changed in every moment we tried.
    Conflict,
    /// The server or its admission does not take these words: this object waits.
    Refused,
}

/// What the server answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// HTTP status.
    pub code: u16,
    /// Its words.
    pub message: &'a str,
}

impl Trouble {
    /// From an answer that is an error.
    pub fn of(answer: Answer<'_>) -> Self {
        match answer.code {
            // Admission may say 403 as well, about one object; the account's rights are another matter.
            403 if of_admission(answer.message) => Self::Refused,
            403 => Self::Forbidden,
            404 | 410 => Self::Gone,
            409 => Self::Conflict,
            // 401: the token is being renewed, or the server was reached before it knew the account.
            401 | 408 | 429 => Self::Away,
            400..500 => Self::Refused,
            // A server that is well, with older definitions.
            500 if answer.message.contains(NOT_DEFINED) => Self::Refused,
            _ => Self::Away,
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Away => "tries again by itself; tests are not affected",
            Self::Forbidden => "apply the roles of this release: the role reflector-endpoint may patch these",
            Self::Gone => "nothing to do",
            Self::Conflict => "tries again by itself",
            Self::Refused => {
                "the definitions or the admission policy in this cluster are of another release: apply this one's"
            }
        }
    }
}

fn of_admission(message: &str) -> bool {
    message.contains("ValidatingAdmissionPolicy") || message.contains("admission webhook")
}

/// How loud something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loudness {
    /// Somebody has to do something.
    Error,
    /// Worth knowing.
    Warning,
    /// It was said before.
    Quiet,
}

/// What was said already: the same trouble is told once, and again only after it was over.
#[derive(Debug, Default)]
pub struct Voice {
    away: bool,
    forbidden: [bool; 2],
}

impl Voice {
    /// A write failed. `again` is whether the last write about this subject failed too.
    pub fn failed(&mut self, trouble: Trouble, subject: &Subject, again: bool) -> Loudness {
        let first = match trouble {
            Trouble::Away => !std::mem::replace(&mut self.away, true),
            Trouble::Forbidden => !std::mem::replace(&mut self.forbidden[kind(subject)], true),
            Trouble::Gone => false,
            Trouble::Conflict | Trouble::Refused => !again,
        };
        match (first, trouble) {
            (false, _) => Loudness::Quiet,
            (true, Trouble::Forbidden | Trouble::Refused) => Loudness::Error,
            (true, _) => Loudness::Warning,
        }
    }

    /// A write went well. True when that ends a trouble that was told.
    pub fn went_well(&mut self, subject: &Subject) -> bool {
        let away = std::mem::replace(&mut self.away, false);
        let forbidden = std::mem::replace(&mut self.forbidden[kind(subject)], false);
        away || forbidden
    }
}

/// Rights are given by kind.
pub(super) fn kind(subject: &Subject) -> usize {
    match subject {
        Subject::Own { .. } => 0,
        Subject::Peer { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{own, peer};
    use super::*;

    const RBAC: &str = "reflectorpeers.packetparamedic.io \"tv\" is forbidden: User \
        \"system:serviceaccount:r:rfl-attic\" cannot patch resource \"reflectorpeers/status\"";
    const POLICY: &str = "reflectorpeers.packetparamedic.io \"tv\" is forbidden: ValidatingAdmissionPolicy \
        'reflector-pods' with binding 'reflector-pods' denied request: not your entry";

    #[test]
    fn each_answer_has_its_consequence() {
        for (code, message, expected) in [
            (400, "", Trouble::Refused),
            (401, "Unauthorized", Trouble::Away),
            (403, RBAC, Trouble::Forbidden),
            (403, POLICY, Trouble::Refused),
            (404, "not found", Trouble::Gone),
            (409, "conflict", Trouble::Conflict),
            (413, "too large", Trouble::Refused),
            (422, "invalid", Trouble::Refused),
            (429, "slow down", Trouble::Away),
            (500, "", Trouble::Away),
            (
                500,
                "failed to create typed patch object: .status.x: field not declared in schema",
                Trouble::Refused,
            ),
            (503, "", Trouble::Away),
        ] {
            assert_eq!(Trouble::of(Answer { code, message }), expected, "{code} {message}");
        }
    }

    #[test]
    fn a_missing_right_is_said_once_and_loud() {
        let mut voice = Voice::default();
        assert_eq!(voice.failed(Trouble::Forbidden, &peer(1), false), Loudness::Error);
        assert_eq!(voice.failed(Trouble::Forbidden, &peer(2), false), Loudness::Quiet);
        // Another kind, another right.
        assert_eq!(voice.failed(Trouble::Forbidden, &own(), false), Loudness::Error);
        assert!(voice.went_well(&peer(2)));
        assert!(!voice.went_well(&peer(2)));
        assert_eq!(voice.failed(Trouble::Forbidden, &peer(1), true), Loudness::Error);
    }

    #[test]
    fn an_absent_server_is_said_once_and_its_return_too() {
        let mut voice = Voice::default();
        assert_eq!(voice.failed(Trouble::Away, &peer(1), false), Loudness::Warning);
        assert_eq!(voice.failed(Trouble::Away, &own(), false), Loudness::Quiet);
        assert!(voice.went_well(&own()));
        assert!(!voice.went_well(&peer(1)));
    }

    #[test]
    fn words_that_are_not_taken_are_said_once_per_object() {
        let mut voice = Voice::default();
        assert_eq!(voice.failed(Trouble::Refused, &peer(1), false), Loudness::Error);
        assert_eq!(voice.failed(Trouble::Refused, &peer(1), true), Loudness::Quiet);
        assert_eq!(voice.failed(Trouble::Refused, &peer(2), false), Loudness::Error);
        assert_eq!(voice.failed(Trouble::Gone, &peer(2), false), Loudness::Quiet);
    }
}
