//! What went wrong between two ends of TLS: the cause in openssl's words, which are those
//! that people search for, and the remedy.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

use super::flaws::{flaw, spoken};
use super::verify::SelfSigned;

/// Of a library's own text a line shows so much.
const MAX_TEXT: usize = 200;

/// `error` of one who connects, in one line. Fields of `tls` are named where its user has them.
pub fn in_words(error: &Error, has_fields: bool) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error, has_fields),
        Error::AlertReceived(alert) => received(*alert, has_fields),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => "wrong version number: what answers does not speak TLS; is it an http:// port?".to_owned(),
        Error::InvalidMessage(what) => format!(
            "bad message: what answers does not speak TLS as it should ({}); is it the right port?",
            spoken(what)
        ),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "unexpected message: what answers does not speak TLS as it should; is it the right port?".to_owned()
        }
        Error::PeerIncompatible(what) => {
            let more = incompatible(what);
            format!("unsupported protocol: the server takes none of our versions or cipher suites ({more})")
        }
        Error::PeerMisbehaved(what) => format!("the peer breaks the rules of TLS ({})", spoken(what)),
        error => of_either(error),
    }
}

/// What befalls either side.
fn of_either(error: &Error) -> String {
    let text = match error {
        Error::NoCertificatesPresented => "peer did not return a certificate",
        Error::DecryptError => "decryption failed or bad record mac: bytes were damaged on the way",
        Error::EncryptError => "TLS could not encrypt a message",
        Error::PeerSentOversizedRecord => "packet length too long: a record is larger than TLS allows",
        Error::HandshakeNotComplete => "the TLS handshake is not over",
        Error::NoApplicationProtocol => "no application protocol: the two sides have none in common",
        Error::UnsupportedNameType => "the name is of a kind that TLS cannot ask for",
        Error::FailedToGetCurrentTime => "this machine's clock cannot be read",
        Error::FailedToGetRandomBytes => "this machine gives no random numbers",
        Error::BadMaxFragmentSize => "the size of fragments is out of its range",
        Error::InvalidEncryptedClientHello(_) => "the encrypted hello was not taken",
        Error::InvalidCertRevocationList(_) => "a revocation list is not valid",
        Error::InconsistentKeys(_) => "the private key is not the certificate's (key values mismatch)",
        Error::General(text) => return short(text),
        Error::Other(OtherError(inner)) => return short(&inner.to_string()),
        other => return format!("TLS failed: {}", spoken(other)),
    };
    text.to_owned()
}

/// The beginning of `text`, in one line.
fn short(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(MAX_TEXT).collect()
}

/// What the two sides do not have in common.
fn incompatible(what: &PeerIncompatible) -> String {
    use PeerIncompatible as P;
    let text = match what {
        P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        | P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        | P::SupportedVersionsExtensionRequired => "no version in common",
        P::NoCipherSuitesInCommon => "no cipher suite in common",
        P::NoKxGroupsInCommon | P::KeyShareExtensionRequired | P::NamedGroupsExtensionRequired => {
            "no key exchange in common: X25519, P-256 and P-384 are ours"
        }
        P::NoSignatureSchemesInCommon
        | P::SignatureAlgorithmsExtensionRequired
        | P::NoCertificateRequestSignatureSchemesInCommon => {
            "no signature algorithm in common for the certificate's key"
        }
        P::EcPointsExtensionRequired | P::NoEcPointFormatsInCommon | P::UncompressedEcPointsRequired => {
            "no form of curve points in common"
        }
        P::ExtendedMasterSecretExtensionRequired => "no extended master secret",
        P::NullCompressionRequired => "it insists on compression",
        other => return spoken(other),
    };
    text.to_owned()
}

/// `error` of a client that has come to us, in one line: what it did, and who can mend it.
pub fn of_client(error: &Error) -> String {
    let text = match error {
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => "http request: the client does not speak TLS; it has to write https://",
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // Who does not send this extension is older than TLS 1.2.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => {
            "unsupported protocol: the client speaks none of the versions from server.tls.min_version to max_version, \
             of which TLS 1.2 is the oldest"
        }
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
            "no shared cipher: the client has none of server.tls.cipher_suites, or none for our key's kind"
        }
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::KeyShareExtensionRequired) => {
            "no suitable key share: the client has none of X25519, P-256 and P-384"
        }
        Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon) => "no suitable signature algorithm: the client cannot verify our key's kind; use RSA or ECDSA on P-256",
        Error::PeerIncompatible(what) => {
            return format!("the client's TLS has nothing in common with ours ({})", incompatible(what));
        }
        Error::NoCertificatesPresented => {
            "peer did not return a certificate: the client has to show one of an authority in server.tls.client_ca_file"
        }
        Error::InvalidCertificate(why) => return of_certificate(why),
        Error::AlertReceived(alert) => return from_client(*alert),
        Error::DecryptError => "decryption failed or bad record mac: the client's bytes were damaged on the way",
        Error::InvalidMessage(what) => {
            return format!("bad message: the client does not speak TLS as it should ({})", spoken(what));
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "unexpected message: the client does not speak TLS as it should"
        }
        Error::PeerMisbehaved(what) => return format!("the client breaks the rules of TLS ({})", spoken(what)),
        error => return of_either(error),
    };
    text.to_owned()
}

