//! What somebody probably meant.

/// Longer words are nobody's typo of ours, and comparing them would cost time.
const LONGEST_WORD: usize = 64;

/// The candidate nearest to `word`, if one is near enough: at most a third of it mistyped.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > LONGEST_WORD {
        return None;
    }
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&word, &c.to_ascii_lowercase()), c))
        .filter(|(distance, c)| *distance <= (length.max(c.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_finds_nothing() {
        let words = ["listen_address", "listen_address_health", "mode"];
        assert_eq!(nearest("listen_adress", words), Some("listen_address"));
        assert_eq!(nearest("Mode", words), Some("mode"));
        assert_eq!(nearest("moed", words), Some("mode"));
        assert_eq!(nearest("bandwidth", words), None);
        assert_eq!(nearest(&"m".repeat(LONGEST_WORD + 1), ["m"]), None);
    }
}
