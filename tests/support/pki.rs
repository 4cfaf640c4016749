//! Certificates and keys of one control plane.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// A certificate authority that lives as long as its control plane.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "hydra-operator tests");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The certificate that signatures are checked with, PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// For a server on this machine.
    pub fn server(&self) -> Identity {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        self.sign(
            CertificateParams::new(names).unwrap(),
            "localhost",
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// For a Kubernetes user: the common name is the user, the organisation the group.
    pub fn client(&self, user: &str, group: Option<&str>) -> Identity {
        let mut params = CertificateParams::default();
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        self.sign(params, user, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        common_name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Identity {
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A key pair that signs `ServiceAccount` tokens, PEM.
#[derive(Debug, Clone)]
pub struct TokenKey {
    /// The private key, PKCS #8.
    pub key: String,
    /// The public key.
    pub public: String,
}

/// A new key pair.
pub fn token_key() -> TokenKey {
    let key = KeyPair::generate().unwrap();
    TokenKey { key: key.serialize_pem(), public: key.public_key_pem() }
}