/// Why we do not take a client's certificate.
fn of_certificate(error: &CertificateError) -> String {
    let text = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired: renew the client's, or set this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not yet valid: look at this machine's clock, and at who issued the client's"
        }
        CertificateError::UnknownIssuer => {
            "unable to get local issuer certificate: the client's certificate is not from an authority in \
             server.tls.client_ca_file, or it does not send its intermediate certificate"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "unsuitable certificate purpose: the client's certificate is not one for clients"
        }
        CertificateError::BadSignature => "certificate signature failure: the client's chain is not its certificate's",
        error => return format!("the client's certificate {}", flaw(error)),
    };
    text.to_owned()
}

/// What a client said before it hung up.
fn from_client(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::UnknownCA => {
            "tlsv1 alert unknown ca: the client does not trust the authority of server.tls.cert_file; give it that \
             authority's certificate"
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            "sslv3 alert bad certificate: the client refuses server.tls.cert_file: look at its names and authority"
        }
        AlertDescription::CertificateExpired => {
            "sslv3 alert certificate expired: renew server.tls.cert_file, or look at the client's clock"
        }
        AlertDescription::CertificateRevoked => "sslv3 alert certificate revoked: replace server.tls.cert_file",
        AlertDescription::ProtocolVersion => {
            "tlsv1 alert protocol version: the client speaks none of the versions from server.tls.min_version to \
             max_version"
        }
        AlertDescription::HandshakeFailure => {
            "sslv3 alert handshake failure: the client takes none of our suites or keys"
        }
        other => return format!("the client ended TLS with the alert {}", name_of(other)),
    };
    text.to_owned()
}

/// What an alert is called where it has no line of its own.
fn name_of(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => format!("number {number}"),
        alert => spoken(&alert),
    }
}

fn certificate(error: &CertificateError, has_fields: bool) -> String {
    let pick = |with, without| if has_fields { with } else { without };
    let text = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired: renew the server's certificate, or set this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not yet valid: look at this machine's clock"
        }
        CertificateError::UnknownIssuer => pick(
            "unable to get local issuer certificate: the server's certificate is not from an authority in ca_file (or \
             the system's roots), or the server does not send its intermediate certificate",
            "unable to get local issuer certificate: the server's certificate is not from an authority among the \
             system's roots, or the server does not send its intermediate certificate",
        ),
        CertificateError::NotValidForName => pick(
            "hostname mismatch: set tls.server_name to a name of the certificate",
            "hostname mismatch: the certificate is for another name",
        ),
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            return format!(
                "hostname mismatch: the certificate has no subjectAltName, so it is for no host; {} was expected",
                expected.to_str()
            );
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            return format!(
                "hostname mismatch: the certificate is for {}, not for {}{}",
                names(presented),
                expected.to_str(),
                pick("; set tls.server_name to a name of the certificate", "")
            );
        }
        CertificateError::BadSignature => {
            "certificate signature failure: the chain is not the certificate's, or its keys are too weak (RSA below 2048 \
             bits)"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "unsuitable certificate purpose: the server's certificate is not one for servers"
        }
        CertificateError::Revoked => "certificate revoked",
        CertificateError::Other(OtherError(inner)) if inner.is::<SelfSigned>() => match inner.downcast_ref() {
            Some(SelfSigned::Chain) => pick(
                "self-signed certificate in certificate chain: the authority at its end is not in ca_file (or the \
                 system's roots); give its certificate as tls.ca_file",
                "self-signed certificate in certificate chain: the authority at its end is not among the system's roots",
            ),
            _ => pick(
                "self-signed certificate: give the certificate itself as tls.ca_file",
                "self-signed certificate: it is not among the system's roots",
            ),
        },
        CertificateError::Other(OtherError(inner))
            if has_fields && inner.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) =>
        {
            "the server shows a CA's certificate as its own; name that very certificate in tls.ca_file"
        }
        error => return format!("the server's certificate {}", flaw(error)),
    };
    text.to_owned()
}

/// A certificate may hold thousands of names; a line shows so many.
const MAX_NAMES: usize = 4;

