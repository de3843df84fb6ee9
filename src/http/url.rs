//! A URL that cannot be printed with the credentials in it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::secret::Secret;

/// A URL as it is requested. `Display` and `Debug` print it without user info and query,
/// so that no log line, error or page can give a password away by accident. Clones share the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Arc<str>);

impl Url {
    /// Wraps `url`; whether it is a URL is for the configuration to check.
    pub fn new(url: impl Into<String>) -> Url {
        Url(url.into().into())
    }

    /// Whether it is spoken to over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Of `unix:///path/of.sock:/path?query`, the socket's path and what is asked for there,
    /// `/` where nothing is said. None for other URLs.
    pub fn split_socket(&self) -> Option<(&str, &str)> {
        let rest = self.0.strip_prefix("unix://")?;
        Some(rest.find(":/").map_or((rest, "/"), |at| (&rest[..at], &rest[at + 1..])))
    }

    /// The URL without its user info, and that: what may stand before the host's `@`.
    pub fn split_user_info(&self) -> (Url, Option<&str>) {
        let (scheme, rest) = split_scheme(&self.0);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        match authority.rfind('@') {
            Some(at) => (Url::new(format!("{scheme}{}", &rest[at + 1..])), Some(&rest[..at])),
            None => (self.clone(), None),
        }
    }

    /// The same, with what stood before the `@` as the secret that it may be.
    pub fn into_parts(self) -> (Url, Option<Secret>) {
        let (url, user_info) = self.split_user_info();
        (url, user_info.map(Secret::new))
    }

