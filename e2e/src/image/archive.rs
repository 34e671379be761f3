//! Puts images into one tar: an OCI layout, every blob once, under its digest.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context as _, Result, bail, ensure};
use tar::{Builder, EntryType};

use super::digest::{Digest, Measure};
use super::documents::{self, Blob, Config, Platform, Top};
use super::files::Files;
use super::layer;
use super::name::Name;

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it runs on.
    pub platform: Platform,
    /// From the lowest to the highest.
    pub layers: Vec<Files>,
    /// What is run.
    pub config: Config,
}

/// The bytes of a blob, or how to make them again.
enum Source<'a> {
    Document(Vec<u8>),
    Layer(&'a Files, u64),
}

/// Writes the image of this name; with more than one platform, whoever pulls it gets his own. Returns the digest that
/// the name stands for.
///
/// Files from disk are read twice: for their digest, then into the archive. One that changed in between is an error.
pub fn write(name: &Name, images: &[Image], out: impl Write) -> Result<Digest> {
    let mut blobs = BTreeMap::new();
    let top = gather(images, &mut blobs).with_context(|| format!("make the image {name}"))?;
    let digest = match &top {
        Top::One(_, blob) | Top::Several(blob) => blob.digest.clone(),
    };
    let index = documents::top(name, &top)?;
    archive(&blobs, &index, out).with_context(|| format!("write the archive of {name}"))?;
    Ok(digest)
}

fn gather<'a>(images: &'a [Image], blobs: &mut BTreeMap<Digest, Source<'a>>) -> Result<Top> {
    let mut manifests = Vec::new();
    for image in images {
        ensure!(
            !manifests.iter().any(|(platform, _)| *platform == image.platform),
            "two images are for {:?}",
            image.platform
        );
        let mut layers = Vec::new();
        for files in &image.layers {
            let (digest, bytes) = layer::measure(files)?;
            blobs.insert(digest.clone(), Source::Layer(files, bytes));
            layers.push(Blob { digest, bytes });
        }
        let config = keep(documents::config(&image.config, image.platform, &layers)?, blobs);
        manifests.push((image.platform, keep(documents::manifest(&config, &layers)?, blobs)));
    }
    // The order in which they were given does not count.
    manifests.sort_by_key(|(platform, _)| *platform);
    match manifests.as_slice() {
        [] => bail!("there is no image to write"),
        [(platform, blob)] => Ok(Top::One(*platform, blob.clone())),
        several => Ok(Top::Several(keep(documents::platforms(several)?, blobs))),
    }
}

fn keep(document: Vec<u8>, blobs: &mut BTreeMap<Digest, Source<'_>>) -> Blob {
    let blob = Blob::of(&document);
    blobs.insert(blob.digest.clone(), Source::Document(document));
    blob
}

fn archive(blobs: &BTreeMap<Digest, Source<'_>>, index: &[u8], out: impl Write) -> Result<()> {
    let mut tar = Builder::new(out);
    for folder in ["blobs/", "blobs/sha256/"] {
        let mut header = layer::header(EntryType::Directory, 0o755, 0);
        tar.append_data(&mut header, folder, std::io::empty())?;
    }
    for (digest, source) in blobs {
        let path = format!("blobs/sha256/{}", digest.hex());
        match source {
            Source::Document(bytes) => file(&mut tar, &path, bytes)?,
            Source::Layer(files, bytes) => {
                let mut header = layer::header(EntryType::Regular, 0o644, *bytes);
                header.set_path(&path)?;
                header.set_cksum();
                stream(&mut tar, &header, files, digest)?;
            }
        }
    }
    file(&mut tar, "index.json", index)?;
    file(&mut tar, "oci-layout", documents::OCI_LAYOUT.as_bytes())?;
    tar.finish().context("end it")?;
    tar.into_inner().context("end it")?.flush().context("write the last of it")
}

fn file(tar: &mut Builder<impl Write>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut header = layer::header(EntryType::Regular, 0o644, bytes.len() as u64);
    tar.append_data(&mut header, path, bytes).with_context(|| format!("write {path}"))
}

