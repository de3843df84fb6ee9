//! Versions and cipher suites by the names that configurations hold.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, ring};

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
pub const OLD_SUITES: [&str; 10] = [
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
];

/// The versions from `min` to `max`, as rustls has them.
pub(super) fn versions(min: Version, max: Version) -> Vec<&'static SupportedProtocolVersion> {
    Version::ALL.into_iter().filter(|version| (min..=max).contains(version)).map(Version::of_rustls).collect()
}

/// The cryptography, offering `suites` in their order; none named: all, in the library's.
pub(super) fn provider(suites: &[String]) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    if !suites.is_empty() {
        let all = std::mem::take(&mut provider.cipher_suites);
        let named = |name: &String| all.iter().find(|suite| iana_name(suite.suite()) == *name).copied();
        provider.cipher_suites = suites.iter().filter_map(named).collect();
    }
    Arc::new(provider)
}

/// rustls writes `TLS13_` where the registry has `TLS_`.
fn iana_name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_suite_and_every_suite_has_a_name() {
        let names: Vec<String> = SUITES_13.iter().chain(&SUITES_12).map(|name| (*name).to_owned()).collect();
        let chosen = provider(&names).cipher_suites.clone();
        let chosen: Vec<String> = chosen.iter().map(|suite| iana_name(suite.suite())).collect();
        assert_eq!(chosen, names);
        assert_eq!(provider(&[]).cipher_suites.len(), names.len());
    }

    #[test]
    fn versions_are_a_range() {
        assert_eq!(versions(Version::Tls12, Version::Tls13).len(), 2);
        assert_eq!(versions(Version::Tls12, Version::Tls12), [&rustls::version::TLS12]);
    }
}
