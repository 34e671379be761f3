//! The chart's copies of the definitions are what the types say.
//!
//! They are templates and no folder `crds/`, because helm never upgrades what is in there.

use std::path::PathBuf;

use crds::definition;

/// What is put after the name, so that whoever installs decides what happens on uninstall.
const METADATA: &str = "  labels:
    {{- include \"reflector-operator.labels\" . | nindent 4 }}
  {{- if or .Values.crds.keep .Values.crds.annotations }}
  annotations:
    {{- if .Values.crds.keep }}
    # With a kind would go every object of it, in every namespace.
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with .Values.crds.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
";

/// The definition between what helm decides.
fn template(yaml: &str, plural: &str) -> Option<String> {
    let name = format!("  name: {plural}.packetparamedic.io\n");
    let (head, rest) = yaml.split_once(&name)?;
    Some(format!(
        "{{{{- /* Made from crds/src. To make it anew: UPDATE_GOLDEN=1 cargo test -p crds --test chart */ -}}}}\n\
         {{{{- if .Values.crds.install }}}}\n{head}{name}{METADATA}{rest}{{{{- end }}}}\n"
    ))
}

#[test]
fn each_definition_in_the_chart_is_up_to_date() {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../charts/reflector-operator/templates/crds");
    for definition in definition::all() {
        let path = folder.join(format!("{}.yaml", definition.plural));
        let yaml = serde_yaml::to_string(&definition.object).unwrap();
        assert!(!yaml.contains("{{"), "helm would take a part of {} for its own", definition.plural);
        let written = template(&yaml, definition.plural).unwrap();
        if update() {
            std::fs::write(&path, &written).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == written,
            "{} is not what the types say: UPDATE_GOLDEN=1 cargo test -p crds --test chart",
            path.display()
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether to write")]
fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}
