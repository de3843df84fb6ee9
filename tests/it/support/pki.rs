//! A throw-away PKI: authorities, certificates good and bad, and keys in every form.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pub pem: String,
    /// What a server shows between its own certificate and the root.
    above: Vec<(CertificateDer<'static>, String)>,
}

/// A certificate with what leads to its root, and its key.
#[derive(Clone)]
pub struct Issued {
    pub chain: Vec<CertificateDer<'static>>,
    pub pem: String,
    pub key_pem: String,
    key: Vec<u8>,
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Authority {
        let (params, key) = (Authority::params(name), new_key());
        let certificate = params.self_signed(&key).unwrap();
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        Authority { issuer: Issuer::new(params, key), certificate, pem, above: Vec::new() }
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Authority {
        let (params, key) = (Authority::params(name), new_key());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        let mut above = self.above.clone();
        above.insert(0, (certificate.clone(), pem.clone()));
        Authority { issuer: Issuer::new(params, key), certificate, pem, above }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = params(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate for `names`, good for servers and clients.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_as(names, new_key(), |_| {})
    }

    /// A certificate for `names` and the key `key`, with what `change` makes of it.
    pub fn issue_as(&self, names: &[&str], key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = params(names, names.first().unwrap_or(&"nobody"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let above = self.above.iter();
        Issued {
            pem: certificate.pem() + &above.clone().map(|(_, pem)| pem.as_str()).collect::<String>(),
            chain: [certificate.der().clone()].into_iter().chain(above.map(|(der, _)| der.clone())).collect(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
        }
    }
}

impl Issued {
    /// A certificate for `names` that is signed with its own key.
    pub fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let (mut params, key) = (params(names, "self-signed"), new_key());
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Issued {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
        }
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// Writes certificate and key into `dir`, as `NAME.crt` and `NAME.key`; the key for its
    /// owner alone.
    pub fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        std::fs::write(&certificate, &self.pem).unwrap();
        write_key(&key, &self.key_pem);
        (certificate, key)
    }
}

/// Writes a file that only its owner may read.
pub fn write_key(path: &Path, pem: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, pem).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A key of `tests/pki`.
pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pki").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The key in the fixture `name`, which is in the form of PKCS#8.
pub fn fixture_key(name: &str) -> KeyPair {
    KeyPair::from_pem(&fixture(name)).unwrap()
}

pub fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn params(names: &[&str], subject: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.use_authority_key_identifier_extension = true;
    params
}
