//! The known word that a mistyped one was most likely meant to be.

/// Longer words are not compared: no name of ours is, and the cost grows with the square.
const MAX_CHARS: usize = 64;

/// The one of `known` that is nearest to `word`, if any is near enough to be worth naming.
/// Case does not count, and a swap of neighbours counts as one mistake.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (word, length) = (word.to_lowercase(), word.chars().count());
    if length == 0 || length > MAX_CHARS {
        return None;
    }
    let distance = |name: &str| strsim::osa_distance(&word, &name.to_lowercase());
    let (best, distance) =
        known.into_iter().map(|name| (name, distance(name))).min_by_key(|(_, distance)| *distance)?;
    // A third of the letters may be wrong; more, and the suggestion would be a guess.
    let allowed = (length.max(best.len()) / 3).max(1);
    (distance <= allowed && distance < best.len()).then_some(best)
}

/// `; did you mean "x"?` to end a message with, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["ca_file", "cert_file", "key_file", "enabled", "host", "port"];
        assert_eq!(nearest("ca_fil", known), Some("ca_file"));
        assert_eq!(nearest("CA_FILE", known), Some("ca_file"));
        assert_eq!(nearest("enable", known), Some("enabled"));
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("password", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"ca_file".repeat(1000), known), None);
    }
}
