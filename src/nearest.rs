//! The known word that a mistyped one was most likely meant to be.

/// Longer words are not compared: no name of ours is, and the cost grows with the square.
const MAX_CHARS: usize = 64;

/// The one of `known` that is nearest to `word`, if any is near enough to be worth naming.
/// Case does not count, and a swap of neighbours counts as one mistake.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(MAX_CHARS + 1).flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > MAX_CHARS {
        return None;
    }
    let (best, distance) = known
        .into_iter()
        .map(|name| (name, distance(&word, &name.chars().flat_map(char::to_lowercase).collect::<Vec<_>>())))
        .min_by_key(|(_, distance)| *distance)?;
    // A third of the letters may be wrong; more, and the suggestion would be a guess.
    let allowed = (word.len().max(best.len()) / 3).max(1);
    (distance <= allowed && distance < best.len()).then_some(best)
}

/// `; did you mean "x"?` to end a message with, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut older: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(older[j - 1] + 1);
            }
            row.push(best);
        }
        older = std::mem::replace(&mut last, row);
    }
    last[b.len()]
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

    #[test]
    fn distances_are_those_counted_by_hand() {
        let d = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("abc", ""), 3);
        assert_eq!(d("kitten", "sitting"), 3);
        assert_eq!(d("prot", "port"), 1);
        assert_eq!(d("same", "same"), 0);
    }
}
