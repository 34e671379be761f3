//! Why a connection was refused or closed.

#![expect(clippy::doc_markdown, reason = "explanations are printed as they stand")]

use serde::{Deserialize, Serialize};

use super::reasons;

reasons! {
    /// Why a connection was refused or closed by a reflector; audited as `connection_denied`. The names are those of audit
    /// lines and of metrics.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    RefuseReason {
        NoFirstByte "no_first_byte": "Connected, and sent nothing for 10 s." => "Nothing to do: port scanners and load balancers do this. A health check belongs on the health port.",
        NotTls "not_tls": "The first byte was neither TLS nor the start of a test." => "Nothing to do, unless it is your program: it must speak TLS 1.3.",
        UnexpectedCookie "unexpected_cookie": "An iperf3 client came without a session granted to its address." => "Let the appliance ask first. If it did: both connections must come from one address, so look for a NAT that uses several, or for a Service that hides the source.",
        Crowded "crowded": "Too many connections were not yet identified; the oldest of the busiest source made room." => "Nothing to do, if you are not that source. Otherwise look for a program of yours that reconnects in a loop.",
        HandshakeTimeout "handshake_timeout": "The TLS handshake took more than 10 s." => "Look for loss or a wrong MTU on the path.",
        HandshakeFailed "handshake_failed": "TLS failed in another way than the reasons beside this one." => "The message has the TLS error.",
        NoClientCertificate "no_client_certificate": "The client presented no certificate (alert 116)." => "Use an appliance; a browser or plain curl cannot connect.",
        TlsVersion "tls_version": "The client cannot do TLS 1.3 (alert 70)." => "Update the client.",
        WrongAlpn "wrong_alpn": "The client asked for another protocol (alert 120), or for none while network.require_alpn is on." => "Let the client offer pp-link/1.",
        BadCertificate "bad_certificate": "The client's certificate cannot be read, or its key is not Ed25519." => "Make the appliance create its identity again.",
        IdentityForged "identity_forged": "The certificate names another Endpoint ID than that of its own key (alert 42)." => "Somebody tries to pass for another peer: look at the source.",
        UnknownPeer "unknown_peer": "No peer has this Endpoint ID." => "If it is yours: kubectl reflector pair NAME for a code, or put this ID into spec.endpointId of a peer.",
        Suspended "suspended": "Its peer says suspend: true." => "Remove spec.suspend to let it in again.",
        Revoked "revoked": "Its peer was removed a moment ago." => "If that was not meant, add it again: kubectl reflector pair NAME.",
        Expired "expired": "Its peer's expiresAt has passed." => "Move spec.expiresAt to let it in again.",
        Duplicate "duplicate": "Another, older peer already has this Endpoint ID; that one decides." => "Delete one of the two.",
        InvalidPeer "invalid_peer": "Its peer's manifest cannot be used; what is wrong is not guessed." => "kubectl reflector why peer/NAME says what is wrong with it.",
        NoPolicy "no_policy": "No policy was ever loaded, so nobody is known." => "The pod has not reached the API server since its start: kubectl reflector logs R says why.",
        GraceOver "grace_over": "The source of policy has been away longer than offlineGrace." => "Bring back the way from the pod to the API server: kubectl reflector logs R says what is wrong with it.",
        TooManyConnections "too_many_connections": "This Endpoint ID has 8 control connections open, or all places are taken." => "Close some. Two devices with one copied key look like this too: give each its own.",
        PairingClosed "pairing_closed": "The pairing window closed while the appliance waited in it." => "Ask for a new code: kubectl reflector pair NAME --again.",
        HelloTimeout "hello_timeout": "No complete first message within 10 s after TLS." => "Look for loss on the path, or a client that waits for us to speak first.",
        HelloMissing "hello_missing": "The first message was not hello." => "Repair the client: the protocol page has its order.",
        Version "version": "hello.version is not MAJOR.MINOR, or has another major number than 1." => "Update whichever side is older.",
        BadFrames "bad_frames": "The fifth frame that could not be understood." => "Repair the client; the error messages it got say what was wrong.",
        OversizedFrame "oversized_frame": "A frame announced more than 1 048 576 bytes." => "Repair the client.",
        SlowFrame "slow_frame": "A frame was begun and not finished within 10 s." => "Look for loss on the path.",
        SlowReader "slow_reader": "The client did not read our answers." => "Repair the client.",
        Idle "idle": "5 minutes without a message while no session ran." => "Nothing to do: connect again when needed.",
        ForeignSession "foreign_session": "It asked to close a session that is unknown or somebody else's. The connection stays." => "Repair the client; if the ID exists, somebody is guessing.",
        Draining "draining": "The reflector is shutting down." => "Connect again when it is back.",
        FirstFrameTimeout "first_frame_timeout": "A data connection did not say within 10 s which stream it is." => "Look for loss on the path.",
        BadFirstFrame "bad_first_frame": "The first frame of a data connection is larger than 1 KiB or cannot be read." => "Repair the client: the protocol page has this frame.",
        UnknownTest "unknown_test": "A data connection names a test that is over, was never granted, is not tunnelled, or belongs to another Endpoint ID." => "Nothing to do, if a test had just ended. Otherwise repair the client.",
        WrongToken "wrong_token": "A data connection names a running test of its own and not the token of its grant." => "Repair the client.",
        WrongProof "wrong_proof": "A data connection cannot prove that it belongs to the control connection that was granted the test." => "Repair the client. If the Endpoint ID is used by two programs, give each its own.",
        StreamTaken "stream_taken": "The number of this stream was used before in the same test." => "Repair the client: each number is good for one connection.",
        StreamNotGranted "stream_not_granted": "The test has no stream of this number or kind." => "Ask for as many streams as are opened.",
    }
}

impl RefuseReason {
    /// What the other side sees of it, where that is one thing. The others end with the socket closed.
    pub const fn wire(self) -> Option<&'static str> {
        Some(match self {
            Self::NoClientCertificate => "alert 116",
            Self::TlsVersion => "alert 70",
            Self::WrongAlpn => "alert 120",
            Self::BadCertificate | Self::IdentityForged => "alert 42",
            Self::HelloMissing | Self::Version | Self::BadFrames | Self::OversizedFrame => "error 400",
            Self::UnknownPeer | Self::TooManyConnections | Self::PairingClosed | Self::ForeignSession => {
                "error 403"
            }
            // To its hello; one that is connected already is cut.
            Self::Suspended
            | Self::Revoked
            | Self::Expired
            | Self::InvalidPeer
            | Self::NoPolicy
            | Self::GraceOver => "error 403 or cut off",
            _ => return None,
        })
    }
}
