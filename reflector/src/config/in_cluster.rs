//! What a file may not say in a cluster. There the Reflector and its peers are objects that people watch and that Git
//! keeps; a second place would widen or narrow behind their backs.

use super::parse::Reading;
use super::report::Severity::Error;

const NAME: &str = "access.name";
const NAMESPACE: &str = "access.namespace";
const UID: &str = "access.uid";
const FLEET: &str = "access.fleet";
const FLEET_UID: &str = "access.fleet_uid";

/// What names our own objects; everything else about access and quotas is said by them.
const OURS: [&str; 5] = [NAME, NAMESPACE, UID, FLEET, FLEET_UID];
/// Sections that objects replace.
const REPLACED: [&str; 2] = ["access.", "quotas."];

/// Looks at the keys that only mean something together.
pub(super) fn check(reading: &mut Reading<'_>) {
    if !reading.is_given(NAMESPACE) {
        for uid in [UID, FLEET_UID] {
            if reading.is_given(uid) {
                let message = format!("`{uid}` is set, `{NAMESPACE}` is not");
                let help = "remove it: only the operator sets it, together with access.namespace";
                reading.together(Error, &[uid], message, help.to_owned());
            }
        }
        return;
    }
    if !reading.is_given(NAME) {
        let message = format!("`{NAMESPACE}` is set, `{NAME}` is not");
        let help = "write the name of the Reflector: `name = \"attic\"`";
        reading.together(Error, &[NAMESPACE], message, help.to_owned());
    }
    for (given, missing) in [(FLEET, FLEET_UID), (FLEET_UID, FLEET)] {
        if reading.is_given(given) && !reading.is_given(missing) {
            let message = format!("`{given}` is set, `{missing}` is not");
            let help = "write both, or neither: a fleet that was made again is another one";
            reading.together(Error, &[given], message, help.to_owned());
        }
    }
    for key in reading.given() {
        if let Some(instead) = instead(&key) {
            let message = format!("`{key}` cannot be set in a cluster");
            reading.together(Error, &[&key], message, format!("remove it: {instead}"));
        }
    }
}

/// Where it is said there, if it is.
pub(super) fn instead(key: &str) -> Option<&'static str> {
    if OURS.contains(&key) || !REPLACED.iter().any(|section| key.starts_with(section)) {
        return None;
    }
    Some(match key {
        "access.offline_grace" => "the Reflector says it, in spec.access.offlineGrace",
        "quotas.windows" => "the Reflector says it, in spec.windows",
        key if key.starts_with("quotas.") => "the Reflector says it, in spec.quotas",
        "access.pairing_enabled" => "a ReflectorPeer without endpointId is paired with a code of its own",
        _ => "apply a ReflectorPeer instead",
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Variables, parse};

    const CLUSTER: &str = "[access]\nname = \"attic\"\nnamespace = \"reflectors\"\n";

    fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let variables: Variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let Err(report) = parse(text, &variables) else { return Vec::new() };
        report.problems.iter().map(ToString::to_string).collect()
    }

    /// C1
    #[test]
    fn in_a_cluster_what_objects_say_is_refused_in_file_and_environment() {
        assert_eq!(problems(CLUSTER, &[]), [""; 0]);
        for (line, remedy) in [
            ("offline_grace = \"1h\"", "spec.access.offlineGrace"),
            ("peers_dir = \"/peers\"", "apply a ReflectorPeer"),
            ("authorized_peers = []", "apply a ReflectorPeer"),
            ("pairing_enabled = true", "a ReflectorPeer without endpointId"),
            ("[quotas]\nmax_rate = 500000", "spec.quotas"),
            ("[[quotas.windows]]\nschedule = \"0 22 * * *\"\nduration = \"8h\"", "spec.windows"),
        ] {
            let found = problems(&format!("{CLUSTER}{line}\n"), &[]);
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].contains("cannot be set in a cluster"), "{line}: {found:?}");
            assert!(found[0].contains(remedy), "{line}: {found:?}");
        }
        let found = problems(CLUSTER, &[("REFLECTOR__QUOTAS__COOLDOWN_SEC", "0")]);
        assert!(found[0].contains("environment variable REFLECTOR__QUOTAS__COOLDOWN_SEC"), "{found:?}");
    }

    #[test]
    fn what_names_our_objects_comes_whole() {
        let fleet = "uid = \"r-1\"\nfleet = \"homes\"\nfleet_uid = \"f-1\"\n";
        assert_eq!(problems(&format!("{CLUSTER}{fleet}"), &[]), [""; 0]);
        for (text, says) in [
            ("[access]\nnamespace = \"reflectors\"", "`access.namespace` is set, `access.name` is not"),
            ("[access]\nuid = \"r-1\"", "`access.uid` is set, `access.namespace` is not"),
            ("[access]\nfleet_uid = \"f-1\"", "`access.fleet_uid` is set, `access.namespace` is not"),
            (&format!("{CLUSTER}fleet = \"homes\""), "`access.fleet` is set, `access.fleet_uid` is not"),
            (&format!("{CLUSTER}fleet_uid = \"f-1\""), "`access.fleet_uid` is set, `access.fleet` is not"),
        ] {
            let found = problems(text, &[]);
            assert!(found.len() == 1 && found[0].contains(says), "{text}: {found:?}");
        }
    }
}
