//! Rust text taken apart into what is compiled and what is said: just enough of the grammar to know a word in the code
//! from one in a comment or a string. Pure.

/// A line of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Without comments; of a literal only its quotes are left.
    pub(super) code: String,
    /// What its comments say.
    pub(super) comment: String,
}

impl Line {
    /// Whether `word` stands in the code as a word of its own.
    pub(super) fn has(&self, word: &str) -> bool {
        self.code.split(|c: char| !is_name(c)).any(|found| found == word)
    }

    /// Whether there is something to compile.
    pub(super) fn is_code(&self) -> bool {
        !self.code.trim().is_empty()
    }

    /// Whether there is a comment and nothing else.
    pub(super) fn is_comment(&self) -> bool {
        !self.is_code() && !self.comment.is_empty()
    }
}

/// What the reader is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment(usize),
    String,
    /// Ends at a quote and this many `#`.
    RawString(usize),
}

/// The lines of a file.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut inside = Inside::Code;
    text.lines()
        .map(|text| {
            if inside == Inside::LineComment {
                inside = Inside::Code;
            }
            let mut line = Line::default();
            let mut rest = text;
            while let Some(first) = rest.chars().next() {
                let taken = step(&mut inside, rest, first, &mut line);
                rest = rest.get(taken..).unwrap_or_default();
            }
            line
        })
        .collect()
}

/// Takes the next token, or a piece of one; answers its length.
fn step(inside: &mut Inside, rest: &str, first: char, line: &mut Line) -> usize {
    let length = first.len_utf8();
    match *inside {
        Inside::Code => in_code(inside, rest, first, line),
        Inside::LineComment => {
            line.comment.push_str(rest);
            rest.len()
        }
        Inside::BlockComment(depth) => {
            if rest.starts_with("/*") {
                *inside = Inside::BlockComment(depth + 1);
                return 2;
            }
            if rest.starts_with("*/") {
                *inside = if depth > 1 { Inside::BlockComment(depth - 1) } else { Inside::Code };
                return 2;
            }
            line.comment.push(first);
            length
        }
        Inside::String if first == '\\' => length + rest.chars().nth(1).map_or(0, char::len_utf8),
        Inside::String => {
            if first == '"' {
                line.code.push(first);
                *inside = Inside::Code;
            }
            length
        }
        Inside::RawString(marks) => {
            let end = format!("\"{}", "#".repeat(marks));
            if rest.starts_with(&end) {
                line.code.push('"');
                *inside = Inside::Code;
                return end.len();
            }
            length
        }
    }
}

fn in_code(inside: &mut Inside, rest: &str, first: char, line: &mut Line) -> usize {
    if rest.starts_with("//") {
        *inside = Inside::LineComment;
        return 2;
    }
    if rest.starts_with("/*") {
        *inside = Inside::BlockComment(1);
        return 2;
    }
    let in_name = line.code.chars().next_back().is_some_and(is_name);
    if !in_name && let Some((marks, taken)) = raw_string(rest) {
        line.code.push('"');
        *inside = Inside::RawString(marks);
        return taken;
    }
    if first == '"' {
        *inside = Inside::String;
    } else if first == '\''
        && let Some(taken) = character(rest)
    {
        line.code.push_str("''");
        return taken;
    }
    line.code.push(first);
    first.len_utf8()
}

/// The `#`s of a raw string that begins here, and how long its beginning is.
fn raw_string(rest: &str) -> Option<(usize, usize)> {
    let marked = ["r", "br", "cr"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let quoted = marked.trim_start_matches('#');
    let after = quoted.strip_prefix('"')?;
    Some((marked.len() - quoted.len(), rest.len() - after.len()))
}

/// The length of a character literal that begins here; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next()?;
    }
    if first == '\\' {
        return chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1);
    }
    chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.code.trim().to_owned()).collect()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let text =
            "let a = \"unsafe // {\"; // unsafe\n/* unsafe /* unsafe */ unsafe\nunsafe */ b();\n/// unsafe";
        assert_eq!(code(text), ["let a = \"\";", "", "b();", ""]);
        assert!(lines(text).iter().all(|line| !line.has("unsafe")));
        assert_eq!(lines(text)[0].comment, " unsafe");
    }

    #[test]
    fn strings_end_where_the_compiler_ends_them() {
        assert_eq!(code(r#"f("\"unsafe", '"', b'\'', "\\"); g"#), [r#"f("", '', b'', ""); g"#]);
        assert_eq!(
            code("r#\"unsafe \" unsafe\"# x br\"\\\" y"),
            ["\" x \" y"].map(|s| s.replace('"', "\"\""))
        );
        assert_eq!(code("\"two\nunsafe lines\"; x"), ["\"", "\"; x"]);
    }

    #[test]
    fn lifetimes_are_not_characters() {
        assert_eq!(code("fn f<'a>(x: &'a str, y: '\\u{1F600}') {"), ["fn f<'a>(x: &'a str, y: '') {"]);
    }

    #[test]
    fn a_word_is_found_as_a_whole() {
        let line = &lines("unsafe_code(unsafe{x})")[0];
        assert!(line.has("unsafe") && line.has("unsafe_code") && !line.has("code"));
    }
}
