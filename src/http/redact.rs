//! What a peer says, without the secrets that we told it: some quote the whole request.
//!
//! A quotation may be escaped in many ways, and not every writer escapes the same characters.
//! So the quoted text is read as the ways of escaping have it, each byte with its place in the
//! original, and the secrets are looked for in what comes out.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::unescape::{self, View};
use crate::http::percent_decoded;

/// Shorter ones are not looked for: they would be found everywhere, and where they are
/// missing they would show.
const MIN_SECRET: usize = 4;

/// What a secret's byte takes in a quotation at most: `\u002f`, `&#x2f;`.
const ESCAPED: usize = 6;

/// Escapes within escapes: HTML around JSON around a URL's.
const DEPTH: usize = 3;

/// Readings of one text: more than real answers have.
const MAX_VIEWS: usize = 24;

/// Texts that must not be quoted.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first.
    hidden: Vec<String>,
}

impl Redactor {
    /// Hides `secret`, as it is and in base64, however either is escaped, in capitals or not.
    pub fn hide(&mut self, secret: &str) {
        if secret.len() < MIN_SECRET {
            return;
        }
        let forms = [
            // Base64's own padding may be missing where it is quoted.
            secret.trim_end_matches('=').to_owned(),
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ];
        for form in forms {
            if form.len() >= MIN_SECRET && !self.hidden.contains(&form) {
                self.hidden.push(form);
            }
        }
        self.hidden.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// Hides what a query says: tokens stand there in the field.
    pub fn hide_query(&mut self, query: &str) {
        for parameter in query.split('&') {
            let value = parameter.split_once('=').map_or(parameter, |(_, value)| value);
            self.hide(value);
            percent_decoded(value).inspect(|value| self.hide(value));
        }
    }

    /// How far beyond a cut one has to read so that no secret is cut in two.
    pub fn longest(&self) -> usize {
        ESCAPED * self.hidden.first().map_or(0, String::len)
    }

    /// The first `length` bytes of `text`, or a few less, with `<secret>` for each secret that
    /// begins there. What `text` ends with may be the beginning of one, and is taken for it.
    pub fn redact(&self, text: &str, length: usize) -> String {
        let mut shown = String::with_capacity(text.len().min(length));
        let mut spans = self.spans(text).into_iter().peekable();
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            if at + c.len_utf8() > length {
                break;
            }
            match spans.next_if(|(start, _)| *start <= at) {
                Some((_, end)) => {
                    shown.push_str("<secret>");
                    at = end;
                }
                None => {
                    shown.push(c);
                    at += c.len_utf8();
                }
            }
        }
        shown
    }

    /// Where secrets stand in `text`, in order, without an overlap.
    fn spans(&self, text: &str) -> Vec<(usize, usize)> {
        if self.hidden.is_empty() {
            return Vec::new();
        }
        let mut views = vec![View::of(text)];
        let mut begin = 0;
        for _ in 0..DEPTH {
            let end = views.len();
            for at in begin..end {
                for way in unescape::WAYS {
                    if let Some(view) = views[at].read(way).filter(|view| !views.contains(view)) {
                        views.push(view);
                    }
                }
            }
            begin = end;
            views.truncate(MAX_VIEWS);
        }
        let mut found = Vec::new();
        for view in &views {
            self.find(view, &mut found);
        }
        found.sort_unstable();
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match spans.last_mut() {
                Some((_, last)) if start < *last => *last = end.max(*last),
                _ => spans.push((start, end)),
            }
        }
        spans
    }

    fn find(&self, view: &View, found: &mut Vec<(usize, usize)>) {
        let bytes = view.bytes();
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            let begins = |form: &&String| {
                let form = form.as_bytes();
                // What follows is cut off, or is not known to be.
                let length = form.len().min(rest.len());
                (length == form.len() || length >= MIN_SECRET) && rest[..length].eq_ignore_ascii_case(&form[..length])
            };
            // The first byte tells most places off, at the cost of one look.
            if let Some(form) =
                self.hidden.iter().filter(|form| form.as_bytes()[0].eq_ignore_ascii_case(&rest[0])).find(begins)
            {
                found.push((view.place(at), view.place(at + form.len().min(rest.len()))));
            }
        }
    }
}

