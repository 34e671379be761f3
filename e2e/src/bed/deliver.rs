//! Images for a node that is up: there is no registry, so somebody brings them.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::images;
use super::running::Bed;
use crate::image::{self, Name};

impl Bed {
    /// Gives one node the images in an OCI archive.
    pub async fn import_into(&self, node: &str, archive: &Path) -> Result<()> {
        images::import(&self.member(node)?, &self.state.programs, archive).await
    }

    /// Gives one node a program of this machine as an image of this name.
    pub async fn deliver(&self, node: &str, program: &Path, name: &str) -> Result<()> {
        let folder = tempfile::tempdir().context("make a folder for an image")?;
        let archive = folder.path().join("image.tar");
        let file = File::create(&archive).context("create an image's archive")?;
        image::write(&Name::new(name)?, &[image::program(program)?], BufWriter::new(file))
            .with_context(|| format!("write the image {name}"))?;
        self.import_into(node, &archive).await
    }
}
