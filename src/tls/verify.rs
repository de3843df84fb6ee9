//! Whether the server is the one that is meant.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

/// Verifies by a set of roots, as rustls does, and takes one thing more that appliances
/// have: a self-signed certificate that says it is a CA, and is in `ca_file` itself. Whoever
/// put it there named that very certificate; its name and its dates are checked all the same.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    /// What `ca_file` holds; nothing where the system's roots are used.
    pinned: Vec<CertificateDer<'static>>,
}

/// A certificate of the peer is signed by itself, and is not among those that are trusted.
#[derive(Debug)]
pub(super) enum SelfSigned {
    /// Its own.
    Leaf,
    /// The root that it shows.
    Chain,
}

impl std::fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SelfSigned::Leaf => "self-signed certificate",
            SelfSigned::Chain => "self-signed certificate in certificate chain",
        })
    }
}

impl std::error::Error for SelfSigned {}

impl Verifier {
    /// Trusts `roots`; an error where there is none.
    pub(super) fn new(
        roots: RootCertStore,
        pinned: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Verifier, String> {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| "there is no root certificate that could be trusted".to_owned())?;
        Ok(Verifier { inner, pinned })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match &verified {
            // webpki has looked at the dates before it says this.
            Err(Error::InvalidCertificate(error)) if is_ca_as_server(error) && self.pinned.contains(end_entity) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Err(Error::InvalidCertificate(error))
                if (is_ca_as_server(error) || *error == CertificateError::UnknownIssuer)
                    && is_self_signed(end_entity) =>
            {
                Err(self_signed(SelfSigned::Leaf))
            }
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
                if intermediates.iter().any(is_self_signed) =>
            {
                Err(self_signed(SelfSigned::Chain))
            }
            _ => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn self_signed(which: SelfSigned) -> Error {
    CertificateError::Other(OtherError(Arc::new(which))).into()
}

/// rustls has no variant of its own for webpki's word for this.
fn is_ca_as_server(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(OtherError(inner))
        if inner.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity))
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}

/// `insecure_skip_verify`: takes any certificate. The handshake's signatures are checked,
/// so the peer holds the key of the certificate that it shows, whosever that is.
#[derive(Debug)]
pub(super) struct AcceptAny(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
