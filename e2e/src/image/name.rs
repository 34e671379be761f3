//! The name of an image, as a pod writes it.

use std::fmt;

use anyhow::{Result, bail, ensure};

/// `registry.example/path/name:tag`, complete: containerd and the kubelet must not have to guess the rest of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Refuses what a kubelet would read as another name.
    pub fn new(text: &str) -> Result<Self> {
        let Some((path, tag)) = text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) else {
            bail!("the image name '{text}' has no tag; write NAME:TAG");
        };
        let mut parts = path.split('/');
        let host = parts.next().unwrap_or_default();
        // Without a dot, a port or this word it would be a folder of the default registry.
        ensure!(
            host == "localhost" || host.contains(['.', ':']),
            "the image name '{text}' does not begin with a registry; write one, like bed.local/NAME:TAG"
        );
        let parts: Vec<&str> = parts.collect();
        ensure!(!parts.is_empty(), "the image name '{text}' is only a registry; write HOST/NAME:TAG");
        for part in parts {
            ensure!(
                is_part(part),
                "the image name '{text}' has a part '{part}'; use a-z, 0-9, '.', '_' and '-'"
            );
        }
        ensure!(
            !tag.is_empty()
                && tag.len() <= 128
                && tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)),
            "the image name '{text}' has the tag '{tag}'; use letters, digits, '.', '_' and '-'"
        );
        Ok(Self(text.to_owned()))
    }

    /// What stands behind the colon.
    pub fn tag(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, tag)| tag)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_part(part: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(letter) && part.ends_with(letter) && part.chars().all(|c| letter(c) || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_names_are_taken() {
        for good in ["bed.local/pause:1", "localhost/a/b-c:v1.2", "bed.local:5000/x:latest"] {
            assert_eq!(Name::new(good).unwrap().to_string(), good);
        }
        for bad in [
            "pause:1",
            "library/pause:1",
            "bed.local/pause",
            "bed.local:5000/x",
            "bed.local:1",
            "bed.local/P:1",
            "bed.local/../p:1",
            "bed.local//p:1",
            "bed.local/p:",
            "bed.local/p:a b",
        ] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Name::new("bed.local:5000/x:latest").unwrap().tag(), "latest");
    }
}