    /// Host and port as they stand in the URL, the user info left out; `host` and `[::1]:80`.
    pub fn authority(&self) -> &str {
        let (_, rest) = split_scheme(&self.0);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    /// The host, an IPv6 address without its brackets and its zone.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        match authority.strip_prefix('[').and_then(|address| address.split_once(']')) {
            Some((address, _)) => address.split_once('%').map_or(address, |(address, _)| address),
            None => authority.split(':').next().unwrap_or_default(),
        }
    }

    /// The zone of an IPv6 address: an interface's name or number.
    pub fn zone(&self) -> Option<&str> {
        zone_of(&self.0).map(|(_, zone)| zone)
    }

    /// The whole of it as it goes over the wire: a zone means something on this machine alone
    /// (RFC 6874, section 4).
    pub fn without_zone(&self) -> Cow<'_, str> {
        without_zone(&self.0)
    }

    /// The port, the scheme's where none is written.
    pub fn port(&self) -> u16 {
        let written = self.authority().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        written.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Another path, with its query, at the same server; it begins with `/`.
    pub fn at(&self, path: &str) -> Url {
        let (scheme, rest) = split_scheme(&self.0);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        Url::new(format!("{scheme}{authority}{path}"))
    }

    /// Its path, from the first `/` behind the host; empty where there is none.
    pub fn path(&self) -> &str {
        let (_, rest) = split_scheme(&self.0);
        let rest = rest.split('?').next().unwrap_or_default();
        rest.find('/').map_or("", |at| &rest[at..])
    }

    /// Another path at the same server, and as the same user, with the same query; it begins with `/`.
    pub fn with_path(&self, path: &str) -> Url {
        let (scheme, rest) = split_scheme(&self.0);
        let (place, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
        let authority = place.split('/').next().unwrap_or_default();
        Url::new(format!("{scheme}{authority}{path}{query}"))
    }

    /// The same with more parameters of the query behind those that it has; none where they are empty.
    pub fn with_parameters(self, parameters: &str) -> Url {
        if parameters.is_empty() {
            return self;
        }
        let between = match self.query() {
            "" if self.0.ends_with('?') => "",
            "" => "?",
            _ => "&",
        };
        Url::new(format!("{}{between}{parameters}", self.0))
    }

    /// What stands after the first `?`; empty where there is none.
    pub fn query(&self) -> &str {
        self.0.split_once('?').map_or("", |(_, query)| query)
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
        Url::new(url)
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

/// `%20` and its like as characters; none where an escape is torn or the result is not UTF-8.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).ok()
}

/// `text` with everything but RFC 3986's unreserved characters escaped.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
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

/// Of `http://[fe80::1%25eth0]/` where the zone stands with its mark, and the zone. Its `%` is
/// escaped as RFC 6874 has it, or as people write it.
fn zone_of(url: &str) -> Option<(Range<usize>, &str)> {
    let (scheme, rest) = split_scheme(url);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let address = authority[host..].strip_prefix('[')?.split(']').next()?;
    let (before, zone) = address.split_once('%')?;
    let start = scheme.len() + host + 1 + before.len();
    let bare = zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone);
    Some((start..start + 1 + zone.len(), bare))
}

/// `url` without the zone of its address.
pub(super) fn without_zone(url: &str) -> Cow<'_, str> {
    match zone_of(url) {
        Some((place, _)) => Cow::Owned(format!("{}{}", &url[..place.start], &url[place.end..])),
        None => Cow::Borrowed(url),
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
    fn parts_are_what_stands_between_the_marks() {
        for (url, bare, user_info, host, port) in [
            ("http://h:9090/a?b@c", "http://h:9090/a?b@c", None, "h", 9090),
            ("https://u:p@h/x", "https://h/x", Some("u:p"), "h", 443),
            ("http://u:p@ss@h", "http://h", Some("u:p@ss"), "h", 80),
            ("http://u@[::1]:8080/", "http://[::1]:8080/", Some("u"), "::1", 8080),
            ("http://[::1]", "http://[::1]", None, "::1", 80),
        ] {
            let url = Url::new(url);
            assert_eq!(url.split_user_info(), (Url::new(bare), user_info));
            assert_eq!((url.host(), url.port()), (host, port));
        }
    }

    #[test]
    fn the_zone_of_an_address_stays_here() {
        for (url, zone, bare) in [
            ("http://[fe80::1%25eth0]:9090/a%20b", Some("eth0"), "http://[fe80::1]:9090/a%20b"),
            ("http://[fe80::1%eth0]/", Some("eth0"), "http://[fe80::1]/"),
            ("https://u:p%40@[fe80::1%252]", Some("2"), "https://u:p%40@[fe80::1]"),
            ("http://[fe80::1%25]/", Some("25"), "http://[fe80::1]/"),
            ("http://[fe80::1]/a%25b", None, "http://[fe80::1]/a%25b"),
            ("http://h/[x%25y]", None, "http://h/[x%25y]"),
        ] {
            let url = Url::new(url);
            assert_eq!((url.zone(), &*url.without_zone()), (zone, bare), "{url}");
            assert!(!url.host().contains('%'), "{url}");
        }
    }

    #[test]
    fn a_socket_and_what_is_asked_for_there_stand_apart() {
        for (url, parts) in [
            ("unix:///run/a.sock:/metrics?x=1", Some(("/run/a.sock", "/metrics?x=1"))),
            ("unix:///run/a.sock:/probe?at=http://h:1/", Some(("/run/a.sock", "/probe?at=http://h:1/"))),
            ("unix:///run/a:b.sock:/", Some(("/run/a:b.sock", "/"))),
            ("unix:///run/a.sock", Some(("/run/a.sock", "/"))),
            ("http://h/a:/b", None),
        ] {
            assert_eq!(Url::new(url).split_socket(), parts, "{url}");
        }
        let url = Url::new("unix:///run/a@b.sock:/metrics?token=secret");
        assert_eq!(url.to_string(), "unix:///run/a@b.sock:/metrics?***");
        assert_eq!((url.split_user_info().1, url.query()), (None, "token=secret"));
    }

    #[test]
    fn escapes_go_both_ways() {
        assert_eq!(percent_encoded("a b/ü~"), "a%20b%2F%C3%BC~");
        assert_eq!(percent_decoded("a%20b%2f%C3%BC~").as_deref(), Some("a b/ü~"));
        for torn in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(percent_decoded(torn), None, "{torn}");
        }
    }

    #[test]
    fn neither_display_nor_debug_print_credentials() {
        let url = Url::new("http://u:secret@h/x");
        assert_eq!(format!("{url} {url:?}"), "http://***@h/x \"http://***@h/x\"");
        assert_eq!(url.as_str(), "http://u:secret@h/x");
    }
}
