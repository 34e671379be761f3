//! Why a pairing code enrolled nobody.

use super::reasons;

reasons! {
    /// Why a pairing code was not accepted; audited as `connection_denied`. The names are those of audit lines.
    CodeReason {
        Wrong "wrong_code": "The code is none that waits here, or was mistyped." => "Show the code again and compare: kubectl reflector pair NAME. It has to be made for this reflector, or for its fleet.",
        TooMany "too_many_codes": "Too many wrong codes came; this one was not looked at." => "Wait as long as the message says. If it was not you: somebody is guessing, look at the sources in the peer's status.",
        InUse "code_in_use": "Another appliance is being enrolled with this code at this moment." => "Wait as long as the message says; each code is good for one appliance.",
        NotOpen "window_not_open": "Nobody asked for a code since the reflector started." => "Ask for one: kubectl reflector pair NAME.",
        Used "code_used": "The code was used already, and works once." => "Ask for a new one: kubectl reflector pair NAME --again.",
        Expired "code_expired": "The code came too late." => "Ask for a new one: kubectl reflector pair NAME --again, with a longer --ttl if there was too little time.",
        Closed "window_closed": "The pairing was called off." => "Ask for a new code: kubectl reflector pair NAME --again.",
        NotRecorded "not_recorded": "The code was right, and the reflector could not write the pairing down." => "Look at the Reflector: kubectl reflector logs R says what could not be written. Then try again.",
    }
}
