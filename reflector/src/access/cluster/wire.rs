//! What the API server answers: pages of a list, lines of a watch. Pure; bytes in, values out.

use serde::Deserialize;
use serde_json::Value;

/// Longest words of the server, or of a parser, that are repeated.
const MAX_WORDS: usize = 200;
/// The version we asked from is not kept any more: the list has to be read again.
const GONE: u16 = 410;
/// We may not ask this.
const FORBIDDEN: u16 = 403;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    /// Where a watch goes on from here.
    pub(super) version: String,
    /// Asks for the next page.
    pub(super) more: Option<String>,
    /// The objects, whatever they are.
    pub(super) items: Vec<Value>,
}

/// One line of a watch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// An object is new or different.
    Changed(Value),
    /// An object is gone, or is not selected any more.
    Gone(Value),
    /// Nothing happened up to this version.
    Bookmark(String),
    /// The version we asked from is not kept any more.
    Expired,
    /// The server gives up, with its words.
    Failed(String),
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(default, rename = "continue")]
    more: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// Reads a page.
pub(super) fn page(bytes: &[u8]) -> Result<Page, String> {
    let list: List =
        serde_json::from_slice(bytes).map_err(|e| words("its list cannot be read", &e.to_string()))?;
    let more = list.metadata.more.filter(|more| !more.is_empty());
    Ok(Page { version: list.metadata.resource_version, more, items: list.items })
}

/// Reads a line. An error says what it looks like; nobody knows then what was missed.
pub(super) fn line(bytes: &[u8]) -> Result<Line, String> {
    let Event { kind, object } = serde_json::from_slice(bytes)
        .map_err(|e| words("a line of its watch cannot be read", &e.to_string()))?;
    Ok(match kind.as_str() {
        "ADDED" | "MODIFIED" => Line::Changed(object),
        "DELETED" => Line::Gone(object),
        "BOOKMARK" => match version(&object) {
            Some(version) => Line::Bookmark(version.to_owned()),
            None => return Err("a bookmark of its watch has no version".to_owned()),
        },
        "ERROR" if object.get("code").and_then(Value::as_u64) == Some(GONE.into()) => Line::Expired,
        "ERROR" => {
            let said = object.get("message").and_then(Value::as_str).unwrap_or("no reason");
            Line::Failed(words("it ended the watch", said))
        }
        other => return Err(words("a line of its watch is of no known type", other)),
    })
}

/// `metadata.resourceVersion`
pub(super) fn version(object: &Value) -> Option<&str> {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).filter(|version| !version.is_empty())
}

/// Why a request failed, for people, and whether only the version was too old.
pub(super) fn failure(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == GONE => Failure::Expired,
        kube::Error::Api(status) if status.code == FORBIDDEN => {
            Failure::Forbidden(words("this pod may not: is its RoleBinding there?", &status.message))
        }
        kube::Error::Api(status) => {
            let hint = match status.code {
                401 => "the token of this pod is not accepted",
                404 => "the kinds of packetparamedic.io are not installed",
                429 => "it has too much to do",
                _ => "it refuses",
            };
            Failure::Away(words(&format!("{hint} ({})", status.code), &status.message))
        }
        other => Failure::Away(words("it cannot be reached", &chain(other))),
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Begin with a list again.
    Expired,
    /// Away, and why.
    Away(String),
    /// There, and it says that we may not ask this.
    Forbidden(String),
}

/// Foreign words, cut and on one line.
fn words(ours: &str, theirs: &str) -> String {
    let theirs: String = theirs.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
    format!("{ours}: {theirs}")
}

/// The last cause says most: what wraps it repeats that a request failed.
fn chain(error: &kube::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Line, String> {
        line(value.to_string().as_bytes())
    }

    #[test]
    fn each_type_of_line_is_told_from_the_others() {
        let object = json!({ "metadata": { "name": "a", "resourceVersion": "7" } });
        let event = |kind: &str| read(&json!({ "type": kind, "object": object })).unwrap();
        assert_eq!(event("ADDED"), Line::Changed(object.clone()));
        assert_eq!(event("MODIFIED"), Line::Changed(object.clone()));
        assert_eq!(event("DELETED"), Line::Gone(object.clone()));
        assert_eq!(event("BOOKMARK"), Line::Bookmark("7".into()));
        assert!(event("ERROR") == Line::Failed("it ended the watch: no reason".into()));
        let status =
            |code: u16| read(&json!({ "type": "ERROR", "object": { "code": code, "message": "old\n" } }));
        assert_eq!(status(410).unwrap(), Line::Expired);
        assert_eq!(status(500).unwrap(), Line::Failed("it ended the watch: old".into()));
    }

    #[test]
    fn garbage_is_an_error_and_its_words_are_bounded() {
        for text in ["", "x", "{}", r#"{"type":"ADDED"}"#, r#"{"type":"BOOKMARK","object":{}}"#] {
            assert!(line(text.as_bytes()).is_err(), "{text}");
        }
        let long = read(&json!({ "type": "x".repeat(100_000), "object": {} })).unwrap_err();
        assert!(long.len() < 300, "{}", long.len());
        assert!(page(b"{}").is_err());
        assert!(line(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn the_last_page_asks_for_no_more() {
        let list = json!({ "metadata": { "resourceVersion": "9", "continue": "" }, "items": [{}, 5] });
        let read = page(list.to_string().as_bytes()).unwrap();
        assert_eq!(read, Page { version: "9".into(), more: None, items: vec![json!({}), json!(5)] });
        let list = json!({ "metadata": { "resourceVersion": "9", "continue": "abc" } });
        assert_eq!(page(list.to_string().as_bytes()).unwrap().more.as_deref(), Some("abc"));
    }
}
