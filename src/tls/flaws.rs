//! What is wrong with a certificate, whosever it is, in words of ours.
//!
//! The libraries print most of it as the names of their variants, some with pages of bytes.

use std::fmt::Debug;

use rustls::{CertificateError, OtherError};

/// How a certificate gets what one of X.509 version 1 lacks.
pub const MAKE_V3: &str = "have it issued with extensions (openssl x509 -req -extfile FILE)";

/// What `error` has against a certificate: the end of a sentence that begins with it.
pub fn flaw(error: &CertificateError) -> String {
    use CertificateError as E;
    let text = match error {
        E::BadEncoding => "is garbled",
        E::Expired | E::ExpiredContext { .. } => "has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "is not yet valid",
        E::Revoked => "has been revoked",
        E::UnhandledCriticalExtension => "has a critical extension that is not known",
        E::UnknownIssuer => "is from no authority that is trusted",
        E::UnknownRevocationStatus => "may have been revoked, which cannot be told",
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
            "may have been revoked: the revocation list has expired"
        }
        E::BadSignature => "is not signed by its authority's key",
        E::UnsupportedSignatureAlgorithmContext { .. } | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            UNSUPPORTED_SIGNATURE
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => "is for another name",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "is for another purpose",
        E::InvalidOcspResponse => "comes with an OCSP response that is not valid",
        E::ApplicationVerificationFailure => "is not wanted",
        E::Other(OtherError(inner)) => match inner.downcast_ref() {
            Some(error) => return of_webpki(error),
            None => UNKNOWN,
        },
        // Among them one that is deprecated.
        other => return format!("cannot be used: {}", spoken(other)),
    };
    text.to_owned()
}

const UNSUPPORTED_SIGNATURE: &str = "is signed, or its authority is, by a method that is too weak or not known";

const UNKNOWN: &str = "cannot be used";

/// The same of what rustls has no variant for.
fn of_webpki(error: &webpki::Error) -> String {
    use webpki::Error as E;
    let text = match error {
        E::BadDer | E::BadDerTime | E::TrailingData(_) => "is garbled",
        E::CaUsedAsEndEntity => "is an authority's, which is shown as if it were its own",
        E::CertDistrusted => "is distrusted",
        E::CertExpired { .. } => "has expired",
        E::CertNotValidForName(_) => "is for another name",
        E::CertNotValidYet { .. } => "is not yet valid",
        E::CertRevoked => "has been revoked",
        E::EmptyEkuExtension => "names no purpose in its extendedKeyUsage",
        E::EndEntityUsedAsCa => "is signed by one that is no authority's (basicConstraints without CA:TRUE)",
        E::ExtensionValueInvalid | E::MalformedExtensions => "has a bad extension",
        E::InvalidCertValidity => "ends before it begins to be valid",
        E::InvalidNetworkMaskConstraint | E::MalformedNameConstraint => "has a bad constraint on names above it",
        E::InvalidSerialNumber => "has a bad serial number",
        E::InvalidSignatureForPublicKey => "is not signed by its authority's key",
        E::MalformedDnsIdentifier => "holds a bad name among its subjectAltNames",
        E::MaximumNameConstraintComparisonsExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumSignatureChecksExceeded => "has a chain that is too long or too tangled",
        E::NameConstraintViolation => "has a name that an authority above it may not sign for (nameConstraints)",
        E::PathLenConstraintViolated => "is further below an authority than that allows (pathlen)",
        E::RequiredEkuNotFoundContext(_) => "is for another purpose",
        E::SignatureAlgorithmMismatch => "names two different methods for its signature",
        E::UnknownIssuer => "is from no authority that is trusted",
        E::UnsupportedCertVersion => {
            return format!("is of X.509 version 1, where version 3 is wanted; {MAKE_V3}");
        }
        E::UnsupportedCriticalExtension => "has a critical extension that is not known",
        E::UnsupportedNameType => "has a name of a kind that is not known",
        E::UnsupportedSignatureAlgorithmContext(_) | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            UNSUPPORTED_SIGNATURE
        }
        // Of revocation lists, which we have none of, and what is deprecated.
        other => return format!("cannot be used: {}", spoken(other)),
    };
    text.to_owned()
}