/// The value of `Authorization` for a user and its password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The user and the password of what stands before the `@` of a URL.
pub fn user_and_password(info: &str) -> (String, String) {
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    let plain = |text: &str| percent_decoded(text).unwrap_or_else(|| text.to_owned());
    (plain(user), plain(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_each_of_its_forms() {
        let mut redactor = Redactor::default();
        redactor.hide("Pa\"ss/Wörd");
        for quoted in [
            "Pa\"ss/Wörd",
            r#"Pa\"ss/Wörd"#,
            r#"Pa\"ss\/Wörd"#,
            r"Pa\u0022ss\u002fW\u00F6rd",
            r"\x50a\x22ss/Wörd",
            "Pa%22ss%2FW%C3%B6rd",
            "Pa%22ss%2fW%c3%b6rd",
            "Pa\"ss%2fWörd",
            "%50%61%22%73%73%2f%57%c3%b6%72%64",
            "Pa&quot;ss/Wörd",
            "Pa&#34;ss&#47;W&#xf6;rd",
            // One in the other: HTML of JSON, JSON of a URL, all three.
            r"Pa\&quot;ss/Wörd",
            r"Pa\u002522ss/Wörd",
            r"Pa\u0026quot;ss%2fWörd",
            "UGEic3MvV8O2cmQ=",
            "UGEic3MvV8O2cmQ%3D",
            "UGEic3MvV8O2cmQ",
        ] {
            let shown = redactor.redact(&format!("got {quoted}."), 100);
            assert!(shown.starts_with("got <secret>") && shown.ends_with('.'), "{shown}");
        }
        redactor.hide("two words+1");
        assert_eq!(redactor.redact("two+words%2B1, two%20words+1", 100), "<secret>, <secret>");
        redactor.hide_query("db=metrics&token=t%6Fken1");
        assert_eq!(redactor.redact("token1 t%6Fken1 db", 100), "<secret> <secret> db");
        // In small letters it would still tell too much.
        assert_eq!(redactor.redact("pa%22ss%2fwörd", 100), "<secret>");
        // Too short to be looked for.
        redactor.hide("ot");
        redactor.hide("=====");
        assert_eq!(redactor.redact("not", 100), "not");
    }

    #[test]
    fn no_cut_goes_through_a_secret() {
        let mut redactor = Redactor::default();
        redactor.hide("0123456789");
        let text = format!("{}0123456789 and more", "é".repeat(5));
        for length in 0..text.len() + 2 {
            let shown = redactor.redact(&text, length);
            assert!(!shown.contains('0'), "{length}: {shown}");
        }
        assert_eq!(redactor.redact(&text, 11), "ééééé<secret>");
        assert_eq!(redactor.redact(&text, 10), "ééééé");
        assert!(redactor.longest() >= 60);
        // Where the text itself ends within one.
        assert_eq!(redactor.redact("got 01234567", 100), "got <secret>");
        assert_eq!(redactor.redact("got &#48;&#49;&#50;34", 100), "got <secret>");
        assert_eq!(redactor.redact("got 012", 100), "got 012");
    }

    #[test]
    fn what_overlaps_is_hidden_as_a_whole() {
        let mut redactor = Redactor::default();
        redactor.hide("abcdef");
        redactor.hide("defghi");
        redactor.hide("bcde");
        assert_eq!(redactor.redact("-abcdefghi-", 100), "-<secret>-");
        assert_eq!(redactor.redact("-abcdefdefghi-", 100), "-<secret><secret>-");
    }

    #[test]
    fn a_large_answer_full_of_escapes_takes_no_time() {
        let mut redactor = Redactor::default();
        for secret in ["a", "b", "c", "d"] {
            redactor.hide(&secret.repeat(2000));
        }
        let text = "%25255c&amp;amp;\\u0026\\\\a+b".repeat(1000);
        let begun = std::time::Instant::now();
        redactor.redact(&text, 512);
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}
