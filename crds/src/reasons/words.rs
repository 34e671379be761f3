//! How a reason becomes the message of a condition, whoever writes it.

/// The API server refuses messages beyond 32 768 bytes; these are read in a terminal.
/// Test: `a_message_is_cut_between_characters`.
pub const MAX_MESSAGE: usize = 1_024;
/// A remedy that needs no saying.
const NOTHING: &str = "Nothing to do.";

/// What it means, what exactly it is, and what to do.
pub fn message(explanation: &str, details: &str, remedy: &str) -> String {
    let remedy = Some(remedy).filter(|remedy| *remedy != NOTHING).unwrap_or_default();
    let details = details.trim_end_matches('.');
    let details = if details.is_empty() { String::new() } else { format!("{details}.") };
    let parts = [explanation, &details, remedy];
    let text: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    cut(&text.join(" "), MAX_MESSAGE).to_owned()
}

/// At most so many bytes, at the end of a character.
pub fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        assert_eq!((cut("aü", 2), cut("ü", 1), cut("aü", 3), cut("aü", 9)), ("a", "", "aü", "aü"));
        let long = message("So it is.", &"ä".repeat(MAX_MESSAGE), "");
        assert!(long.len() <= MAX_MESSAGE && long.len() > MAX_MESSAGE - 2, "{}", long.len());
    }

    #[test]
    fn nobody_is_told_to_do_nothing_and_no_sentence_ends_twice() {
        assert_eq!(message("It listens.", "port 4000.", NOTHING), "It listens. port 4000.");
        assert_eq!(message("It does not.", "", "Free the port."), "It does not. Free the port.");
    }
}
