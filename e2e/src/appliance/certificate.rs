//! The certificate appliances in the field present, and forged ones.
//!
//! In: a key and the names to write. Out: DER. It also reads the Endpoint ID out of a foreign certificate, from its
//! key and never from its names.

use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::key::{Key, endpoint_id};

/// Ten years, without leap days.
const VALIDITY: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// What a certificate claims. The product must believe none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The subject's CN. Appliances write their 69-character ID, five more than X.509 allows.
    pub common_name: String,
    /// DNS SANs. Appliances write one: `pp-id-<ID>`, a label of 75 characters where DNS allows 63.
    pub dns: Vec<String>,
}

impl Names {
    /// What an honest appliance writes.
    pub fn of(key: &Key) -> Self {
        let id = key.endpoint_id();
        Self { dns: vec![san(&id)], common_name: id }
    }
}

/// The SAN that names an ID.
pub(crate) fn san(id: &str) -> String {
    format!("pp-id-{id}")
}

impl Key {
    /// The certificate of an honest appliance, valid from now for ten years.
    pub fn certificate(&self) -> Result<CertificateDer<'static>, rcgen::Error> {
        self.certificate_naming(&Names::of(self))
    }

    /// A certificate of this key with other names.
    pub fn certificate_naming(&self, names: &Names) -> Result<CertificateDer<'static>, rcgen::Error> {
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(self.pkcs8()),
            &rcgen::PKCS_ED25519,
        )?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names.common_name.as_str());
        for name in &names.dns {
            params.subject_alt_names.push(SanType::DnsName(Ia5String::try_from(name.as_str())?));
        }
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch();
        params.not_after = params.not_before + VALIDITY;
        Ok(params.self_signed(&pair)?.der().clone())
    }
}

#[expect(clippy::disallowed_methods, reason = "a certificate starts to be valid when it is made")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The ID of the key inside a certificate; `None` when it is not an Ed25519 certificate.
pub fn endpoint_id_of_certificate(der: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let key = certificate.public_key();
    let ed25519 = key.algorithm.algorithm == x509_parser::oid_registry::OID_SIG_ED25519;
    let public = <&[u8; 32]>::try_from(key.subject_public_key.data.as_ref()).ok()?;
    ed25519.then(|| endpoint_id(public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{GeneralName, X509Certificate, X509Version};

    fn parse(der: &[u8]) -> X509Certificate<'_> {
        x509_parser::parse_x509_certificate(der).unwrap().1
    }

    fn dns_names<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
        let san = certificate.subject_alternative_name().unwrap().unwrap();
        san.value
            .general_names
            .iter()
            .map(|name| match name {
                GeneralName::DNSName(name) => *name,
                other => panic!("not a DNS name: {other}"),
            })
            .collect()
    }

    #[test]
    fn the_certificate_is_the_over_long_one_of_the_field() {
        let key = Key::from_seed([7; 32]);
        let der = key.certificate().unwrap();
        let certificate = parse(&der);
        let names: Vec<_> =
            certificate.subject().iter_common_name().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(names, [key.endpoint_id()]);
        assert_eq!(names[0].len(), 69);
        let sans = dns_names(&certificate);
        assert_eq!(sans, [format!("pp-id-{}", key.endpoint_id())]);
        assert_eq!(sans[0].len(), 75);
        assert_eq!(certificate.version(), X509Version::V3);
        assert_eq!(certificate.issuer(), certificate.subject());
    }

    #[test]
    fn the_certificate_says_nothing_about_its_use_and_lasts_ten_years() {
        let der = Key::from_seed([8; 32]).certificate().unwrap();
        let certificate = parse(&der);
        assert!(certificate.basic_constraints().unwrap().is_none());
        assert!(certificate.key_usage().unwrap().is_none());
        assert!(certificate.extended_key_usage().unwrap().is_none());
        assert_eq!(certificate.extensions().len(), 1, "the SAN and nothing else");
        let validity = certificate.validity();
        assert!(validity.is_valid());
        let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert_eq!(seconds, 315_360_000);
    }

    #[test]
    fn the_id_comes_from_the_key_whatever_the_names_say() {
        let (key, victim) = (Key::from_seed([1; 32]), Key::from_seed([2; 32]));
        let forged = key.certificate_naming(&Names::of(&victim)).unwrap();
        assert_eq!(dns_names(&parse(&forged)), [format!("pp-id-{}", victim.endpoint_id())]);
        assert_eq!(endpoint_id_of_certificate(&forged), Some(key.endpoint_id()));
        assert_eq!(endpoint_id_of_certificate(b"junk"), None);
    }
}
