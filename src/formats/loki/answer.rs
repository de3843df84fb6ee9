//! What an answer says of the entries that Loki has not taken.
//!
//! Its distributor leaves out what is too old or too new, stores the rest, and says each reason once; its ingester
//! leaves out what comes too late for its stream, and counts. Both answer 400.
//!
//! ```text
//! 2 errors like: entry for stream '{...}' has timestamp too old: 2023-..., oldest acceptable timestamp is: 2023-...
//! entry with timestamp 2023-... ignored, reason: 'entry too far behind, entry timestamp is: ...',
//! user 'fake', total ignored: 2 out of 7 for stream: {...}
//! ```

use super::{entries, unpacked};
use crate::formats::body::Content;
use crate::formats::format::{Answered, Written};

/// What is said of an entry that alone is left out.
const OF_AN_ENTRY: [&str; 8] = [
    "entry too far behind",
    "entry out of order",
    "has timestamp too old",
    "has timestamp too new",
    "Max entry size",
    "max entry size",
    "has structured metadata too large",
    "has too many structured metadata labels",
];

const TOTAL: &str = "total ignored: ";
const LIKE: &str = " errors like: ";

/// What an answer says was written. One that speaks of no entry speaks of all.
pub fn written(_: &Content, answer: &Answered<'_>) -> Written {
    let text = String::from_utf8_lossy(answer.body);
    if answer.status != 400 || !OF_AN_ENTRY.iter().any(|words| text.contains(words)) {
        return Written::Unsaid;
    }
    let sent = unpacked(answer.sent).and_then(|message| Some(entries(&message)?.len() as u64));
    let Some(sent) = sent else { return Written::Unsaid };
    let lost = lost(&text);
    if lost >= sent { Written::Unsaid } else { Written::InPart(lost, text.trim().to_owned()) }
}

/// How many it speaks of; one at least.
fn lost(text: &str) -> u64 {
    let totals = text.match_indices(TOTAL).map(|(at, found)| number_in_front(&text[at + found.len()..]));
    let likes = text.match_indices(LIKE).map(|(at, _)| number_at_end(&text[..at]));
    let told = totals.chain(likes).fold(0, u64::saturating_add);
    // Each is told by itself where the total was cut off, or there is one alone.
    let each: usize = OF_AN_ENTRY.iter().map(|words| text.matches(words).count()).sum();
    if told > 0 { told } else { each as u64 }
}

fn number_in_front(text: &str) -> u64 {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

fn number_at_end(text: &str) -> u64 {
    let begin = text.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    // What is not a digit may have more bytes than one.
    text.get(begin..).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::body::content;
    use crate::formats::loki::{pack, write_stream};

    /// What it says of a request with these many entries.
    fn of(sent: usize, status: u16, body: &str) -> Written {
        let mut message = Vec::new();
        write_stream("{host=\"h\"}", &vec![&b""[..]; sent], &mut message);
        let sent = pack(&(message, sent as u64)).bytes;
        written(&content(&[]), &Answered { status, header: &|_| None, body: body.as_bytes(), sent: &sent })
    }

    #[test]
    fn entries_that_are_left_out_are_counted() {
        let behind = "entry with timestamp 2023-11-14 22:13:20 +0000 UTC ignored, reason: 'entry too far behind, entry \
                      timestamp is: 2023-11-14T22:13:20Z, oldest acceptable timestamp is: 2023-11-15T00:00:00Z',\n";
        let total = "user 'fake', total ignored: 2 out of 7 for stream: {host=\"h\"}\n";
        let old = "entry for stream '{host=\"h\"}' has timestamp too old: 2023-11-14T22:13:20Z, oldest acceptable \
                   timestamp is: 2023-11-20T22:13:20Z";
        let new = "entry for stream '{é=\"h\"}' has timestamp too new: 2099-11-14T22:13:20Z";
        let order = "entry with timestamp 1 ignored, reason: 'entry out of order' for stream: {host=\"h\"},\ntotal \
                     ignored: 1 out of 7";
        for (body, lost) in [
            (format!("{behind}{behind}{total}"), 2),
            (format!("{behind}{behind}{behind}"), 3),
            (old.to_owned(), 1),
            (new.to_owned(), 1),
            (format!("3 errors like: {old}; 1 errors like: {new}"), 4),
            (order.to_owned(), 1),
            ("é errors like: has timestamp too old".to_owned(), 1),
        ] {
            assert_eq!(of(7, 400, &body), Written::InPart(lost, body.trim().to_owned()), "{body}");
        }
    }

    #[test]
    fn an_answer_that_speaks_of_no_part_speaks_of_all() {
        let old = "2 errors like: entry for stream '{host=\"h\"}' has timestamp too old: x";
        assert_eq!(of(2, 400, old), Written::Unsaid, "it was all of them");
        assert_eq!(
            of(7, 400, &old.replace('2', "99999999999999999999 errors like: 18446744073709551615")),
            Written::Unsaid
        );
        assert_eq!(of(7, 429, old), Written::Unsaid);
        assert_eq!(of(7, 204, old), Written::Unsaid);
        for body in ["", "error at least one label pair is required per stream", "{\"status\":\"error\"}", "<html>"] {
            assert_eq!(of(7, 400, body), Written::Unsaid, "{body}");
        }
        let answer = Answered { status: 400, header: &|_| None, body: old.as_bytes(), sent: b"damaged" };
        assert_eq!(written(&content(&[]), &answer), Written::Unsaid);
    }
}
