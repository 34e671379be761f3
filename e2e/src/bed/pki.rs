//! The bed's authority, what it signs, and who uses it: serving and client certificates, kubeconfigs, the key of service
//! accounts.
//!
//! Made anew for every bed. Which certificates there are is one list, [`certificates`].

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde_json::json;

use super::layout::{API_SERVICE, CONTROL_PLANE, Layout};
use super::{apiserver, argocd, kubelet, kwok, process};

/// The person at the keyboard, and scenarios.
pub(super) const ADMIN: &str = "admin";

/// A certificate to sign. Its file is called after it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Certificate {
    file: String,
    name: String,
    group: Option<&'static str>,
    /// Empty: the certificate of a client, who also gets a kubeconfig.
    names: Vec<String>,
}

fn client(file: impl Into<String>, name: impl Into<String>, group: Option<&'static str>) -> Certificate {
    Certificate { file: file.into(), name: name.into(), group, names: Vec::new() }
}

fn serving(file: impl Into<String>, names: impl IntoIterator<Item = String>) -> Certificate {
    let file = file.into();
    Certificate { name: file.clone(), file, group: None, names: names.into_iter().collect() }
}

/// Every certificate of a bed.
fn certificates(layout: &Layout) -> Vec<Certificate> {
    let control = CONTROL_PLANE.to_string();
    let service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned);
    let service = service.into_iter().chain(["kubernetes.default.svc.cluster.local".to_owned()]);
    let addresses = [control.clone(), API_SERVICE.to_string()];
    let mut all = vec![
        serving("apiserver", addresses.into_iter().chain(service)),
        serving("controller-manager-serving", [control.clone()]),
        serving("scheduler-serving", [control]),
        client(ADMIN, "bed-admin", Some("system:masters")),
        client("apiserver-kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters")),
        client("controller-manager", "system:kube-controller-manager", None),
        client("scheduler", "system:kube-scheduler", None),
        client("kube-proxy", "system:kube-proxy", None),
        // It makes pods and volumes anywhere; a narrower role would be copied from its project and prove nothing here.
        client("local-path", "local-path-provisioner", Some("system:masters")),
        // Their installation gives them every right, too. On a bed without them nobody has the keys.
        client(kwok::USER, "kwok", Some("system:masters")),
        client(argocd::USER, "argocd", Some("system:masters")),
    ];
    for node in layout.nodes() {
        let kubelet = kubelet::name(&node);
        all.push(serving(format!("{kubelet}-serving"), [node.name.clone(), node.address.to_string()]));
        all.push(client(kubelet, format!("system:node:{}", node.name), Some("system:nodes")));
    }
    all
}

/// Makes and writes all of it, into folders that only root can read.
pub(super) fn make(layout: &Layout) -> Result<()> {
    for folder in [layout.pki(""), layout.kubeconfig("")] {
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("make the folder {}", folder.display()))?;
    }
    let authority = authority(layout)?;
    for certificate in certificates(layout) {
        sign(layout, &authority, &certificate).with_context(|| format!("sign {}", certificate.file))?;
        if certificate.names.is_empty() {
            let file = &certificate.file;
            process::write(&layout.kubeconfig(file), &kubeconfig(layout, file))?;
        }
    }
    let accounts = key()?;
    process::write(&layout.pki("service-account.key"), &accounts.serialize_pem())?;
    process::write(&layout.pki("service-account.pub"), &accounts.public_key_pem())
}

fn key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("make a key")
}

fn authority(layout: &Layout) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("reflector-bed", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = key()?;
    let certificate = params.self_signed(&key).context("sign the authority")?;
    process::write(&layout.pki("ca.crt"), &certificate.pem())?;
    process::write(&layout.pki("ca.key"), &key.serialize_pem())?;
    Ok(Issuer::new(params, key))
}

fn sign(layout: &Layout, authority: &Issuer<'static, KeyPair>, what: &Certificate) -> Result<()> {
    let mut params = CertificateParams::new(what.names.clone()).context("read the names")?;
    params.distinguished_name = subject(&what.name, what.group);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let serves = !what.names.is_empty();
    let usage =
        if serves { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth };
    params.extended_key_usages = vec![usage];
    let key = key()?;
    let certificate = params.signed_by(&key, authority).context("sign")?;
    process::write(&layout.pki(&format!("{}.crt", what.file)), &certificate.pem())?;
    process::write(&layout.pki(&format!("{}.key", what.file)), &key.serialize_pem())
}

fn subject(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    if let Some(group) = group {
        subject.push(DnType::OrganizationName, group);
    }
    subject
}

/// JSON is YAML.
fn kubeconfig(layout: &Layout, user: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bed",
        "clusters": [{ "name": "bed", "cluster": {
            "server": format!("https://{}", Layout::at(apiserver::PORT)),
            "certificate-authority": layout.pki("ca.crt"),
        } }],
        "users": [{ "name": user, "user": {
            "client-certificate": layout.pki(&format!("{user}.crt")),
            "client-key": layout.pki(&format!("{user}.key")),
        } }],
        "contexts": [{ "name": "bed", "context": { "cluster": "bed", "user": user } }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use x509_parser::pem::Pem;

    use super::*;

    #[test]
    fn a_kubelet_is_a_node_to_the_api_server_and_its_address_to_whoever_calls_it() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path(), 1);
        make(&layout).unwrap();
        let subject = |file: &str| {
            let pem = Pem::iter_from_buffer(&fs::read(layout.pki(file)).unwrap()).next().unwrap().unwrap();
            let certificate = pem.parse_x509().unwrap();
            let names = certificate.subject_alternative_name().unwrap();
            let names = names.map(|names| names.value.general_names.len()).unwrap_or_default();
            (certificate.subject().to_string(), names)
        };
        let (name, names) = subject("kubelet-node-1.crt");
        assert!(name.contains("CN=system:node:node-1") && name.contains("O=system:nodes"), "{name}");
        assert_eq!(names, 0);
        assert_eq!(subject("kubelet-node-1-serving.crt").1, 2);
        let kubeconfig = fs::read_to_string(layout.kubeconfig(ADMIN)).unwrap();
        assert!(kubeconfig.contains("https://10.99.0.1:6443"), "{kubeconfig}");
    }

    #[test]
    fn no_two_certificates_share_a_file() {
        let all = certificates(&Layout::new(Path::new("/bed"), 5));
        let files: BTreeSet<&str> = all.iter().map(|one| one.file.as_str()).collect();
        assert_eq!(files.len(), all.len());
    }
}
