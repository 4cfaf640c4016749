//! How to reach one Hydra.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::SecretSlice;
use url::Url;

use super::address::Base;
use super::headers::InvalidHeaders;
use super::request::{RequestHook, TraceParent};
use crate::fence::Fence;

/// How to reach the admin API of one Hydra.
#[derive(Clone)]
pub struct HydraConfig {
    /// The address of the admin API. Its path is kept as the base of all paths; an ending
    /// `/admin/clients`, `/clients` or `/admin`, which the settings of hydra-maester have, is not
    /// part of it.
    pub admin_url: Url,
    /// The address of the public API, whose discovery document is read. It gets none of the headers.
    pub public_url: Option<Url>,
    /// Certificate authorities in PEM, trusted instead of those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// Certificate and private key in PEM by which the operator identifies itself.
    pub client_certificate_pem: Option<SecretSlice<u8>>,
    /// A file of headers for every request: one `Name: value` per line, comments start with `#`. It
    /// is read again when it changes.
    pub headers_file: Option<PathBuf>,
    /// The value of `X-Forwarded-Proto`. Hydra 1.x behind a proxy that terminates TLS asks for
    /// `https`.
    pub forwarded_proto: Option<String>,
    /// Time for a whole request, from the connection to the end of the answer. The making of a key has a minute at least.
    pub request_timeout: Duration,
    /// Time for establishing a connection, TLS included.
    pub connect_timeout: Duration,
    /// Called after every request.
    pub on_request: Option<RequestHook>,
    /// Lets writes pass while it is open; without one they always do.
    pub fence: Option<Fence>,
    /// Asked before every request for the value of `traceparent`.
    pub trace_parent: Option<TraceParent>,
}

/// Settings with which no Hydra can be reached. It names what is wrong and no secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address is unusable.
    #[error("the address of Hydra's admin API {0}")]
    AdminUrl(&'static str),
    /// `ca_pem` holds no certificate.
    #[error("the certificate authorities for Hydra are not certificates in PEM")]
    CertificateAuthorities,
    /// `client_certificate_pem` does not hold a certificate and a private key.
    #[error("the client certificate for Hydra needs a certificate and a private key in PEM")]
    ClientCertificate,
    /// The file of headers is unusable.
    #[error("the file of extra headers `{}` {problem}", path.display())]
    Headers {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: InvalidHeaders,
    },
    /// The value of `X-Forwarded-Proto` cannot be sent.
    #[error("the value of X-Forwarded-Proto must be text that a header can hold, as `https`")]
    ForwardedProto,
    /// The process has not installed a provider of cryptography for TLS.
    #[error("no provider of cryptography for TLS is installed")]
    CryptoProvider,
    /// The HTTP client cannot be set up.
    #[error("the HTTP client for Hydra cannot be set up: {0}")]
    HttpClient(String),
}

impl HydraConfig {
    /// The settings for a Hydra that needs no more than its address.
    #[must_use]
    pub fn new(admin_url: Url) -> Self {
        Self {
            admin_url,
            public_url: None,
            ca_pem: None,
            client_certificate_pem: None,
            headers_file: None,
            forwarded_proto: None,
            request_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            on_request: None,
            fence: None,
            trace_parent: None,
        }
    }

    /// The address without what follows the base path.
    pub(super) fn base(&self) -> Result<Url, ConfigError> {
        let url = &self.admin_url;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ConfigError::AdminUrl("must start with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::AdminUrl(
                "must not hold a user name or password; use a file of extra headers",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::AdminUrl("must not have a query or fragment"));
        }
        Ok(Base::of(url).into_url())
    }

    pub(super) fn forwarded_proto_value(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let value = self.forwarded_proto.as_deref().filter(|value| !value.is_empty());
        value.map(|value| value.parse().map_err(|_| ConfigError::ForwardedProto)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Result<String, String> {
        let config = HydraConfig::new(Url::parse(url).unwrap());
        config.base().map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn endings_of_paths_are_accepted() {
        for (url, expected) in [
            ("http://hydra:4445", "http://hydra:4445/"),
            ("http://hydra:4445/", "http://hydra:4445/"),
            ("http://hydra:4445/clients", "http://hydra:4445/"),
            ("http://hydra:4445/clients/", "http://hydra:4445/"),
            ("http://hydra:4445/admin/clients", "http://hydra:4445/"),
            ("http://hydra:4445/admin/", "http://hydra:4445/"),
            ("https://host/hydra", "https://host/hydra"),
            ("https://host/hydra/", "https://host/hydra"),
            ("https://host/hydra/admin/clients", "https://host/hydra"),
            ("https://host/myclients", "https://host/myclients"),
            ("https://host/clients/hydra", "https://host/clients/hydra"),
        ] {
            assert_eq!(base(url).as_deref(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn unusable_addresses_are_refused_without_showing_them() {
        for (url, reason) in [
            ("ftp://host", "must start with http:// or https://"),
            ("http://user@host", "must not hold a user name or password"),
            ("http://:hunter22@host", "must not hold a user name or password"),
            ("http://host/?a=b", "must not have a query or fragment"),
            ("http://host/#a", "must not have a query or fragment"),
        ] {
            let error = base(url).unwrap_err();
            assert!(error.contains(reason) && !error.contains("hunter22"), "{url}: {error}");
        }
    }
}
