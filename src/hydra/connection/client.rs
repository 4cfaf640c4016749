//! The HTTP client of one Hydra: whom it trusts, who it is, and how long it waits.

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect::Policy};
use secrecy::ExposeSecret;

use super::{
    super::config::{ConfigError, HydraConfig},
    answer::cause,
};

/// The client that `config` asks for; `tls`: whether it will meet certificates.
pub(super) fn http_client(config: &HydraConfig, tls: bool) -> Result<Client, ConfigError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(ConfigError::CryptoProvider);
    }
    let builder = Client::builder()
        .user_agent(concat!("hydra-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(config.request_timeout)
        .connect_timeout(config.connect_timeout.min(config.request_timeout));
    let builder = trust(builder, config, tls)?;
    let builder = match &config.client_certificate_pem {
        Some(pem) => builder.identity(
            Identity::from_pem(pem.expose_secret()).map_err(|_| ConfigError::ClientCertificate)?,
        ),
        None => builder,
    };
    builder.build().map_err(|error| ConfigError::HttpClient(cause(&error)))
}

/// Sets whom to trust. Without TLS nobody: the system's certificates are then not looked for, which
/// would fail in an image that has none.
fn trust(
    builder: ClientBuilder,
    config: &HydraConfig,
    tls: bool,
) -> Result<ClientBuilder, ConfigError> {
    match &config.ca_pem {
        Some(pem) => match Certificate::from_pem_bundle(pem) {
            Ok(authorities) if !authorities.is_empty() => Ok(builder.tls_certs_only(authorities)),
            _ => Err(ConfigError::CertificateAuthorities),
        },
        None if tls => Ok(builder),
        None => Ok(builder.tls_certs_only([])),
    }
}
