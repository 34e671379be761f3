//! Reasons on a `ReflectorFleet`.

use super::reasons;

reasons! {
    /// Why a condition of a `ReflectorFleet` is as it is.
    FleetReason {
        AllReady: "Every member is Ready and made from the newest template." => "Nothing to do.",
        InvalidSpec: "The spec cannot be used." => "Correct the field the message names.",
        Progressing: "The operator is at work on the members." => "Wait a moment.",
        NoMatchingNodes: "No node matches spec.nodeSelector." => "Compare it with `kubectl get nodes --show-labels`.",
        TooManyNodes: "More than 64 nodes match." => "Make a second fleet with a narrower spec.nodeSelector each.",
        NameTaken: "A Reflector of a member's name exists already and is not the fleet's." => "Delete or rename the one the message names.",
        ApplyFailed: "The API server refused a member." => "Read the message; the operator tries again by itself.",
        DefinitionsOutdated: "The definitions in the cluster are older than this operator, which cannot write all it knows." => "Apply the definitions of this release, with its chart or from crds/yaml; it goes on by itself within five minutes.",
        RollingOut: "A change of the template is on its way to the members." => "Wait; running tests end first.",
        MembersNotReady: "Some members are not Ready." => "Look at the Reflectors the message names.",
    }
}
