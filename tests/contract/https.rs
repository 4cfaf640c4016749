//! Certificates for servers and clients, and what the client makes of them.

use std::sync::Arc;

use hydra_operator::hydra::{ErrorKind, Hydra, HydraConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use secrecy::SecretSlice;
use serde_json::json;

use crate::scripted_server::{Reply, Scripted};

/// A certificate authority for one test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For the server `localhost`, and for any client.
    pub fn issue(&self) -> Pair {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// For a server of this authority; with `clients`, only for clients of that authority.
    pub fn server_config(&self, clients: Option<&Self>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pair = self.issue();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(&clients.pem())).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        Arc::new(builder.with_single_cert(vec![certificate(&pair.certificate)], key).unwrap())
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A client for what the admin API does not offer.
pub fn plain_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only([]).build().unwrap()
}

fn version(clients: Option<&Authority>, authority: &Authority) -> Scripted {
    let answer = |_: &_| Reply::json(200, &json!({"version": "v2.3.0"}));
    Scripted::https(answer, authority.server_config(clients))
}

fn config(server: &Scripted, authority: &Authority) -> HydraConfig {
    HydraConfig { ca_pem: Some(authority.pem().into_bytes()), ..crate::config(&server.url) }
}

#[tokio::test]
async fn only_the_given_authority_is_trusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = version(None, &ours);
    let trusting = Hydra::new(config(&server, &ours)).unwrap();
    assert_eq!(trusting.version().await.unwrap(), "v2.3.0");

    let error = Hydra::new(config(&server, &other)).unwrap().version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn the_operator_identifies_itself_by_a_certificate() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let server = version(Some(&clients), &servers);
    let pair = clients.issue();
    let pem = SecretSlice::from(format!("{}{}", pair.certificate, pair.key).into_bytes());
    let identified = HydraConfig { client_certificate_pem: Some(pem), ..config(&server, &servers) };
    assert_eq!(Hydra::new(identified).unwrap().version().await.unwrap(), "v2.3.0");

    let anonymous = Hydra::new(config(&server, &servers)).unwrap();
    assert_eq!(anonymous.version().await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[test]
fn unusable_certificates_are_named() {
    let url = url::Url::parse("https://localhost/").unwrap();
    for (ca, certificate, expected) in [
        (Some("no pem"), None, "certificate authorities"),
        (None, Some("no pem"), "client certificate"),
    ] {
        let config = HydraConfig {
            ca_pem: ca.map(|pem| pem.as_bytes().to_vec()),
            client_certificate_pem: certificate
                .map(|pem| SecretSlice::from(pem.as_bytes().to_vec())),
            ..crate::config(&url)
        };
        let error = Hydra::new(config).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("no pem"), "{error}");
    }
}
