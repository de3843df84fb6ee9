//! Versions and cipher suites by the names that configurations hold.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

/// A version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// Both, the older one first.
    pub const ALL: [Version; 2] = [Version::Tls12, Version::Tls13];

    fn of_rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Version::Tls12 => &rustls::version::TLS12,
            Version::Tls13 => &rustls::version::TLS13,
        }
    }
}

/// Every name of a version, in order; what stands before `TLS1.2` is not offered any more.
pub const VERSIONS: [&str; 4] = ["TLS1.0", "TLS1.1", "TLS1.2", "TLS1.3"];

/// Suites of TLS 1.3.
pub const SUITES_13: [&str; 3] = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Suites of TLS 1.2.
pub const SUITES_12: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Weak suites that configurations in the field still name. No library worth using has them.
/// Those of the first metricsd's library, all of them.
pub const OLD_SUITES: [&str; 16] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_RC4_128_SHA",
];

/// The suite that is meant by `name`: Go has a second name for two, from before they were
/// registered.
pub fn canonical(name: &str) -> &str {
    SUITES_12
        .into_iter()
        .find(|suite| name.ends_with("_POLY1305") && suite.strip_suffix("_SHA256") == Some(name))
        .unwrap_or(name)
}

/// The suite that OpenSSL, and servers that are configured in its terms, call `name`.
pub fn of_openssl(name: &str) -> Option<&'static str> {
    let mut all = SUITES_12.into_iter().chain(OLD_SUITES);
    all.find(|suite| openssl_name(suite).eq_ignore_ascii_case(name))
}

/// `ECDHE-RSA-AES128-GCM-SHA256` of `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`. For TLS 1.3
/// OpenSSL has the registry's names; of older suites it leaves out what it takes for granted.
fn openssl_name(suite: &str) -> String {
    let name = suite.trim_start_matches("TLS_").trim_start_matches("RSA_WITH_").replace("_WITH", "");
    let name = name.replace("AES_", "AES").replace("RC4_128", "RC4").replace("_CBC", "");
    let name = name.replace("3DES_EDE", "DES_CBC3").replace("POLY1305_SHA256", "POLY1305");
    name.replace('_', "-")
}

/// The versions from `min` to `max`, as rustls has them.
pub(super) fn versions(min: Version, max: Version) -> Vec<&'static SupportedProtocolVersion> {
    Version::ALL.into_iter().filter(|version| (min..=max).contains(version)).map(Version::of_rustls).collect()
}

/// The cryptography of the versions from `min` to `max`, offering `suites` in their order; none
/// named: all, in the library's. Of TLS 1.3 all stay where none of its own is named: in the
/// field such a list speaks of TLS 1.2, whose suites alone could be chosen once.
pub(super) fn provider(suites: &[String], min: Version, max: Version) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| (min..=max).contains(&version_of(suite)));
    if !suites.is_empty() {
        let all = std::mem::take(&mut provider.cipher_suites);
        let named = |name: &String| all.iter().find(|suite| iana_name(suite.suite()) == *name).copied();
        let named: Vec<_> = suites.iter().filter_map(named).collect();
        let is_13 = |suite: &&SupportedCipherSuite| version_of(suite) == Version::Tls13;
        if !named.iter().any(|suite| is_13(&suite)) {
            provider.cipher_suites = all.iter().filter(is_13).copied().collect();
        }
        provider.cipher_suites.extend(named);
    }
    Arc::new(provider)
}

fn version_of(suite: &SupportedCipherSuite) -> Version {
    if suite.tls13().is_some() { Version::Tls13 } else { Version::Tls12 }
}

/// rustls writes `TLS13_` where the registry has `TLS_`.
fn iana_name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
mod tests {
    use super::Version::{Tls12, Tls13};
    use super::*;

    fn offered(suites: &[&str], min: Version, max: Version) -> Vec<String> {
        let suites: Vec<String> = suites.iter().map(|name| (*name).to_owned()).collect();
        provider(&suites, min, max).cipher_suites.iter().map(|suite| iana_name(suite.suite())).collect()
    }

    #[test]
    fn every_name_is_a_suite_and_every_suite_has_a_name() {
        let names: Vec<&str> = SUITES_13.into_iter().chain(SUITES_12).collect();
        assert_eq!(offered(&names, Tls12, Tls13), names);
        assert_eq!(offered(&[], Tls12, Tls13).len(), names.len());
    }

    #[test]
    fn a_list_without_a_suite_of_tls_1_3_says_nothing_of_it() {
        let old = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        // The library's order.
        assert_eq!(offered(&[old], Tls12, Tls13), [SUITES_13[1], SUITES_13[0], SUITES_13[2], old]);
        assert_eq!(offered(&[old], Tls12, Tls12), [old]);
        assert_eq!(offered(&[old, SUITES_13[2]], Tls12, Tls13), [old, SUITES_13[2]]);
        // One of 1.3 alone leaves 1.2 out.
        assert_eq!(offered(&[SUITES_13[0]], Tls12, Tls13), [SUITES_13[0]]);
    }

    #[test]
    fn what_is_not_of_the_versions_is_not_offered() {
        assert_eq!(offered(&[], Tls12, Tls12).len(), SUITES_12.len());
        assert_eq!(offered(&[], Tls13, Tls13).len(), SUITES_13.len());
    }

    #[test]
    fn suites_are_known_by_the_names_of_openssl() {
        // By `openssl ciphers -stdname`.
        for (openssl, iana) in [
            ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            ("ecdhe-ecdsa-aes256-gcm-sha384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
            ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
            ("ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
            ("ECDHE-ECDSA-AES128-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
            ("AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"),
            ("AES128-SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA256"),
            ("AES256-GCM-SHA384", "TLS_RSA_WITH_AES_256_GCM_SHA384"),
            ("DES-CBC3-SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
            ("ECDHE-RSA-DES-CBC3-SHA", "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
            ("ECDHE-ECDSA-RC4-SHA", "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
        ] {
            assert_eq!(of_openssl(openssl), Some(iana));
        }
        assert_eq!(of_openssl("DHE-RSA-AES128-SHA"), None);
    }

    #[test]
    fn go_has_a_second_name_for_two_suites() {
        for (go, iana) in [
            ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
            ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
            // Others have theirs alone.
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM", "TLS_ECDHE_RSA_WITH_AES_128_GCM"),
            ("TLS_CHACHA20_POLY1305", "TLS_CHACHA20_POLY1305"),
        ] {
            assert_eq!(canonical(go), iana);
        }
    }

    #[test]
    fn versions_are_a_range() {
        assert_eq!(versions(Tls12, Tls13).len(), 2);
        assert_eq!(versions(Tls12, Tls12), [&rustls::version::TLS12]);
    }
}
