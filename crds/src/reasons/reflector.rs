//! Reasons on a Reflector, in the order in which they are asked for.

#![expect(clippy::doc_markdown, reason = "explanations are printed as they stand")]

use super::reasons;

reasons! {
    /// Why a condition of a Reflector is as it is.
    ReflectorReason {
        Serving: "A test would pass now." => "Nothing to do.",
        InvalidSpec: "The spec cannot be used." => "Correct the field the message names.",
        PortTaken: "Another Reflector on the same node has one of its ports." => "Give one of the two another port, or place it on another node.",
        NameTaken: "An object it needs exists already and belongs to somebody else." => "Rename the Reflector, or delete the object the message names.",
        UnknownStorageClass: "The StorageClass does not exist." => "Write one that `kubectl get storageclass` shows, or leave it out; it is fixed, so recreate the Reflector.",
        ImageNotAllowed: "The image's repository is not on the operator's list." => "Leave spec.image out, or have the repository added to the operator's allowed images.",
        Progressing: "The operator is applying the spec." => "Wait a moment.",
        ApplyFailed: "The API server refused an object the Reflector needs." => "Read the message; the operator tries again by itself.",
        Forbidden: "A right is missing." => "Apply the roles of this release; the message names the right.",
        ClaimBound: "The claim is bound and holds the key." => "Nothing to do.",
        IdentityAdopted: "The identity of an earlier Reflector of this name was found and is used." => "Nothing to do, unless a new identity was meant: raise spec.identity.rotation.",
        ClaimPending: "The claim is not bound yet." => "Wait; if it lasts, look at `kubectl describe pvc` and at the StorageClass.",
        ClaimLost: "The volume behind the claim is gone, and the key with it." => "Restore it, or set spec.identity.importSecretRef to a copy of the key.",
        NodeGone: "The claim is tied to a node that is gone." => "Bring the node back, or recreate the Reflector elsewhere with spec.identity.importSecretRef.",
        PodScheduled: "The pod has a node." => "Nothing to do.",
        Unschedulable: "No node fits spec.placement." => "Compare it with `kubectl get nodes --show-labels`; the message says what was missing.",
        HostPortTaken: "Every node that fits has something else on one of its ports." => "Change spec.network, or stop what the message names.",
        PodSecurityRefused: "The namespace does not allow host networking." => "Label it: kubectl label namespace NAME pod-security.kubernetes.io/enforce=privileged.",
        ImagePullFailed: "The node cannot fetch the image." => "Check its name, and the registry from that node; the message has the node's words.",
        CrashLooping: "The reflector starts and ends." => "Read the last line in the message, and `kubectl reflector logs`.",
        Starting: "The pod is starting." => "Wait a moment.",
        Loaded: "The policy in force is the one that was written." => "Nothing to do.",
        Loading: "The pod has not loaded the newest policy yet." => "Wait a moment.",
        Stale: "The API server is away; known peers are served on." => "Restore the API server before spec.access.offlineGrace is over.",
        Expired: "The API server was away for longer than spec.access.offlineGrace; everybody is denied." => "Restore the API server, or its address for this node.",
        PodCutOff: "The pod cannot reach the API server, or the operator cannot see it." => "Check the node's network and the pod's log.",
        Listening: "It takes connections and grants tests." => "Nothing to do.",
        ListenFailed: "It cannot listen on one of its ports." => "Free the port the message names, or change spec.network.",
        Draining: "It lets running tests end before it stops." => "Wait; this takes at most five minutes.",
        Suspended: "spec.suspend is true." => "Remove spec.suspend to serve again.",
        AuditFull: "The audit log cannot be written, and spec.audit.onFailure is Deny." => "Make room on the claim.",
        UsageNotRecorded: "Usage cannot be written, so no test is granted." => "Make room on the claim.",
        SelfConnectFailed: "It cannot connect to itself, so nobody else could." => "Do what the message says; it tries again every 10 seconds.",
        HardwareSufficient: "The self-test found nothing that limits tests." => "Nothing to do.",
        HardwareLimited: "The self-test found what limits tests on this host." => "Read the message; results name the same bottleneck.",
        HardwareUnclear: "The self-test could not find out what this host can do." => "Read the message; tests run all the same.",
        NotTested: "No self-test has run since the pod started." => "Set spec.selfTest.schedule to have one; `kubectl reflector test` runs one and shows it.",
    }
}
