//! Which proxy stands between us and a URL: `proxy_url`, or what the environment says.

use std::net::IpAddr;

use super::checked::{checked_url, is_local};
use super::url::Url;
use crate::fields::{Fault, Notes};

/// By scheme; the first that is set counts, small letters first as with curl.
const HTTPS: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const HTTP: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
/// Of any scheme that has none of its own.
const ALL: [&str; 2] = ["all_proxy", "ALL_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// A look into the environment: the value of a variable, if it is set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What `proxy_url` says.
#[derive(Clone, Default)]
pub enum ProxyUrl {
    /// Nothing: the environment's count.
    #[default]
    NotGiven,
    /// An empty string: none, whatever the environment says.
    Direct,
    /// A proxy.
    Proxy(Url),
}

impl ProxyUrl {
    /// Reads what was written.
    pub fn new(text: &str) -> Result<ProxyUrl, Fault> {
        if text.is_empty() { Ok(ProxyUrl::Direct) } else { proxy(text).map(ProxyUrl::Proxy) }
    }

    /// The proxy on the way to `url`, if there is one. Notes are of the object that `proxy_url` is in.
    pub fn for_url(&self, url: &Url, env: Env<'_>, notes: &mut Notes) -> Option<Url> {
        match self {
            ProxyUrl::Proxy(proxy) => Some(proxy.clone()),
            ProxyUrl::Direct => None,
            ProxyUrl::NotGiven => of_environment(url, env, notes),
        }
    }
}

fn of_environment(url: &Url, env: Env<'_>, notes: &mut Notes) -> Option<Url> {
    let set = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some((name, env(name).filter(|value| !value.is_empty())?)))
    };
    let (name, value) = set(if url.is_https() { HTTPS } else { HTTP }).or_else(|| set(ALL))?;
    // No proxy would lead to this machine, and Go's programs do not ask one.
    if is_local(url) || set(NO_PROXY).is_some_and(|(_, list)| is_exempt(&list, url)) {
        return None;
    }
    // Without a scheme is how these are written often, and an HTTP proxy is meant.
    let value = if value.contains("://") { value } else { format!("http://{value}") };
    match proxy(&value) {
        Ok(url) => Some(url),
        Err(why) => {
            let why = why.message("its value", |_, _| String::new());
            notes.problem_of_variable("proxy_url", name, format!("{why}; proxy_url \"\" goes without a proxy"));
            None
        }
    }
}

fn proxy(text: &str) -> Result<Url, Fault> {
    let url = checked_url(text)?;
    let (_, rest) = url.as_str().split_once("://").unwrap_or_default();
    match rest.find(['/', '?']).map_or("", |at| &rest[at..]) {
        "" | "/" => Ok(url),
        _ => Err(Fault::quoting("").after(" has a path, which no proxy has; it ends with the port")),
    }
}

/// Whether `url` is in a list such as `localhost,.internal,10.0.0.0/8,h:8080`.
fn is_exempt(list: &str, url: &Url) -> bool {
    let host = url.host().trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return address.is_some_and(|address| is_within(address, network, bits));
        }
        let (name, port) = split_port(entry);
        if port.is_some_and(|port| port != url.port()) {
            return false;
        }
        if let Some(address) = address {
            return name.parse() == Ok(address);
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        match name.strip_prefix("*.").or(name.strip_prefix('.')) {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => host.strip_suffix(&name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    })
}

/// An entry's name or address, and its port if it has one.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, after)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, after.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, port.parse().ok()),
        _ => (entry, None),
    }
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32_u32.saturating_sub(bits);
            let prefix = |address: u32| u64::from(address) >> shift;
            bits <= 32 && prefix(address.to_bits()) == prefix(network.to_bits())
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let prefix = |address: u128| address.checked_shr(128_u32.saturating_sub(bits)).unwrap_or(0);
            bits <= 128 && prefix(address.to_bits()) == prefix(network.to_bits())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemptions_are_names_domains_addresses_networks_and_ports() {
        for (list, url, exempt) in [
            ("*", "http://h/", true),
            ("", "http://h/", false),
            ("example.com", "http://example.com/", true),
            ("example.com", "http://EXAMPLE.com./", true),
            ("example.com", "http://a.example.com/", true),
            ("example.com", "http://badexample.com/", false),
            (".example.com", "http://a.example.com/", true),
            (".example.com", "http://example.com/", false),
            ("*.example.com", "http://a.b.example.com/", true),
            ("a, b  c", "http://c/", true),
            ("h:8080", "http://h:8080/", true),
            ("h:8080", "http://h/", false),
            ("h:443", "https://h/", true),
            ("10.1.2.3", "http://10.1.2.3:9/", true),
            ("10.1.2.3", "http://10.1.2.30/", false),
            ("10.0.0.0/8", "http://10.255.0.1/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("0.0.0.0/0", "http://11.0.0.1/", true),
            ("10.0.0.0/33", "http://10.0.0.1/", false),
            ("10.0.0.0/8", "http://ten.example/", false),
            ("fd00::/8", "http://[fd12::1]/", true),
            ("::/0", "http://[fd12::1]/", true),
            ("fd00::/8", "http://[fe80::1]/", false),
            ("::1", "http://[::1]/", true),
            ("[fd00::1]:80", "http://[fd00::1]/", true),
            ("10.0.0.0/x,h", "http://h/", true),
        ] {
            assert_eq!(is_exempt(list, &Url::from(url)), exempt, "{list:?} {url}");
        }
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        for good in ["http://p:3128", "https://u:p@p/", "http://[::1]:8080"] {
            assert!(proxy(good).is_ok(), "{good}");
        }
        for (bad, why) in [("socks5://p:1080", "unknown scheme"), ("http://p/x", "a path"), ("p:3128", "no scheme")] {
            let said = proxy(bad).unwrap_err().message(bad, |_, _| String::new());
            assert!(said.contains(why), "{said}");
        }
    }
}
