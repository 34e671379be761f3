//! The last accepted policy and the last contact as they lie on disk, and how much of the grace is used up. Pure.
//!
//! Two files: the policy changes when somebody edits an object, the contact is as small as it is frequent. Each begins with
//! a line that names its version and the checksum of the rest; what does not fit is ignored, which only ever narrows.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Now;

/// Changes with what the files mean.
const VERSION: u32 = 1;
/// Ten thousand peers of 4 kB. Whatever is larger is not ours.
pub(super) const MAX_BYTES: u64 = 64 << 20;
/// The contact is written this many times in one grace: a pod that is killed loses at most so much of it.
const CONTACTS_PER_GRACE: u32 = 24;
/// Bounds of the time between two contacts on disk: an SD card, and a grace of a month.
const CONTACT_AT_LEAST: Duration = Duration::from_secs(60);
const CONTACT_AT_MOST: Duration = Duration::from_secs(3600);

/// The last accepted policy: objects as text, each read and judged again like one from the API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Of the Reflector whose policy it is.
    pub(super) uid: String,
    pub(super) reflector: String,
    pub(super) peers: Vec<String>,
    pub(super) fleet_peers: Vec<String>,
}

/// The last moment of which we know how much of the grace was used, on every clock there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contact {
    /// Grace used up to then; nothing while the API server answers.
    pub(super) used_ms: u64,
    pub(super) wall_ms: i64,
    pub(super) mono_ms: u64,
    /// Which boot that was; absent when the kernel does not say.
    pub(super) boot: Option<Uuid>,
}

impl Contact {
    /// Now.
    pub(super) fn at(now: Now, used: Duration, boot: Option<Uuid>) -> Self {
        let used_ms = u64::try_from(used.as_millis()).unwrap_or(u64::MAX);
        Self { used_ms, wall_ms: now.wall_ms(), mono_ms: now.mono_ms, boot }
    }

    /// Grace used by now. Within one boot the time since is known exactly. Over a reboot only the wall clock can say, and
    /// only one that somebody keeps in step: else, and when it shows an earlier time, all of it counts as used.
    pub(super) fn used(&self, now: Now, boot: Option<Uuid>, synchronised: bool) -> Duration {
        let since = if boot.is_some() && boot == self.boot {
            now.mono_ms.checked_sub(self.mono_ms)
        } else if synchronised {
            now.wall_ms().checked_sub(self.wall_ms).and_then(|ms| u64::try_from(ms).ok())
        } else {
            None
        };
        since.map_or(Duration::MAX, |since| Duration::from_millis(self.used_ms.saturating_add(since)))
    }
}

/// How long after a contact the next one is written.
pub(super) fn next_contact(grace: Duration) -> Duration {
    (grace / CONTACTS_PER_GRACE).clamp(CONTACT_AT_LEAST, CONTACT_AT_MOST)
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    sha256: String,
}

/// As it goes to disk.
pub(super) fn write(body: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_vec(body)?;
    let mut file = serde_json::to_vec(&Head { version: VERSION, sha256: checksum(&body) })?;
    file.push(b'\n');
    file.extend_from_slice(&body);
    Ok(file)
}

/// Back from disk. The error says why it is ignored.
pub(super) fn read<T: DeserializeOwned>(file: &[u8]) -> Result<T, String> {
    let end = file.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (head, body) =
        (file.get(..end).unwrap_or_default(), file.get(end.saturating_add(1)..).unwrap_or_default());
    let head: Head =
        serde_json::from_slice(head).map_err(|_| "its first line names no version and checksum")?;
    if head.version != VERSION {
        return Err(format!("it is of version {}, this release reads {VERSION}", head.version));
    }
    if head.sha256 != checksum(body) {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn checksum(body: &[u8]) -> String {
    use std::fmt::Write;
    digest(&SHA256, body).as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const BOOT: Option<Uuid> = Some(Uuid::from_u128(1));
    const OTHER: Option<Uuid> = Some(Uuid::from_u128(2));

    fn now(mono_ms: u64, wall_ms: i64) -> Now {
        Now { mono_ms, wall: Timestamp::from_millisecond(wall_ms).unwrap() }
    }

    fn kept() -> Kept {
        Kept {
            uid: "u-1".into(),
            reflector: "{}".into(),
            peers: vec!["{\"a\":1}".into()],
            fleet_peers: vec![],
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_a_flipped_bit_is_noticed() {
        let file = write(&kept()).unwrap();
        assert_eq!(read::<Kept>(&file), Ok(kept()));
        for at in 0..file.len() {
            let mut torn = file.clone();
            torn[at] ^= 1;
            assert!(read::<Kept>(&torn).is_err(), "byte {at}");
        }
        for length in 0..file.len() {
            assert!(read::<Kept>(&file[..length]).is_err(), "cut at {length}");
        }
        let newer = String::from_utf8(file).unwrap().replacen("\"version\":1", "\"version\":2", 1);
        assert!(read::<Kept>(newer.as_bytes()).unwrap_err().contains("version 2"));
    }

    /// X2
    #[test]
    fn grace_used_goes_on_over_a_restart_and_over_a_reboot_only_with_a_clock_in_step() {
        let contact = Contact::at(now(100_000, 5_000_000), Duration::from_secs(7), BOOT);
        let used = |now: Now, boot, synchronised| contact.used(now, boot, synchronised);
        let ms = Duration::from_millis;
        assert_eq!(
            used(now(103_000, 0), BOOT, false),
            ms(10_000),
            "the wall clock does not matter within a boot"
        );
        assert_eq!(used(now(5, 5_060_000), OTHER, true), ms(67_000));
        assert_eq!(used(now(5, 5_060_000), OTHER, false), Duration::MAX, "nobody keeps the clock in step");
        assert_eq!(used(now(5, 4_999_999), OTHER, true), Duration::MAX, "the clock was set back");
        assert_eq!(used(now(99_999, 5_060_000), BOOT, true), Duration::MAX, "no boot runs backwards");
        assert_eq!(
            used(now(200_000, 5_060_000), None, false),
            Duration::MAX,
            "an unknown boot is another one"
        );
    }

    #[test]
    fn a_contact_is_written_often_enough_for_the_grace_and_no_oftener_than_a_card_bears() {
        assert_eq!(next_contact(Duration::from_secs(86_400)), Duration::from_secs(3600));
        assert_eq!(next_contact(Duration::from_secs(12 * 3600)), Duration::from_secs(1800));
        assert_eq!(next_contact(Duration::ZERO), CONTACT_AT_LEAST);
        assert_eq!(next_contact(Duration::MAX), CONTACT_AT_MOST);
    }

    proptest! {
        #[test]
        fn over_any_restarts_the_grace_used_never_shrinks(
            steps in proptest::collection::vec((0u64..1_000_000, -1_000_000i64..1_000_000, any::<bool>(), any::<bool>()), 1..10),
        ) {
            let mut contact = Contact::at(now(0, 10_000_000), Duration::ZERO, BOOT);
            let (mut mono, mut wall, mut boot) = (0u64, 10_000_000i64, 1u128);
            for (later, jump, reboot, synchronised) in steps {
                mono = if reboot { boot += 1; later % 1000 } else { mono + later };
                wall = (wall + jump).max(0);
                let used = contact.used(now(mono, wall), Some(Uuid::from_u128(boot)), synchronised);
                prop_assert!(used >= Duration::from_millis(contact.used_ms));
                contact = Contact::at(now(mono, wall), used, Some(Uuid::from_u128(boot)));
            }
        }
    }
}
