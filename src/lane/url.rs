//! A destination's URL that cannot be printed with the credentials in it.

use std::fmt;

/// A URL as it is requested. `Display` and `Debug` print it without user info and query,
/// so that no log line, error or page can give a password away by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// Wraps `url`; whether it is a URL is for the configuration to check.
    pub fn new(url: impl Into<String>) -> Url {
        Url(url.into())
    }

    /// Whether it is spoken to over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The whole of it, credentials included: for the transport, never for people.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Url {
    fn from(url: &str) -> Url {
        Url::new(url)
    }
}

impl From<String> for Url {
    fn from(url: String) -> Url {
        Url(url)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted_url(&self.0))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", redacted_url(&self.0))
    }
}

/// `url` with `***` for its user info and for its query, both of which hold credentials in
/// the field. Works on text that is not a valid URL too: it rather hides too much.
pub fn redacted_url(url: &str) -> String {
    let (before_query, query) = match url.find('?') {
        // A password may hold an unescaped `?`; a host after it shows that it was no query.
        Some(at) if !url[at..].contains('@') || has_plain_authority(&url[..at]) => (&url[..at], "?***"),
        _ => (url, ""),
    };
    let (scheme, rest) = split_scheme(before_query);
    let hidden = if has_plain_authority(before_query) { None } else { rest.rfind('@') };
    match hidden {
        Some(at) => format!("{scheme}***{}{query}", &rest[at..]),
        None => format!("{scheme}{rest}{query}"),
    }
}

/// `http://` and what follows; nothing and all of it where there is no scheme. What stands
/// in front of `://` is one only if it could be: credentials stand there in the field, too.
fn split_scheme(url: &str) -> (&str, &str) {
    let is_scheme = |at: &usize| url[..*at].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let after = url.find("://").filter(is_scheme).map_or(0, |at| at + "://".len());
    url.split_at(after)
}

/// Whether what stands before the path can only be a host and a port. `user:pa/ss@host` is
/// not: its "port" is the beginning of a password.
fn has_plain_authority(url: &str) -> bool {
    let (_, rest) = split_scheme(url);
    let authority = rest.split('/').next().unwrap_or_default();
    let after_host = match authority.strip_prefix('[').and_then(|address| address.split_once(']')) {
        Some((_, after)) => after,
        None => authority.find(':').map_or("", |at| &authority[at..]),
    };
    // An empty port is more likely that of `http:` in front of `//`: a scheme written twice.
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    !authority.contains('@') && (after_host.is_empty() || after_host.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_and_query_are_hidden() {
        for (url, shown) in [
            ("http://h:9090/api/v1/write", "http://h:9090/api/v1/write"),
            ("http://u:p@h:9090/api?x=1", "http://***@h:9090/api?***"),
            ("http://token@h/", "http://***@h/"),
            ("http://[::1]:9090/a", "http://[::1]:9090/a"),
            ("http://u:p@[::1]:9090/a", "http://***@[::1]:9090/a"),
            ("http://h/team@home", "http://h/team@home"),
            ("http://h:80/a?p=se@cret", "http://h:80/a?***"),
            ("http://h/a?p=x@y", "http://h/a?***"),
        ] {
            assert_eq!(redacted_url(url), shown);
        }
    }

    #[test]
    fn what_is_no_valid_url_still_keeps_its_secret() {
        for url in [
            "u:secret@h:9090",
            "http://u:sec/ret@h",
            "http://u:sec?ret@h",
            "u:secret@",
            "http://u:secret@",
            "u:secret@http://h",
            "http ://u:secret@h",
            "http://u:sec]ret/@h",
            "http://http://u:secret@h/x",
            "u:secret@http://u:secret@h/x",
        ] {
            let shown = redacted_url(url);
            assert!(!shown.contains("sec") && !shown.contains("ret"), "{shown}");
        }
    }

    #[test]
    fn neither_display_nor_debug_print_credentials() {
        let url = Url::new("http://u:secret@h/x");
        assert_eq!(format!("{url} {url:?}"), "http://***@h/x \"http://***@h/x\"");
        assert_eq!(url.as_str(), "http://u:secret@h/x");
    }
}
