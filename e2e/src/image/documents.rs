//! The JSON of an image: configuration, manifest, index. Pure; the order of the fields is fixed, because the digest is of
//! the text.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::digest::Digest;
use super::name::Name;

/// A plain tar: its digest is of its content and not of a compressor's version too.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The time of everything. Some readers insist on one.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

/// What says that a tar is such an archive.
pub(super) const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// What an image runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// `x86_64`
    Amd64,
    /// `aarch64`
    Arm64,
}

impl Platform {
    fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What is run, as whom, and with which environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The program and what always follows it.
    pub entrypoint: Vec<String>,
    /// Its arguments, unless a pod gives others.
    pub arguments: Vec<String>,
    /// Names and values.
    pub environment: Vec<(String, String)>,
    /// `65532:65532`; empty means root.
    pub user: String,
    /// Names and values.
    pub labels: Vec<(String, String)>,
}

/// Something in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
}

impl Blob {
    pub(super) fn of(document: &[u8]) -> Self {
        Self { digest: Digest::of(document), bytes: document.len() as u64 }
    }

    fn describe(&self, kind: &str) -> Map<String, Value> {
        let fields = [
            ("mediaType", json!(kind)),
            ("digest", json!(self.digest.to_string())),
            ("size", json!(self.bytes)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The configuration of one image.
pub(super) fn config(config: &Config, platform: Platform, layers: &[Blob]) -> Result<Vec<u8>> {
    let mut run = Map::new();
    let mut set = |name: &str, value: Value, given: bool| {
        if given {
            run.insert(name.to_owned(), value);
        }
    };
    let Config { entrypoint, arguments, environment, user, labels } = config;
    let environment: Vec<String> =
        environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    set("User", json!(user), !user.is_empty());
    set("Env", json!(environment), !environment.is_empty());
    set("Entrypoint", json!(entrypoint), !entrypoint.is_empty());
    set("Cmd", json!(arguments), !arguments.is_empty());
    let named: Map<String, Value> = labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    set("Labels", Value::Object(named), !labels.is_empty());
    let contents: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
    bytes(&json!({
        "created": NO_TIME,
        "architecture": platform.name(),
        "os": "linux",
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": contents },
    }))
}

/// The manifest of one image.
pub(super) fn manifest(config: &Blob, layers: &[Blob]) -> Result<Vec<u8>> {
    let layers: Vec<Value> = layers.iter().map(|layer| Value::Object(layer.describe(LAYER))).collect();
    bytes(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.describe(CONFIG),
        "layers": layers,
    }))
}

/// An index of one manifest per platform.
pub(super) fn platforms(manifests: &[(Platform, Blob)]) -> Result<Vec<u8>> {
    let manifests: Vec<_> = manifests.iter().map(|(platform, blob)| for_platform(*platform, blob)).collect();
    index(&manifests)
}

/// The archive's own index: what an importer reads first. It names one image.
pub(super) fn top(name: &Name, image: &Top) -> Result<Vec<u8>> {
    let mut entry = match image {
        Top::One(platform, blob) => for_platform(*platform, blob),
        Top::Several(blob) => blob.describe(INDEX),
    };
    // The first is read by containerd; the second is the specification's, and holds the tag alone.
    let annotations = json!({
        "io.containerd.image.name": name.to_string(),
        "org.opencontainers.image.ref.name": name.tag(),
    });
    entry.insert("annotations".to_owned(), annotations);
    index(&[entry])
}

/// What the name of an archive stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Top {
    /// A manifest.
    One(Platform, Blob),
    /// An index of manifests.
    Several(Blob),
}

fn for_platform(platform: Platform, blob: &Blob) -> Map<String, Value> {
    let mut entry = blob.describe(MANIFEST);
    entry.insert("platform".to_owned(), json!({ "architecture": platform.name(), "os": "linux" }));
    entry
}

fn index(manifests: &[Map<String, Value>]) -> Result<Vec<u8>> {
    bytes(&json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }))
}

fn bytes(document: &Value) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(document)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Result<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn the_configuration_says_what_was_asked_for_and_no_more() {
        let asked = Config {
            entrypoint: vec!["/reflector".into()],
            arguments: vec!["run".into(), "--now".into()],
            environment: vec![("A".into(), "b=c".into())],
            user: "65532:65531".into(),
            labels: vec![("x".into(), "y".into())],
        };
        let layers = [Blob::of(b"layer")];
        assert_eq!(
            text(config(&asked, Platform::Arm64, &layers)),
            format!(
                r#"{{"created":"1970-01-01T00:00:00Z","architecture":"arm64","os":"linux","config":{{"User":"65532:65531","Env":["A=b=c"],"Entrypoint":["/reflector"],"Cmd":["run","--now"],"Labels":{{"x":"y"}}}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
                layers[0].digest
            )
        );
        assert!(text(config(&Config::default(), Platform::Amd64, &[])).contains(r#""config":{},"#));
    }

    #[test]
    fn an_importer_finds_the_whole_name_and_the_tag() {
        let name = Name::new("bed.local/a/b:1.2").unwrap();
        let blob = Blob::of(b"manifest");
        let one = text(top(&name, &Top::One(Platform::Amd64, blob.clone())));
        assert!(one.contains(r#""annotations":{"io.containerd.image.name":"bed.local/a/b:1.2","org.opencontainers.image.ref.name":"1.2"}"#), "{one}");
        assert!(
            one.contains(r#""mediaType":"application/vnd.oci.image.manifest.v1+json","digest""#),
            "{one}"
        );
        assert!(one.contains(r#""platform":{"architecture":"amd64","os":"linux"}"#), "{one}");
        let several = text(top(&name, &Top::Several(blob)));
        assert!(several.contains(r#"[{"mediaType":"application/vnd.oci.image.index.v1+json""#), "{several}");
        assert!(!several.contains("platform"), "the index itself is of no platform: {several}");
    }

    #[test]
    fn a_layer_is_described_as_the_plain_tar_it_is() {
        let manifest = text(manifest(&Blob::of(b"config"), &[Blob { digest: Digest::of(b"x"), bytes: 77 }]));
        let expected = format!(
            r#""layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":77}}]"#,
            Digest::of(b"x")
        );
        assert!(manifest.contains(&expected), "{manifest}");
    }
}
