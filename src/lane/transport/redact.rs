//! What a peer says, without the secrets that we told it: some quote the whole request.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::lane::url::{percent_decoded, percent_encoded};

/// Shorter ones are not looked for: they would be found everywhere, and where they are
/// missing they would show.
const MIN_SECRET: usize = 4;

/// Texts that must not be quoted.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first.
    hidden: Vec<String>,
}

impl Redactor {
    /// Hides `secret`, as it is and as it is written in URLs, in JSON and in base64.
    pub fn hide(&mut self, secret: &str) {
        if secret.len() < MIN_SECRET {
            return;
        }
        let json = serde_json::to_string(secret).unwrap_or_default();
        let escaped = percent_encoded(secret);
        let forms = [
            // Base64's own padding may be missing where it is quoted.
            secret.trim_end_matches('=').to_owned(),
            json.trim_matches('"').to_owned(),
            escaped.replace("%20", "+"),
            escaped.to_ascii_lowercase(),
            escaped,
            STANDARD_NO_PAD.encode(secret),
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
        self.hidden.first().map_or(0, String::len)
    }

    /// The first `length` bytes of `text`, or a few less, with `<secret>` for each secret that
    /// begins there.
    pub fn redact(&self, text: &str, length: usize) -> String {
        let mut shown = String::with_capacity(text.len().min(length));
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let at = text.len() - rest.len();
            if at + c.len_utf8() > length {
                break;
            }
            let step = match self.hidden.iter().find(|form| rest.starts_with(form.as_str())) {
                Some(form) => {
                    shown.push_str("<secret>");
                    form.len()
                }
                None => {
                    shown.push(c);
                    c.len_utf8()
                }
            };
            rest = &rest[step..];
        }
        shown
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
        redactor.hide("pa\"ss/word");
        for quoted in ["pa\"ss/word", "pa\\\"ss/word", "pa%22ss%2Fword", "pa%22ss%2fword", "cGEic3Mvd29yZA=="] {
            let shown = redactor.redact(&format!("got {quoted}."), 100);
            assert!(shown.starts_with("got <secret>") && shown.ends_with('.'), "{shown}");
        }
        redactor.hide_query("db=metrics&token=t%6Fken1");
        assert_eq!(redactor.redact("token1 t%6Fken1 db", 100), "<secret> <secret> db");
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
        assert!(redactor.longest() >= 10);
    }
}