/// Names of a certificate, which come as `DnsName("host")` or `IpAddress(127.0.0.1)`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let mut text = presented.iter().take(MAX_NAMES).map(bare).collect::<Vec<_>>().join(", ");
    if presented.len() > MAX_NAMES {
        text.push_str(&format!(" and {} more", presented.len() - MAX_NAMES));
    }
    text
}

/// What the peer said before it hung up.
fn received(alert: AlertDescription, has_fields: bool) -> String {
    let pick = |with, without| if has_fields { with } else { without };
    let text = match alert {
        AlertDescription::ProtocolVersion => pick(
            "tlsv1 alert protocol version: the server speaks none of the versions from tls.min_version to max_version",
            "tlsv1 alert protocol version: the server speaks neither TLS 1.2 nor 1.3",
        ),
        AlertDescription::HandshakeFailure => {
            "sslv3 alert handshake failure: no cipher suite or key in common, or the server wants a client certificate"
        }
        AlertDescription::CertificateRequired => pick(
            "tlsv13 alert certificate required: set tls.cert_file and tls.key_file",
            "tlsv13 alert certificate required: the server wants a client certificate, and there is none to show here",
        ),
        AlertDescription::UnknownCA => pick(
            "tlsv1 alert unknown ca: the server does not trust the authority of tls.cert_file",
            "tlsv1 alert unknown ca: the server does not trust our authority",
        ),
        AlertDescription::BadCertificate => pick(
            "sslv3 alert bad certificate: the server refuses tls.cert_file, or wants one and got none",
            "sslv3 alert bad certificate: the server wants a client certificate, and there is none to show here",
        ),
        AlertDescription::CertificateExpired => pick(
            "sslv3 alert certificate expired: renew tls.cert_file",
            "sslv3 alert certificate expired: the server says so of ours",
        ),
        AlertDescription::CertificateRevoked => pick(
            "sslv3 alert certificate revoked: replace tls.cert_file",
            "sslv3 alert certificate revoked: the server says so of ours",
        ),
        AlertDescription::CertificateUnknown | AlertDescription::UnsupportedCertificate => pick(
            "sslv3 alert certificate unknown: the server refuses tls.cert_file: its purpose, or its X.509 version",
            "sslv3 alert certificate unknown: the server refuses our certificate",
        ),
        AlertDescription::AccessDenied => "tlsv1 alert access denied: the server refuses this client's certificate",
        AlertDescription::DecryptError => "tlsv1 alert decrypt error: the server refuses the handshake's signature",
        AlertDescription::UnrecognisedName => pick(
            "tlsv1 unrecognized name: the server has no such name; set tls.server_name",
            "tlsv1 unrecognized name: the server has no such name",
        ),
        AlertDescription::InsufficientSecurity => "tlsv1 alert insufficient security: the server wants other suites",
        AlertDescription::InternalError => "tlsv1 alert internal error: the server's TLS failed; see its log",
        other => return format!("the server ended TLS with the alert {}", name_of(other)),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tls_is_called_that() {
        for what in [
            InvalidMessage::InvalidContentType,
            InvalidMessage::UnknownProtocolVersion,
            InvalidMessage::MessageTooLarge,
            InvalidMessage::InvalidEmptyPayload,
            InvalidMessage::MessageTooShort,
            InvalidMessage::MissingData("ServerHello"),
        ] {
            let said = in_words(&Error::InvalidMessage(what), true);
            assert!(said.contains("what answers does not speak TLS"), "{said}");
        }
    }

    #[test]
    fn what_clients_do_wrong_has_its_cause_and_its_remedy() {
        for (error, cause, remedy) in [
            (PeerIncompatible::Tls12NotOfferedOrEnabled.into(), "unsupported protocol: ", "server.tls.min_version"),
            (PeerIncompatible::NoCipherSuitesInCommon.into(), "no shared cipher: ", "server.tls.cipher_suites"),
            (Error::NoCertificatesPresented, "peer did not return a certificate: ", "server.tls.client_ca_file"),
            (CertificateError::UnknownIssuer.into(), "unable to get local issuer certificate: ", "client_ca_file"),
            (CertificateError::Expired.into(), "certificate has expired: ", "renew the client's"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "tlsv1 alert unknown ca: ", "give it that authority's"),
            (InvalidMessage::InvalidContentType.into(), "http request: ", "https://"),
        ] {
            let said = of_client(&error);
            assert!(said.starts_with(cause) && said.contains(remedy), "{said}");
        }
    }

    #[test]
    fn no_error_is_written_as_a_library_writes_its_variants() {
        use rustls::{ContentType, EncryptedClientHelloError, HandshakeType, InconsistentKeys, PeerMisbehaved};
        use std::sync::Arc;

        let alerts = (0..=u8::MAX).map(|number| Error::AlertReceived(number.into()));
        let messages = [
            InvalidMessage::CertificatePayloadTooLarge,
            InvalidMessage::InvalidContentType,
            InvalidMessage::MissingData("ServerHello"),
            InvalidMessage::TrailingData("ClientHelloPayload"),
            InvalidMessage::IllegalEmptyList("ServerNames"),
            InvalidMessage::DuplicateExtension(13),
            InvalidMessage::UnexpectedMessage("ServerKeyExchange"),
        ];
        let incompatible = [
            PeerIncompatible::EcPointsExtensionRequired,
            PeerIncompatible::ExtendedMasterSecretExtensionRequired,
            PeerIncompatible::IncorrectCertificateTypeExtension,
            PeerIncompatible::KeyShareExtensionRequired,
            PeerIncompatible::NamedGroupsExtensionRequired,
            PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            PeerIncompatible::NoCipherSuitesInCommon,
            PeerIncompatible::NoEcPointFormatsInCommon,
            PeerIncompatible::NoKxGroupsInCommon,
            PeerIncompatible::NoSignatureSchemesInCommon,
            PeerIncompatible::NullCompressionRequired,
            PeerIncompatible::ServerDoesNotSupportTls12Or13,
            PeerIncompatible::ServerSentHelloRetryRequestWithUnknownExtension,
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            PeerIncompatible::SupportedVersionsExtensionRequired,
            PeerIncompatible::Tls12NotOffered,
            PeerIncompatible::Tls12NotOfferedOrEnabled,
            PeerIncompatible::Tls13RequiredForQuic,
            PeerIncompatible::UncompressedEcPointsRequired,
            PeerIncompatible::UnsolicitedCertificateTypeExtension,
            PeerIncompatible::ServerRejectedEncryptedClientHello(None),
        ];
        let misbehaved = [
            PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported,
            PeerMisbehaved::SelectedUnofferedCipherSuite,
            PeerMisbehaved::TooManyWarningAlertsReceived,
            PeerMisbehaved::UnsolicitedEchExtension,
        ];
        let rest = [
            Error::InappropriateMessage { expect_types: vec![ContentType::Alert; 9], got_type: ContentType::Handshake },
            Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::ClientHello; 9],
                got_type: HandshakeType::Finished,
            },
            Error::InvalidEncryptedClientHello(EncryptedClientHelloError::NoCompatibleConfig),
            Error::NoCertificatesPresented,
            Error::UnsupportedNameType,
            Error::DecryptError,
            Error::EncryptError,
            Error::InvalidCertRevocationList(rustls::CertRevocationListError::ParseError),
            Error::General("a text\nof two lines".repeat(100)),
            Error::FailedToGetCurrentTime,
            Error::FailedToGetRandomBytes,
            Error::HandshakeNotComplete,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::BadMaxFragmentSize,
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
            Error::Other(OtherError(Arc::new(std::io::Error::other("odd")))),
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                webpki::Error::UnsupportedCertVersion,
            )))),
        ];
        let all = alerts
            .chain(messages.into_iter().map(Error::from))
            .chain(incompatible.into_iter().map(Error::from))
            .chain(misbehaved.into_iter().map(Error::from))
            .chain(rest);
        for error in all {
            for said in [in_words(&error, true), in_words(&error, false), of_client(&error)] {
                assert!(super::super::flaws::tests::is_plain(&said), "{error:?}: {said}");
            }
        }
    }

    #[test]
    fn who_has_no_fields_is_told_of_none() {
        let errors = (0..=u8::MAX).map(|number| Error::AlertReceived(number.into())).chain([
            CertificateError::UnknownIssuer.into(),
            CertificateError::NotValidForName.into(),
            CertificateError::Other(OtherError(std::sync::Arc::new(SelfSigned::Leaf))).into(),
            CertificateError::Other(OtherError(std::sync::Arc::new(SelfSigned::Chain))).into(),
            CertificateError::Other(OtherError(std::sync::Arc::new(webpki::Error::CaUsedAsEndEntity))).into(),
        ]);
        for error in errors {
            let said = in_words(&error, false);
            assert!(!said.contains('_') && !said.contains("tls."), "{said}");
        }
    }

    #[test]
    fn names_are_bare_and_few() {
        let presented = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&presented(&[r#"DnsName("a.example")"#, "IpAddress(::1)", "odd"])), "a.example, ::1, odd");
        assert_eq!(names(&presented(&["a", "b", "c", "d", "e", "f"])), "a, b, c, d and 2 more");
    }
}
