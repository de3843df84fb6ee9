//! What an operator wrote as a URL: whether it is one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

use super::url::{Url, without_zone};
use crate::fields::Fault;

/// The `http://` or `https://` URL that `text` is.
pub fn checked_url(text: &str) -> Result<Url, Fault> {
    http(text).map(Url::new).map_err(|why| Fault::quoting("").after(format!(" {why}")))
}

/// The peer that `tcp://host:port` or `tls://host:port` names, as `http://host:port` or `https://host:port`; it listens
/// on `port` where none is written.
pub fn checked_tcp(text: &str, port: u16) -> Result<Url, Fault> {
    let refuse = |why: &str| Err(Fault::quoting("").after(format!(" {why}")));
    let Some((scheme, rest)) = text.split_once("://") else {
        return refuse("has no scheme; expected tcp://host:port or tls://host:port");
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "tcp" => "http",
        "tls" => "https",
        _ => return refuse("has an unknown scheme; use tcp:// or tls://"),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '@']) {
        return refuse("has more than a host and a port; expected tcp://host:port or tls://host:port");
    }
    let url = match http(&format!("{scheme}://{rest}")) {
        Ok(url) => Url::new(url),
        Err(why) => return refuse(&why),
    };
    let has_port = url.authority().rsplit_once(':').is_some_and(|(_, end)| !end.ends_with(']'));
    Ok(if has_port { url } else { Url::new(format!("{}:{port}", url.as_str())) })
}

/// The same, or a server behind a Unix socket: `unix:///path/of.sock:/path`.
pub fn checked_place(text: &str) -> Result<Url, Fault> {
    let Some(rest) = text.strip_prefix("unix://") else { return checked_url(text) };
    let url = Url::new(text);
    let refuse =
        |why: &str| Err(Fault::quoting("").after(format!(" {why}; it is written unix:///path/of.sock:/metrics")));
    match url.split_socket() {
        Some((socket, _)) if !socket.starts_with('/') => refuse("has no absolute path of a socket"),
        Some((socket, _)) if socket.len() > MAX_SOCKET_PATH => refuse("has a longer path than a socket can have"),
        Some((_, path)) if rest.contains('#') || Uri::try_from(path).is_err() => {
            refuse("has a bad path behind its socket")
        }
        _ => Ok(url),
    }
}

/// What the kernel takes (`sun_path`), its last byte being NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Whether what is shown to `url` on the way in can be read on the way.
pub fn is_in_the_clear(url: &Url) -> bool {
    !url.is_https() && !is_local(url)
}

