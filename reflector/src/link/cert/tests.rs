use proptest::prelude::*;
use rcgen::{DnType, DnValue, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::samples::{self, Sample, id_of};
use super::*;

fn forged(cn: Option<&str>, sans: &[&str]) -> Option<String> {
    let Sample { cert, id, .. } = samples::with_names(1, cn, sans);
    match parse_peer(&cert) {
        Ok(peer) => {
            assert_eq!(peer.id, id);
            None
        }
        Err(CertError::Forged { key, claimed }) => {
            assert_eq!(key, id, "the ID is the key's, whatever the names say");
            Some(claimed)
        }
        Err(other) => panic!("{other}"),
    }
}

/// I7
#[test]
fn an_appliance_certificate_is_read_despite_its_long_names() {
    let Sample { cert, id, .. } = samples::appliance(1);
    let (_, parsed) = X509Certificate::from_der(&cert).unwrap();
    assert_eq!(parsed.subject().iter_common_name().next().unwrap().as_str().unwrap().len(), 69);
    assert_eq!(parsed.basic_constraints().unwrap(), None);
    assert_eq!(parse_peer(&cert).unwrap().id, id);
    assert_eq!(key_of(&cert).unwrap(), id);
}

/// I6
#[test]
fn a_name_of_someone_else_is_a_forgery_with_both_ids() {
    let (own, victim) = (id_of(1), id_of(2).to_string());
    let (own_san, victim_san) = (format!("pp-id-{own}"), format!("pp-id-{victim}"));
    let own = own.to_string();
    assert_eq!(forged(Some(&own), &[&victim_san]), Some(victim.clone()));
    assert_eq!(forged(Some(&own), &[&own_san, &victim_san]), Some(victim.clone()), "every SAN counts");
    assert_eq!(forged(Some(&victim), &[&own_san]), Some(victim.clone()), "a CN counts");
    assert_eq!(forged(Some(&id_of(2).label()), &[]), Some(id_of(2).label()), "in either form");
    assert_eq!(forged(None, &[&victim_san.to_uppercase()]), Some(victim.clone()), "in any case");
    let nobody = forged(None, &["pp-id-nobody"]);
    assert_eq!(nobody.as_deref(), Some("nobody"), "pp-id- must name the key");
    let long = forged(None, &[&format!("pp-id-{}", "x".repeat(5000))]).unwrap();
    assert!(long.len() <= 100, "what is kept of a claim is bounded");
}

/// I6
#[test]
fn names_that_claim_nothing_are_ignored() {
    assert_eq!(forged(None, &[]), None);
    assert_eq!(forged(Some("living room"), &["reflector.example", "PP-NOT-AN-ID", "192.0.2.7"]), None);
    let own = id_of(1);
    assert_eq!(forged(Some(&own.to_string()), &[&format!("pp-id-{own}")]), None);
    assert_eq!(forged(Some(&own.label()), &[&format!("PP-ID-{}", own.label())]), None);
}

/// I6
#[test]
fn a_forged_cn_is_found_in_every_string_type() {
    let pkcs8 = pkcs8_of_seed(&[1; 32]).to_vec();
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8)).unwrap();
    let victim = id_of(2).to_string();
    let wide: Vec<u8> = victim.bytes().flat_map(|b| [0, b]).collect();
    let wider: Vec<u8> = victim.bytes().flat_map(|b| [0, 0, 0, b]).collect();
    for value in [
        DnValue::Utf8String(victim.clone()),
        DnValue::PrintableString(victim.as_str().try_into().unwrap()),
        DnValue::TeletexString(victim.as_str().try_into().unwrap()),
        DnValue::BmpString(rcgen::string::BmpString::from_utf16be(wide).unwrap()),
        DnValue::UniversalString(rcgen::string::UniversalString::from_utf32be(wider).unwrap()),
    ] {
        let mut params = samples::params(None, &[]);
        params.distinguished_name.push(DnType::CommonName, value.clone());
        let cert = params.self_signed(&key).unwrap();
        let refused = parse_peer(cert.der());
        assert_eq!(refused, Err(CertError::Forged { key: id_of(1), claimed: victim.clone() }), "{value:?}");
    }
}

