//! Which proxy stands between us and a URL: `proxy_url`, or what the environment says.

use std::net::IpAddr;

use super::endpoint;
use super::json::Origin;
use super::section::{Context, Section};
use crate::http::Url;

/// By scheme; the first that is set counts, small letters first as with curl.
const HTTPS: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const HTTP: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// What was said of proxies for one destination.
pub(super) struct Proxies<'v> {
    cx: &'v Context<'v>,
    path: super::problem::Path,
    given: Given,
}

enum Given {
    /// Nothing: the environment's count.
    Nothing,
    /// An empty string: none, whatever the environment says.
    Direct,
    Proxy(Url),
    /// A problem was noted.
    Refused,
}

impl<'v> Proxies<'v> {
    /// Reads `proxy_url` of `shipper`.
    pub fn read(shipper: &Section<'v>) -> Proxies<'v> {
        let given = match shipper.get("proxy_url") {
            None => Given::Nothing,
            Some(item) => match item.text() {
                Some(text) if text.is_empty() => Given::Direct,
                Some(text) => match proxy(&text) {
                    Ok(url) => Given::Proxy(url),
                    Err(why) => {
                        item.problem(format!("{} {why}", item.described()));
                        Given::Refused
                    }
                },
                None => Given::Refused,
            },
        };
        Proxies { cx: shipper.cx, path: shipper.path.key("proxy_url"), given }
    }

    /// Whether `proxy_url` names one.
    pub fn is_given(&self) -> bool {
        matches!(self.given, Given::Proxy(_))
    }

    /// The proxy on the way to `url`, if there is one.
    pub fn for_url(&self, url: &Url) -> Option<Url> {
        match &self.given {
            Given::Proxy(proxy) => Some(proxy.clone()),
            Given::Direct | Given::Refused => None,
            Given::Nothing => self.of_environment(url),
        }
    }

    fn of_environment(&self, url: &Url) -> Option<Url> {
        let set = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, (self.cx.env)(name).filter(|value| !value.is_empty())?)))
        };
        let (name, value) = set(if url.is_https() { HTTPS } else { HTTP })?;
        if is_local(url) || set(NO_PROXY).is_some_and(|(_, list)| is_exempt(&list, url)) {
            return None;
        }
        // Without a scheme is how these are written often, and an HTTP proxy is meant.
        let value = if value.contains("://") { value } else { format!("http://{value}") };
        match proxy(&value) {
            Ok(url) => Some(url),
            Err(why) => {
                let message = format!("its value {why}; proxy_url \"\" goes without a proxy");
                self.cx.problem(Origin::Variable(name), &self.path, message);
                None
            }
        }
    }
}

fn proxy(text: &str) -> Result<Url, String> {
    let url = Url::new(endpoint::http(text)?);
    let (_, rest) = url.as_str().split_once("://").unwrap_or_default();
    match rest.find(['/', '?']).map_or("", |at| &rest[at..]) {
        "" | "/" => Ok(url),
        _ => Err("has a path, which no proxy has; it ends with the port".to_owned()),
    }
}

/// Whether `url` is this machine's: no proxy would lead there, and Go's programs do not ask one.
fn is_local(url: &Url) -> bool {
    let host = url.host();
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
            assert!(proxy(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