/// Whether `url` is this machine's.
pub fn is_local(url: &Url) -> bool {
    let host = url.host();
    url.split_socket().is_some()
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The URL with its scheme in small letters, or what is wrong with it.
pub(super) fn http(url: &str) -> Result<String, String> {
    if url.is_empty() {
        return Err("is no URL; expected one such as http://host:9090/api/v1/write".to_owned());
    }
    let (scheme, rest) = url.split_once("://").ok_or("has no scheme; a URL begins with http:// or https://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !["http", "https"].contains(&scheme.as_str()) {
        return Err("has an unknown scheme; use http:// or https://".to_owned());
    }
    if rest.contains('#') {
        return Err("has a fragment (#), which is never sent; remove it, or write %23".to_owned());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_port(host_and_port)?;
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    // No name is made of these alone: it is an address with a mistake in it.
    let is_number = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("has a host that is neither an address nor a name".to_owned());
    }
    // Digits only: a number may also begin with a plus.
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    if !port.is_none_or(is_port) {
        return Err("has a bad port; expected 1 to 65535".to_owned());
    }
    let url = format!("{scheme}://{rest}");
    match Uri::try_from(&*without_zone(&url)) {
        Ok(_) => Ok(url),
        Err(error) => Err(format!("is not a valid URL: {error}")),
    }
}

/// Host and port. An IPv6 address stands in brackets, or its colons would be a port's.
fn split_port(host_and_port: &str) -> Result<(&str, Option<&str>), String> {
    let Some(bracketed) = host_and_port.strip_prefix('[') else {
        return match host_and_port.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                Err("has more than one colon in its host; an IPv6 address stands in brackets".to_owned())
            }
            Some((host, port)) => Ok((host, Some(port))),
            None => Ok((host_and_port, None)),
        };
    };
    let (address, after) = bracketed.split_once(']').ok_or("has a [ without a ] in its host")?;
    let (bare, zone) = address.split_once('%').unwrap_or((address, "-"));
    if bare.parse::<Ipv6Addr>().is_err() {
        return Err("has no IPv6 address in its brackets".to_owned());
    }
    // Those of interfaces' names that need no escape.
    if zone.is_empty() || !zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
        return Err("has a bad zone behind its IPv6 address; it is written [fe80::1%25eth0]".to_owned());
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((address, Some(port))),
        None if after.is_empty() => Ok((address, None)),
        None => Err("has something other than a port after its host".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_urls_pass_unchanged_but_for_the_scheme() {
        for url in [
            "http://127.0.0.1:9090/api/v1/write",
            "http://prometheus/api?x=1",
            "http://u:p@h:65535/",
            "http://[::1]:9090/",
            "http://[2001:db8::1]",
            "http://[fe80::1%25eth0]:9090/",
            "http://[fe80::1%eth0.5]/",
            "http://a_b.example",
            "https://h:443/x",
        ] {
            assert_eq!(http(url).as_deref(), Ok(url));
        }
        assert_eq!(http("HTTP://h/X").as_deref(), Ok("http://h/X"));
    }

    #[test]
    fn bad_urls_are_told_what_they_lack() {
        for (url, why) in [
            ("", "is no URL"),
            ("127.0.0.1:9090/api", "no scheme"),
            ("prometheus", "no scheme"),
            ("ftp://h/", "unknown scheme"),
            ("http://", "no host"),
            ("http:///path", "no host"),
            ("http://:9090/", "no host"),
            ("http://u:p@/", "no host"),
            ("http://999.1.1.1/", "neither an address nor a name"),
            ("http://10.0.0:9090/", "neither an address nor a name"),
            ("http://h:0/", "bad port"),
            ("http://h:70000/", "bad port"),
            ("http://h:/", "bad port"),
            ("http://h:+80/", "bad port"),
            ("http://h:http/", "bad port"),
            ("http://::1/", "brackets"),
            ("http://[::1/", "["),
            ("http://[x]/", "IPv6"),
            ("http://[x%25eth0]/", "no IPv6"),
            ("http://[fe80::1%]/", "bad zone"),
            ("http://[fe80::1%25e/h0]/", "["),
            ("http://[fe80::1%25e:h0]/", "bad zone"),
            ("http://[::1]9090/", "after its host"),
            ("http://h/#top", "fragment"),
            ("http://h/a b", "not a valid URL"),
            ("http://h h/", "not a valid URL"),
        ] {
            let error = http(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn a_peer_without_http_is_a_scheme_a_host_and_a_port() {
        for (text, url) in [
            ("tcp://h", "http://h:2003"),
            ("TCP://h:1/", "http://h:1"),
            ("tls://10.0.0.1:9", "https://10.0.0.1:9"),
            ("tcp://[::1]", "http://[::1]:2003"),
            ("tcp://[fe80::1%eth0]:7", "http://[fe80::1%eth0]:7"),
        ] {
            assert_eq!(checked_tcp(text, 2003).map(|url| url.as_str().to_owned()).ok().as_deref(), Some(url));
        }
        for text in ["", "h:2003", "http://h", "udp://h", "tcp://", "tcp://h:0", "tcp://u@h", "tcp://h/x", "tcp://h?x"]
        {
            assert!(checked_tcp(text, 2003).is_err(), "{text}");
        }
    }
}
