//! Why a session was not granted.

use serde::{Deserialize, Serialize};

use super::reasons;

reasons! {
    /// Why a session was not granted. The first five are all an appliance understands; the last one is sent only to peers
    /// that negotiated `resource_exhausted`, everyone else reads `busy`. The names are those of the wire, of audit lines and of
    /// metrics.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    DenyReason {
        Unauthorized "unauthorized": "This appliance may not test now: it is suspended, expired or no longer paired, or the reflector has no current policy." => "Look at the peer's conditions; if it has none to blame, at PolicyCurrent of the Reflector.",
        RateLimited "rate_limited": "The pause after the last test is not over, the tests of the last hour are used up, or testing is closed at this time of day." => "Wait as long as it says. To allow more: quotas.cooldown, quotas.testsPerHour or spec.windows.",
        Busy "busy": "Another test runs, or the reflector is draining, suspended, out of resources, or cannot write its audit log." => "Try again after the wait it names. If it stays: kubectl reflector status lists what is wrong.",
        InvalidParams "invalid_params": "The request asks for something that waiting will not make valid: no seconds, too many streams, an unknown protocol, a test type that is switched off or not part of this build, a path that is not open." => "Change what the message names, on the appliance or in quotas of the peer and its Reflector.",
        QuotaExceeded "quota_exceeded": "The bytes of this UTC day are used up." => "Wait until 00:00 UTC, or raise quotas.bytesPerDay of this peer.",
        ResourceExhausted "resource_exhausted": "No port, file descriptor or memory for another test. Peers that did not negotiate the feature of this name read busy." => "Try again. If it stays: run kubectl reflector test R, widen spec.network.dataPorts or raise spec.resources.",
    }
}