#[test]
fn other_keys_and_broken_certificates_are_refused() {
    assert_eq!(parse_peer(&samples::other_key_type().cert), Err(CertError::KeyType));
    assert_eq!(parse_peer(b""), Err(CertError::Malformed));
    assert_eq!(parse_peer(b"-----BEGIN CERTIFICATE-----"), Err(CertError::Malformed));
    let good = samples::appliance(1).cert;
    let mut longer = good.to_vec();
    longer.push(0);
    assert_eq!(parse_peer(&longer), Err(CertError::Malformed), "nothing may follow");
    for cut in 0..good.len() {
        assert_eq!(parse_peer(&good[..cut]), Err(CertError::Malformed), "cut at {cut}");
    }
}

/// With a key of small order a signature proves nothing: anyone can make one that verifies.
#[test]
fn a_key_that_anyone_can_sign_for_is_nobody() {
    let good = samples::appliance(1);
    let at = good.cert.windows(32).position(|w| w == good.id.public_key()).unwrap();
    let mut identity_point = [0u8; 32];
    identity_point[0] = 1;
    let mut no_point = [0u8; 32];
    no_point[0] = 2;
    for key in [[0; 32], identity_point, no_point] {
        let mut cert = good.cert.to_vec();
        cert[at..at + 32].copy_from_slice(&key);
        assert_eq!(parse_peer(&cert), Err(CertError::WeakKey));
        assert_eq!(key_of(&cert), Err(CertError::WeakKey));
    }
}

/// I6: a name in a list we cannot read must not count as no name.
#[test]
fn a_broken_san_list_is_refused() {
    let san = format!("pp-id-{}", id_of(2));
    let good = samples::with_names(1, None, &[&san]);
    let at = good.cert.windows(san.len()).position(|w| w == san.as_bytes()).unwrap();
    let mut cert = good.cert.to_vec();
    cert[at - 1] = 0x7f; // the name claims to be longer than the list
    assert_eq!(parse_peer(&cert), Err(CertError::Malformed));
    let mut cert = good.cert.to_vec();
    cert[at + 10] = 0xff; // not UTF-8
    assert!(matches!(parse_peer(&cert), Err(CertError::Forged { .. })));
}

/// I7
#[test]
fn our_certificate_has_the_san_a_short_cn_and_ten_years() {
    let Sample { cert, id, .. } = samples::ours(3);
    let (_, parsed) = X509Certificate::from_der(&cert).unwrap();
    let cn = parsed.subject().iter_common_name().next().unwrap().as_str().unwrap();
    assert_eq!(cn, id.label());
    assert!(cn.len() <= 64);
    let sans = parsed.subject_alternative_name().unwrap().unwrap();
    assert_eq!(sans.value.general_names.len(), 1);
    assert_eq!(sans.value.general_names[0].to_string(), format!("DNSName(pp-id-{id})"));
    assert_eq!(parsed.validity().not_before.to_string(), "Feb 28 00:00:00 2026 +00:00");
    assert_eq!(parsed.validity().not_after.to_string(), "Mar  1 00:00:00 2036 +00:00");
    assert_eq!(parse_peer(&cert).unwrap().id, id);
}

#[test]
fn a_certificate_can_be_made_on_any_day_a_clock_may_show() {
    let pkcs8 = pkcs8_of_seed(&[1; 32]);
    for day in
        ["1970-01-01T00:00:00Z", "2028-02-29T23:59:59Z", "2049-12-31T00:00:00Z", "9980-01-01T00:00:00Z"]
    {
        let cert = make_own(pkcs8.as_ref(), day.parse().unwrap()).unwrap();
        assert_eq!(parse_peer(&cert).unwrap().id, id_of(1), "{day}");
    }
    for day in ["-000200-01-01T00:00:00Z", "9995-01-01T00:00:00Z"] {
        let refused = make_own(pkcs8.as_ref(), day.parse().unwrap());
        assert!(matches!(refused, Err(OwnCertError::Clock { .. })), "{day}");
    }
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    assert!(matches!(make_own(&[0; 48], now), Err(OwnCertError::Key)));
}

proptest! {
    /// I6: whatever the bytes, there is an ID of the key or a typed refusal.
    #[test]
    fn no_damaged_certificate_panics_or_changes_hands(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let good = samples::appliance(1);
        let mut cert = good.cert.to_vec();
        let index = at.index(cert.len());
        cert[index] = to;
        if let Ok(peer) = parse_peer(&cert) {
            prop_assert_eq!(key_of(&cert), Ok(peer.id));
            let key_is_there = cert.windows(32).any(|w| w == peer.id.public_key());
            prop_assert!(key_is_there);
        }
    }
}