/// What the name of a variant says, in small words: `selected unoffered psk`. For what has no
/// words of ours: rules of TLS that hardly anybody breaks, and variants that are yet to come.
pub fn spoken(variant: &dyn Debug) -> String {
    let name = format!("{variant:?}");
    let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
    let mut words: Vec<String> = Vec::new();
    let mut was_upper = false;
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_ascii_uppercase() || was_upper => word.push(c.to_ascii_lowercase()),
            _ => words.push(c.to_ascii_lowercase().to_string()),
        }
        was_upper = c.is_ascii_uppercase();
    }
    words.join(" ").replace("tls12", "TLS 1.2").replace("tls13", "TLS 1.3")
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    /// Whether `said` is a line for people: nothing of how a library writes a variant, and short.
    pub fn is_plain(said: &str) -> bool {
        let is_camel = |word: &str| {
            word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        };
        // What is written in capitals by everybody.
        let known = ["subjectAltName", "extendedKeyUsage", "basicConstraints", "nameConstraints", "clientAuth"];
        let has_camel = said
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| is_camel(word) && !known.iter().any(|known| word.starts_with(known)));
        !has_camel && !said.contains(['{', '}', '[', ']']) && said.len() < 240
    }

    fn other(error: webpki::Error) -> CertificateError {
        CertificateError::Other(OtherError(Arc::new(error)))
    }

    #[test]
    #[allow(deprecated)]
    fn every_flaw_has_plain_words() {
        use CertificateError as C;
        use rustls::pki_types::{ServerName, UnixTime};
        use webpki::Error as W;

        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1));
        let expected = ServerName::try_from("h.example").unwrap();
        let of_rustls = vec![
            C::BadEncoding,
            C::Expired,
            C::ExpiredContext { time: now, not_after: now },
            C::NotValidYet,
            C::NotValidYetContext { time: now, not_before: now },
            C::Revoked,
            C::UnhandledCriticalExtension,
            C::UnknownIssuer,
            C::UnknownRevocationStatus,
            C::ExpiredRevocationList,
            C::ExpiredRevocationListContext { time: now, next_update: now },
            C::BadSignature,
            C::UnsupportedSignatureAlgorithm,
            C::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![6; 40],
                supported_algorithms: vec![rustls::pki_types::alg_id::ED25519; 20],
            },
            C::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: vec![6; 40],
                public_key_algorithm_id: vec![6; 40],
            },
            C::NotValidForName,
            C::NotValidForNameContext { expected, presented: vec!["DnsName(\"a\")".to_owned(); 100] },
            C::InvalidPurpose,
            C::InvalidPurposeContext {
                required: rustls::ExtendedKeyPurpose::ServerAuth,
                presented: vec![rustls::ExtendedKeyPurpose::Other(vec![1, 2, 3]); 50],
            },
            C::InvalidOcspResponse,
            C::ApplicationVerificationFailure,
            C::Other(OtherError(Arc::new(std::io::Error::other("Odd { }")))),
        ];
        let of_webpki = [
            W::BadDer,
            W::BadDerTime,
            W::CaUsedAsEndEntity,
            W::CertDistrusted,
            W::CertExpired { time: now, not_after: now },
            W::CertNotValidYet { time: now, not_before: now },
            W::CertRevoked,
            W::CrlExpired { time: now, next_update: now },
            W::EmptyEkuExtension,
            W::EndEntityUsedAsCa,
            W::ExtensionValueInvalid,
            W::InvalidCertValidity,
            W::InvalidCrlNumber,
            W::InvalidNetworkMaskConstraint,
            W::InvalidSerialNumber,
            W::InvalidCrlSignatureForPublicKey,
            W::InvalidSignatureForPublicKey,
            W::IssuerNotCrlSigner,
            W::MalformedDnsIdentifier,
            W::MalformedExtensions,
            W::MalformedNameConstraint,
            W::MaximumNameConstraintComparisonsExceeded,
            W::MaximumPathBuildCallsExceeded,
            W::MaximumPathDepthExceeded,
            W::MaximumSignatureChecksExceeded,
            W::NameConstraintViolation,
            W::PathLenConstraintViolated,
            W::RequiredEkuNotFound,
            W::SignatureAlgorithmMismatch,
            W::UnknownIssuer,
            W::UnknownRevocationStatus,
            W::UnsupportedCertVersion,
            W::UnsupportedCriticalExtension,
            W::UnsupportedCrlIssuingDistributionPoint,
            W::UnsupportedCrlVersion,
            W::UnsupportedDeltaCrl,
            W::UnsupportedIndirectCrl,
            W::UnsupportedNameType,
            W::UnsupportedRevocationReason,
            W::UnsupportedRevocationReasonsPartitioning,
            W::UnsupportedSignatureAlgorithm,
        ];
        for error in of_rustls.into_iter().chain(of_webpki.into_iter().map(other)) {
            let said = flaw(&error);
            assert!(is_plain(&said), "{error:?}: {said}");
        }
        assert!(flaw(&other(W::UnsupportedCertVersion)).contains("-extfile"));
    }

    #[test]
    fn a_variants_name_becomes_words() {
        #[derive(Debug)]
        #[allow(dead_code)]
        enum Odd {
            SelectedTls12UsingTls13VersionExtension,
            InvalidPSK { more: [u8; 3] },
        }
        assert_eq!(
            spoken(&Odd::SelectedTls12UsingTls13VersionExtension),
            "selected TLS 1.2 using TLS 1.3 version extension"
        );
        assert_eq!(spoken(&Odd::InvalidPSK { more: [1; 3] }), "invalid psk");
        assert!(!is_plain("InvalidCertificate(Other(OtherError(UnsupportedCertVersion)))") && is_plain("is garbled"));
    }
}
