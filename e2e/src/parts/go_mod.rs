//! Reads the few things we ask of a `go.mod`: a version, and for tests of the table its module, tools and replacements.

/// The module that the file is about.
#[cfg(test)]
pub(super) fn module(text: &str) -> Option<&str> {
    directives(text, "module").next()
}

/// The packages of its `tool` lines, sorted.
#[cfg(test)]
pub(super) fn tools(text: &str) -> Vec<&str> {
    let mut tools: Vec<&str> = directives(text, "tool").collect();
    tools.sort_unstable();
    tools
}

/// The version that it requires of a module, `v1.2.3`.
pub(super) fn version_of<'text>(text: &'text str, module: &str) -> Option<&'text str> {
    directives(text, "require").find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(module)).then(|| words.next())?
    })
}

/// The modules that it replaces by a version, and that version.
#[cfg(test)]
pub(super) fn replaced(text: &str) -> Vec<(&str, &str)> {
    directives(text, "replace")
        .filter_map(|line| Some((line.split_whitespace().next()?, line.split_whitespace().nth(3)?)))
        .collect()
}

/// What stands after a keyword: on its line, or line by line between its parentheses. Without comments.
fn directives<'text>(text: &'text str, keyword: &'static str) -> impl Iterator<Item = &'text str> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.split("//").next().unwrap_or_default().trim();
        if inside {
            inside = line != ")";
            return (inside && !line.is_empty()).then_some(line);
        }
        let rest = line.strip_prefix(keyword)?;
        let rest = rest.strip_prefix([' ', '\t']).or_else(|| rest.starts_with('(').then_some(rest))?.trim();
        inside = rest == "(";
        (!inside && !rest.is_empty()).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "// About it.\nmodule tools/x // why\n\ngo 1.26.0\n\ntool (\n\texample.org/b/cmd\n\texample.org/a\n)\n\ntool example.org/c\n\
        \nrequire example.org/a v1.2.3\n\nrequire (\n\texample.org/b v0.9.0 // indirect\n\texample.org/ab v3.0.0\n)\n\n\
        replace (\n\texample.org/l => example.org/l v0.1.0\n)\nreplace example.org/m => example.org/n v0.2.0\n";

    #[test]
    fn single_lines_and_blocks_are_both_read() {
        assert_eq!(module(TEXT), Some("tools/x"));
        assert_eq!(tools(TEXT), ["example.org/a", "example.org/b/cmd", "example.org/c"]);
        assert_eq!(version_of(TEXT, "example.org/a"), Some("v1.2.3"));
        assert_eq!(version_of(TEXT, "example.org/b"), Some("v0.9.0"));
        assert_eq!(replaced(TEXT), [("example.org/l", "v0.1.0"), ("example.org/m", "v0.2.0")]);
    }

    #[test]
    fn a_module_is_not_found_by_the_beginning_of_its_name() {
        assert_eq!(version_of(TEXT, "example.org"), None);
        assert_eq!(version_of("toolchain go1.26.0\nrequired x v1", "x"), None);
        assert!(tools("toolchain go1.26.0\n").is_empty());
    }
}
