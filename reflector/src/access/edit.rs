//! tmp
use super::manifest::Mine;
use crds::EndpointId;
use std::path::Path;
pub struct Added {
    pub name: String,
}
pub fn add(
    dir: &Path,
    mine: &Mine,
    id: EndpointId,
    _name: Option<&str>,
    _d: Option<&str>,
) -> std::io::Result<Added> {
    let name = format!("peer-{}", id.short().to_lowercase());
    let text = format!(
        "apiVersion: packetparamedic.io/v1alpha1\nkind: ReflectorPeer\nmetadata:\n  name: {name}\nspec:\n  reflectorRef:\n    kind: Reflector\n    name: {}\n  endpointId: {id}\n",
        mine.name
    );
    let tmp = dir.join(format!(".{name}.tmp"));
    std::fs::write(&tmp, text)?;
    std::fs::rename(&tmp, dir.join(format!("{name}.yaml")))?;
    Ok(Added { name })
}
