//! What a status says to people.

use ureq::http::StatusCode;

/// The status with its word, and what was said with it.
pub fn answered(status: u16, excerpt: &str) -> String {
    let word = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let status = word.map_or(status.to_string(), |word| format!("{status} {word}"));
    // Pages say it once more.
    let said = excerpt
        .strip_prefix(&*status)
        .or_else(|| excerpt.strip_prefix(word?))
        .unwrap_or(excerpt)
        .trim()
        .trim_end_matches('.');
    if said.is_empty() { format!("answered {status}") } else { format!("answered {status}: {said}") }
}
