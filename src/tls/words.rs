//! What went wrong between two ends of TLS: the cause in openssl's words, which are those
//! that people search for, and the remedy.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

use super::verify::SelfSigned;

/// `error` in one line.
pub fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => received(*alert),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => "wrong version number: what answers does not speak TLS; is it an http:// port?".to_owned(),
        Error::InvalidMessage(what) => {
            format!("bad message: what answers does not speak TLS as it should ({what:?}); is it the right port?")
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "unexpected message: what answers does not speak TLS as it should; is it the right port?".to_owned()
        }
        Error::PeerIncompatible(what) => {
            format!("unsupported protocol: the server takes none of our versions or cipher suites ({what:?})")
        }
        Error::NoCertificatesPresented => "peer did not return a certificate".to_owned(),
        Error::PeerMisbehaved(what) => format!("the peer breaks the rules of TLS ({what:?})"),
        error => format!("TLS: {error}"),
    }
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
        Error::PeerIncompatible(what) => return format!("the client's TLS has nothing in common with ours ({what:?})"),
        Error::NoCertificatesPresented => {
            "peer did not return a certificate: the client has to show one of an authority in server.tls.client_ca_file"
        }
        Error::InvalidCertificate(why) => return of_certificate(why),
        Error::AlertReceived(alert) => return from_client(*alert),
        Error::DecryptError => "decryption failed or bad record mac: the client's bytes were damaged on the way",
        Error::InvalidMessage(what) => {
            return format!("bad message: the client does not speak TLS as it should ({what:?})");
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "unexpected message: the client does not speak TLS as it should"
        }
        Error::PeerMisbehaved(what) => return format!("the client breaks the rules of TLS ({what:?})"),
        error => return error.to_string(),
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
        error => return format!("the client's certificate is refused: {error}"),
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
        other => return format!("the client ended TLS with the alert {other:?}"),
    };
    text.to_owned()
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired: renew the server's certificate, or set this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not yet valid: look at this machine's clock".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "unable to get local issuer certificate: the server's certificate is not from an authority in ca_file (or \
             the system's roots), or the server does not send its intermediate certificate"
                .to_owned()
        }
        CertificateError::NotValidForName => {
            "hostname mismatch: set tls.server_name to a name of the certificate".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            format!(
                "hostname mismatch: the certificate has no subjectAltName, so it is for no host; {} was expected",
                expected.to_str()
            )
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "hostname mismatch: the certificate is for {}, not for {}; set tls.server_name to a name of the certificate",
            names(presented),
            expected.to_str()
        ),
        CertificateError::BadSignature => {
            "certificate signature failure: the chain is not the certificate's, or its keys are too weak (RSA below 2048 \
             bits)"
                .to_owned()
        }
        CertificateError::BadEncoding => "the server's certificate is garbled".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "unsuitable certificate purpose: the server's certificate is not one for servers".to_owned()
        }
        CertificateError::Revoked => "certificate revoked".to_owned(),
        CertificateError::Other(OtherError(inner)) if inner.is::<SelfSigned>() => match inner.downcast_ref() {
            Some(SelfSigned::Chain) => {
                "self-signed certificate in certificate chain: the authority at its end is not in ca_file (or the \
                     system's roots); give its certificate as tls.ca_file"
            }
            _ => "self-signed certificate: give the certificate itself as tls.ca_file",
        }
        .to_owned(),
        CertificateError::Other(OtherError(inner)) => match inner.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::UnsupportedCertVersion) => {
                "the server's certificate is of X.509 version 1; it takes version 3".to_owned()
            }
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "the server shows a CA's certificate as its own; name that very certificate in tls.ca_file".to_owned()
            }
            _ => format!("the server's certificate is refused: {inner}"),
        },
        error => format!("the server's certificate is refused: {error}"),
    }
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
fn received(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::ProtocolVersion => {
            "tlsv1 alert protocol version: the server speaks none of the versions from tls.min_version to max_version"
        }
        AlertDescription::HandshakeFailure => {
            "sslv3 alert handshake failure: no cipher suite or key in common, or the server wants a client certificate"
        }
        AlertDescription::CertificateRequired => {
            "tlsv13 alert certificate required: set tls.cert_file and tls.key_file"
        }
        AlertDescription::UnknownCA => {
            "tlsv1 alert unknown ca: the server does not trust the authority of tls.cert_file"
        }
        AlertDescription::BadCertificate => {
            "sslv3 alert bad certificate: the server refuses tls.cert_file, or wants one and got none"
        }
        AlertDescription::CertificateExpired => "sslv3 alert certificate expired: renew tls.cert_file",
        AlertDescription::CertificateRevoked => "sslv3 alert certificate revoked: replace tls.cert_file",
        AlertDescription::CertificateUnknown | AlertDescription::UnsupportedCertificate => {
            "sslv3 alert certificate unknown: the server refuses tls.cert_file"
        }
        AlertDescription::AccessDenied => "tlsv1 alert access denied: the server refuses this client's certificate",
        AlertDescription::DecryptError => "tlsv1 alert decrypt error: the server refuses the handshake's signature",
        AlertDescription::UnrecognisedName => {
            "tlsv1 unrecognized name: the server has no such name; set tls.server_name"
        }
        AlertDescription::InsufficientSecurity => "tlsv1 alert insufficient security: the server wants other suites",
        AlertDescription::InternalError => "tlsv1 alert internal error: the server's TLS failed; see its log",
        other => return format!("the server ended TLS with the alert {other:?}"),
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
            let said = in_words(&Error::InvalidMessage(what));
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
    fn names_are_bare_and_few() {
        let presented = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&presented(&[r#"DnsName("a.example")"#, "IpAddress(::1)", "odd"])), "a.example, ::1, odd");
        assert_eq!(names(&presented(&["a", "b", "c", "d", "e", "f"])), "a, b, c, d and 2 more");
    }
}
