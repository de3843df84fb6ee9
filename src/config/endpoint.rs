//! Where a destination is: URLs and file paths, checked.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use ureq::http::Uri;

use super::section::Item;
use super::server::is_loopback;
use crate::http::{Url, percent_decoded};

/// An `http://` or `https://` URL.
pub(super) fn http_url(item: &Item<'_>) -> Option<Url> {
    checked(item, http(&item.text()?)).map(Url::new)
}

/// Notes that what is shown to `url` on the way in can be read on the way, if it can.
pub(super) fn warn_of_clear_text(item: &Item<'_>, url: &Url) {
    if !url.is_https() && !is_loopback(url.host()) {
        item.warning("credentials pass over the network in the clear; write https://");
    }
}

/// A path, or a `file://` URL of one.
pub(super) fn file_path(item: &Item<'_>) -> Option<PathBuf> {
    checked(item, file(&item.text()?))
}

fn checked<T>(item: &Item<'_>, result: Result<T, String>) -> Option<T> {
    result.map_err(|why| item.problem(format!("{} {why}", item.described()))).ok()
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
    // Digits only: a number may also begin with a plus.
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    if !port.is_none_or(is_port) {
        return Err("has a bad port; expected 1 to 65535".to_owned());
    }
    let url = format!("{scheme}://{rest}");
    match Uri::try_from(url.as_str()) {
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
    if address.parse::<Ipv6Addr>().is_err() {
        return Err("has no IPv6 address in its brackets".to_owned());
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((address, Some(port))),
        None if after.is_empty() => Ok((address, None)),
        None => Err("has something other than a port after its host".to_owned()),
    }
}

fn file(text: &str) -> Result<PathBuf, String> {
    let path = match text.split_once("://") {
        None => PathBuf::from(text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err("names another host; a file URL has three slashes: file:///var/lib/x".to_owned());
            }
            PathBuf::from(percent_decoded(path).ok_or("has a % that does not begin an escape such as %20")?)
        }
        Some(_) => return Err("is no file; expected a path or a file:// URL".to_owned()),
    };
    let text = path.as_os_str().as_encoded_bytes();
    if text.is_empty() {
        return Err("is no path".to_owned());
    }
    if text.contains(&0) {
        return Err("holds a NUL, which no path can".to_owned());
    }
    if text.ends_with(b"/") || text.ends_with(b"/.") || text.ends_with(b"..") || is_directory(&path) {
        return Err("is a directory; name a file in it".to_owned());
    }
    Ok(path)
}

fn is_directory(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_dir())
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
            ("http://h:0/", "bad port"),
            ("http://h:70000/", "bad port"),
            ("http://h:/", "bad port"),
            ("http://h:+80/", "bad port"),
            ("http://h:http/", "bad port"),
            ("http://::1/", "brackets"),
            ("http://[::1/", "["),
            ("http://[x]/", "IPv6"),
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
    fn files_are_paths_or_file_urls() {
        for (text, path) in [
            ("/var/lib/m.jsonl", "/var/lib/m.jsonl"),
            ("out.jsonl", "out.jsonl"),
            ("file:///var/a%20b", "/var/a b"),
            ("file://localhost/x", "/x"),
            ("FILE:///x", "/x"),
        ] {
            assert_eq!(file(text), Ok(PathBuf::from(path)), "{text}");
        }
        for text in ["", "file://", "file://host/x", "http://h/x", "/tmp", "/x/", "..", "file:///a%2", "/a\0b"] {
            assert!(file(text).is_err(), "{text}");
        }
    }
}
