//! What an answer says to people.

use ureq::http::StatusCode;

use super::page::readable;

/// What the body of an answer says, as far as it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    #[default]
    Nothing,
    /// This, in one line.
    Words(String),
    /// Something that is not shown: credentials went with the request, and servers quote them.
    Hidden,
}

/// What stands in place of what is not shown.
const NOT_SHOWN: &str = "(its text is not shown: credentials went with the request)";

impl Said {
    /// What follows the word that something was answered: `: WORDS`, or why there are none.
    pub fn suffix(&self) -> String {
        match self {
            Said::Nothing => String::new(),
            Said::Words(words) => format!(": {words}"),
            Said::Hidden => format!(" {NOT_SHOWN}"),
        }
    }

    /// Of the beginning of a body, at most `length` bytes of what it says.
    pub fn of(body: &[u8], is_hidden: bool, length: usize) -> Said {
        match readable(&String::from_utf8_lossy(body)) {
            words if words.is_empty() => Said::Nothing,
            _ if is_hidden => Said::Hidden,
            mut words => {
                let mut end = words.len().min(length);
                while !words.is_char_boundary(end) {
                    end -= 1;
                }
                words.truncate(end);
                Said::Words(words)
            }
        }
    }
}

/// The status with its word, and what was said with it.
pub fn answered(status: u16, said: &Said) -> String {
    let word = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let status = word.map_or(status.to_string(), |word| format!("{status} {word}"));
    let said = match said {
        // Pages say it once more.
        Said::Words(words) => {
            let rest = words.strip_prefix(&*status).or_else(|| words.strip_prefix(word?)).unwrap_or(words);
            match rest.trim().trim_end_matches('.') {
                "" => Said::Nothing,
                rest => Said::Words(rest.to_owned()),
            }
        }
        said => said.clone(),
    };
    format!("answered {status}{}", said.suffix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_one_line_without_the_status_twice() {
        for (status, body, line) in [
            (400, "out of\norder.", "answered 400 Bad Request: out of order"),
            (403, "403 Forbidden", "answered 403 Forbidden"),
            (500, " \r\n", "answered 500 Internal Server Error"),
            (999, "odd", "answered 999: odd"),
        ] {
            assert_eq!(answered(status, &Said::of(body.as_bytes(), false, 100)), line);
        }
        assert_eq!(Said::of("ééé".as_bytes(), false, 3), Said::Words("é".to_owned()));
    }

    #[test]
    fn where_credentials_went_along_nothing_is_said_but_that() {
        let line = "answered 401 Unauthorized (its text is not shown: credentials went with the request)";
        assert_eq!(answered(401, &Said::of(b"bad token s3cr3t", true, 100)), line);
        assert_eq!(answered(401, &Said::of(b"", true, 100)), "answered 401 Unauthorized");
    }
}
