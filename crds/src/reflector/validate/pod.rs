//! Image, resources and what is merged into the pod last.

use crate::check::Check;
use crate::problem::shortened;
use crate::schema::pod::OUR_LABELS;

use super::super::pod::{ImageSpec, PodTemplate, Resources};

/// Variables the operator sets; a person's would change what the fields say.
const OUR_VARIABLES: &str = "REFLECTOR__";
/// Hexadecimal digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

impl Check {
    pub(super) fn image(&mut self, at: &str, image: Option<&ImageSpec>) {
        let Some(digest) = image.and_then(|image| image.digest.as_deref()) else { return };
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !digest.strip_prefix("sha256:").is_some_and(|digits| digits.len() == DIGEST_DIGITS && hex(digits))
        {
            let rule = "write sha256: and 64 hexadecimal digits in lower case";
            self.problem(&format!("{at}.digest"), format!("{:?} is not a digest: {rule}", shortened(digest)));
        }
    }

    pub(super) fn resources(&mut self, at: &str, resources: Option<&Resources>) {
        for (list, amounts) in
            resources.map(|r| [("requests", &r.requests), ("limits", &r.limits)]).into_iter().flatten()
        {
            for (name, amount) in amounts {
                if !amount.is_quantity() {
                    self.problem(
                        &format!("{at}.{list}.{name}"),
                        format!(
                            "cannot be {:?}: write an amount such as 10m or 24Mi",
                            shortened(amount.as_str())
                        ),
                    );
                }
            }
        }
    }

    pub(super) fn pod_template(&mut self, at: &str, template: Option<&PodTemplate>) {
        let Some(template) = template else { return };
        self.no_labels_of_ours(&format!("{at}.labels"), template.labels.keys());
        for (index, variable) in template.env.iter().enumerate() {
            if variable.name.starts_with(OUR_VARIABLES) {
                self.problem(
                    &format!("{at}.env[{index}].name"),
                    format!("cannot begin with {OUR_VARIABLES}: set the field of the Reflector instead"),
                );
            }
        }
    }

    /// Labels a person may not set on what the operator makes.
    pub(crate) fn no_labels_of_ours<'l>(&mut self, at: &str, labels: impl Iterator<Item = &'l String>) {
        for label in labels.filter(|label| OUR_LABELS.contains(&label.as_str())) {
            self.problem(at, format!("the operator sets {label} itself: leave it out"));
        }
    }
}
