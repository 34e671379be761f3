//! What is shown of a pairing. Pure.

use std::time::Duration;

use jiff::Timestamp;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::plugin::text::{line, plain};

/// A code to enter on an appliance.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Code {
    pub(super) peer: String,
    pub(super) round: i64,
    #[serde(rename = "code")]
    pub(super) symbols: String,
    /// Where the appliance has to connect to; of a fleet several, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    /// To paste on a machine that has `reflector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
}

/// How a pairing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With this Endpoint ID.
    Bound(String),
    /// An appliance waits for approval; the confirm code.
    Claimed(String),
    /// Nobody came in time.
    Expired,
}

/// The code, and how to use it. `qr`: also as a picture for a camera.
pub(super) fn code(code: &Code, now: Timestamp, qr: bool) -> String {
    let mut out = format!("Code for {}:   {}\n", plain(&code.peer), plain(&code.symbols));
    if let Some(address) = &code.address {
        let addresses: Vec<String> = address.split(',').map(plain).collect();
        line(&mut out, &format!("Reflector:   {}", addresses.join("   ")));
    }
    if let Some(at) = code.expires_at {
        let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        line(
            &mut out,
            &format!("It works once, until {} ({}).", at.strftime("%H:%M:%S UTC"), self::left(left)),
        );
    }
    if let Some(command) = &code.command {
        line(&mut out, &format!("\nOn a machine with reflector:\n  {}", plain(command)));
    }
    if let Some(picture) = qr.then(|| picture(code)).flatten() {
        line(&mut out, &format!("\n{picture}"));
    }
    out
}

/// The command, or else the code alone, for a camera. As it must be on a dark terminal; cameras read the reverse, too.
fn picture(code: &Code) -> Option<String> {
    let text = code.command.as_deref().unwrap_or(&code.symbols);
    // One too long for a picture is shown in words only.
    let made = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut picture = made.render::<Dense1x2>();
    Some(picture.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build())
}

/// `expires in 9:41`
pub(super) fn left(left: Duration) -> String {
    format!("expires in {}:{:02}", left.as_secs() / 60, left.as_secs() % 60)
}

/// What became of it.
pub(super) fn end(peer: &str, end: &End) -> String {
    let peer = plain(peer);
    match end {
        End::Bound(id) => format!("Paired: {peer} is {}.\n", plain(id)),
        End::Claimed(confirm) => format!(
            "An appliance presented the code and waits for approval as {confirm}. If it shows the same:\n  kubectl reflector approve {peer} --confirm {confirm}\n",
            confirm = plain(confirm),
        ),
        End::Expired => format!("Nobody came in time. A new code: kubectl reflector pair {peer} --again\n"),
    }
}

/// Somebody deleted the Secret: the code is good, and nobody can read it any more.
pub(super) fn lost(peer: &str, secret: &str) -> String {
    let (peer, secret) = (plain(peer), plain(secret));
    format!(
        "Secret {secret} was deleted, and the code of {peer} with it; whoever has read it can use it. \
         A new code, which ends that one: kubectl reflector pair {peer} --again"
    )
}

/// The same for programs.
pub(super) fn ended(peer: &str, end: &End) -> Value {
    let (state, key, value) = match end {
        End::Bound(id) => ("Bound", "endpointId", Some(id)),
        End::Claimed(confirm) => ("Claimed", "confirm", Some(confirm)),
        End::Expired => ("Expired", "", None),
    };
    let mut said = json!({ "peer": peer, "state": state });
    if let Some(value) = value {
        said[key] = json!(value);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::{golden, now};

    fn made() -> Code {
        Code {
            peer: "kitchen".into(),
            round: 0,
            symbols: "AB10-2345".into(),
            address: Some("192.0.2.10:4000,192.0.2.11:4000".into()),
            command: Some("reflector test PP-X@192.0.2.10:4000 --code AB10-2345".into()),
            expires_at: Some("2026-11-22T12:09:41Z".parse().unwrap()),
        }
    }

    #[test]
    fn golden_a_code() {
        golden("pair.txt", &code(&made(), now(), true));
    }

    #[test]
    fn without_a_terminal_there_is_no_picture() {
        let text = code(&made(), now(), false);
        assert!(text.contains("AB10-2345") && text.contains("expires in 9:41"), "{text}");
        assert!(text.is_ascii(), "{text}");
    }

    #[test]
    fn each_end_says_what_comes_next() {
        let ends = [End::Bound("PP-X".into()), End::Claimed("7DN2-FF6E".into()), End::Expired];
        let words = ends.clone().map(|end| super::end("kitchen", &end));
        assert!(words[0].contains("kitchen is PP-X"));
        assert!(words[1].contains("approve kitchen --confirm 7DN2-FF6E"));
        assert!(words[2].contains("--again"));
        let said = ends.map(|end| ended("kitchen", &end)["state"].as_str().unwrap().to_owned());
        assert_eq!(said, ["Bound", "Claimed", "Expired"]);
    }

    #[test]
    fn a_code_that_has_expired_has_no_time_left() {
        assert_eq!(left(Duration::ZERO), "expires in 0:00");
        let late = now().checked_add(jiff::Span::new().hours(1)).unwrap();
        assert!(code(&made(), late, false).contains("expires in 0:00"));
    }
}
