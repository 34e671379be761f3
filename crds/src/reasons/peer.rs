//! Reasons on a `ReflectorPeer`.

#![expect(clippy::doc_markdown, reason = "explanations are printed as they stand")]

use super::reasons;

reasons! {
    /// Why a condition of a ReflectorPeer is as it is.
    PeerReason {
        Authorized: "Every reflector it names has loaded it." => "Nothing to do.",
        InvalidSpec: "The spec cannot be used; the peer is denied." => "Correct the field the message names.",
        InvalidEndpointId: "spec.endpointId is not an Endpoint ID; the peer is denied." => "Copy it again, whole; the message names the symbol.",
        Duplicate: "An older ReflectorPeer has the same Endpoint ID on this reflector." => "Delete one of the two.",
        ReflectorNotFound: "The Reflector or ReflectorFleet it names does not exist." => "Create it, or recreate the peer with another spec.reflectorRef.",
        NoMembers: "The fleet it names has no members yet." => "Wait, or look at the ReflectorFleet.",
        NotLoaded: "A reflector it names has not loaded it yet." => "Wait; if it lasts, look at the Reflector the message names.",
        PairingRequired: "It has no Endpoint ID yet." => "Pair the appliance with the code: kubectl reflector pair NAME.",
        Waiting: "A pairing code waits for an appliance." => "Enter the code on the appliance before it expires.",
        Claimed: "An appliance presented the code and waits for approval." => "Compare the confirm code with the appliance, then: kubectl reflector approve NAME.",
        PairingExpired: "Nobody presented the code in time." => "Ask for a new one: kubectl reflector pair NAME --again.",
        ClaimRefused: "A claim's proof does not fit the code; it binds nobody." => "Look at the Reflector the message names: something there claims without knowing the code, or with an old one.",
        ApplyFailed: "The API server refused the Secret of the code." => "Read the message; the operator tries again by itself.",
        DefinitionsOutdated: "The definitions in the cluster are older than this operator, which cannot write all it knows." => "Apply the definitions of this release, with its chart or from crds/yaml; it goes on by itself within five minutes.",
        TooManyWaiting: "Too many codes wait on this reflector." => "Finish or delete other pairings; at most 64 wait at one time.",
        Bound: "A pairing bound it to its appliance." => "Nothing to do.",
        Declared: "spec.endpointId names its appliance." => "Nothing to do.",
        Suspended: "spec.suspend is true." => "Remove spec.suspend to let it in again.",
        Expired: "spec.expiresAt has passed." => "Move spec.expiresAt to let it in again.",
        EndpointIdChanged: "Another Endpoint ID replaced the one that was bound." => "Nothing to do.",
        NotRevoked: "It is not shut out." => "Nothing to do.",
        QuotaLeft: "It has tests and bytes left." => "Nothing to do.",
        BytesUsedUp: "Its bytes of today are used up." => "Wait until 00:00 UTC, or raise quotas.bytesPerDay.",
        TestsUsedUp: "Its tests of this hour are used up." => "Wait, or raise quotas.testsPerHour.",
        Reconciling: "The operator has not looked at it yet." => "Wait a moment.",
    }
}