/// A layer goes from its files into the archive without being held in memory: a tar is whole blocks, so it can be
/// written between a header of ours and the next entry.
fn stream(tar: &mut Builder<impl Write>, header: &tar::Header, files: &Files, digest: &Digest) -> Result<()> {
    let out = tar.get_mut();
    out.write_all(header.as_bytes()).context("write a layer's header")?;
    let mut measure = Measure::new(out);
    layer::write(files, &mut measure)?;
    let (written, _) = measure.finish();
    ensure!(written == *digest, "a file changed while it was being packed; make the image again");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn files(text: &str) -> Files {
        Files::new()
            .file("/bin/a", 0o755, text)
            .unwrap()
            .folder("/tmp", 0o1777)
            .unwrap()
            .link("b", "bin/a")
            .unwrap()
    }

    fn image(platform: Platform, text: &str) -> Image {
        let config =
            Config { entrypoint: vec!["/bin/a".into()], user: "65532:65532".into(), ..Config::default() };
        Image { platform, layers: vec![files("below"), files(text)], config }
    }

    fn written(images: &[Image]) -> (Digest, Vec<u8>) {
        let mut out = Vec::new();
        let digest = write(&Name::new("bed.local/a:1").unwrap(), images, &mut out).unwrap();
        (digest, out)
    }

    /// Every file of an archive, by its path.
    fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(files.insert(path, bytes).is_none(), "no entry comes twice");
        }
        files
    }

    #[test]
    fn the_same_input_gives_the_same_archive_on_every_machine() {
        let images = [image(Platform::Amd64, "hello"), image(Platform::Arm64, "hallo")];
        let (digest, archive) = written(&images);
        assert_eq!((digest.clone(), archive.clone()), written(&images));
        let [first, second] = images;
        assert_eq!((digest.clone(), archive), written(&[second, first]), "their order does not count");
        // Golden: when these change, so does every image that was ever made.
        let one = written(&[image(Platform::Amd64, "hello")]).0;
        assert_eq!(
            one.to_string(),
            "sha256:efd7dd1d466cd367b3d697a10dd06af4826a1d13223dd2baf8632ce270772bfa"
        );
        assert_eq!(
            digest.to_string(),
            "sha256:0a902c3bf49e32ecf3981134f7b776df422928b94a2f32f1ad1fc7a6b0f56271"
        );
    }

    #[test]
    fn everything_else_gives_another_digest() {
        let (first, _) = written(&[image(Platform::Amd64, "hello")]);
        let mut mode = image(Platform::Amd64, "hello");
        mode.layers[1] = Files::new().file("/bin/a", 0o755, "hello").unwrap();
        let mut user = image(Platform::Amd64, "hello");
        user.config.user = "0".into();
        for other in [image(Platform::Amd64, "hellp"), image(Platform::Arm64, "hello"), mode, user] {
            assert_ne!(written(&[other]).0, first);
        }
    }

    #[test]
    fn every_blob_is_there_once_under_its_own_digest() {
        let (digest, archive) = written(&[image(Platform::Amd64, "hello"), image(Platform::Arm64, "hallo")]);
        let files = unpacked(&archive);
        let blobs: Vec<_> = files
            .iter()
            .filter_map(|(path, bytes)| Some((path.strip_prefix("blobs/sha256/")?, bytes)))
            .collect();
        for (name, bytes) in blobs.iter().filter(|(name, _)| !name.is_empty()) {
            assert_eq!(Digest::of(bytes).hex(), *name);
        }
        // The folder, the index, and for each platform a manifest, a configuration and a layer; one layer is shared.
        assert_eq!(blobs.len(), 1 + 1 + 2 * 3 + 1);
        assert!(files.contains_key(&format!("blobs/sha256/{}", digest.hex())));
        assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
    }

    #[test]
    fn an_importer_comes_from_the_index_to_the_files() {
        let (digest, archive) = written(&[image(Platform::Amd64, "hello")]);
        let files = unpacked(&archive);
        let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        let follow = |value: &serde_json::Value| {
            let name = value["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
            let bytes = files[&format!("blobs/sha256/{name}")].clone();
            assert_eq!(value["size"].as_u64().unwrap(), bytes.len() as u64);
            bytes
        };
        let index = json(&files["index.json"]);
        assert_eq!(index["manifests"][0]["digest"], digest.to_string());
        let manifest = json(&follow(&index["manifests"][0]));
        let config = json(&follow(&manifest["config"]));
        let layer = follow(&manifest["layers"][1]);
        assert_eq!(config["rootfs"]["diff_ids"][1], Digest::of(&layer).to_string());
        assert_eq!(unpacked(&layer)["bin/a"], b"hello");
    }

    #[test]
    fn no_image_and_two_for_one_platform_are_refused() {
        let name = Name::new("bed.local/a:1").unwrap();
        assert!(write(&name, &[], std::io::sink()).is_err());
        let twice = [image(Platform::Amd64, "a"), image(Platform::Amd64, "b")];
        let error = format!("{:#}", write(&name, &twice, std::io::sink()).unwrap_err());
        assert!(error.contains("two images are for Amd64"), "{error}");
    }

    #[test]
    fn a_file_that_changes_while_it_is_packed_makes_no_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "hello").unwrap();
        let files = Files::new().copy("a", 0o644, &path).unwrap();
        let (digest, bytes) = layer::measure(&files).unwrap();
        std::fs::write(&path, "hellp").unwrap();
        let blobs = BTreeMap::from([(digest, Source::Layer(&files, bytes))]);
        let error = archive(&blobs, b"{}", std::io::sink()).unwrap_err();
        assert!(error.to_string().contains("changed while it was being packed"), "{error}");
    }
}
