//! The connections that the settings ask for.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{HeaderValue, header::USER_AGENT};
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use url::Url;

use super::{Error, fencing::Fencing};
use crate::{
    fence::Fence,
    hydra::{Base, ConfigError, Hydra, HydraConfig, Outcome},
    kubernetes::requests::TellRequests,
    metrics::{Metrics, ResponseCode},
    settings::{self, HydraSettings, Setting, Settings},
    telemetry,
};

/// Who asks, in audit logs and as the manager of fields.
const NAME: &str = concat!("hydra-operator/", env!("CARGO_PKG_VERSION"));

/// How to reach the Kubernetes API: the kubeconfig that is named, else what kubectl would use, else
/// the cluster that the process runs in.
pub(super) async fn kubernetes(settings: &Settings) -> Result<Config, Error> {
    let mut config = match &settings.kubeconfig {
        None => Config::infer().await?,
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
    };
    // Without it, the API server says that the finalizer is of a manager "unknown".
    config.headers.push((USER_AGENT, HeaderValue::from_static(NAME)));
    Ok(config)
}

/// A client of the Kubernetes API whose requests are counted, and whose writes `fence` lets pass.
pub(super) fn client(
    config: Config,
    metrics: &Metrics,
    fence: Option<&Fence>,
) -> Result<Client, Error> {
    // As client-go has it: without the port only where the URL has none.
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let metrics = metrics.clone();
    let told = TellRequests::to(Arc::new(move |method, status| {
        let code =
            status.map_or(ResponseCode::NoResponse, |status| ResponseCode::Status(status.as_u16()));
        metrics.kubernetes_request(code, method.as_str(), &host);
    }));
    let builder = ClientBuilder::try_from(config).map_err(Error::Client)?.with_layer(&told);
    Ok(match fence {
        Some(fence) => builder.with_layer(&Fencing::new(fence.clone())).build(),
        None => builder.build(),
    })
}

impl From<KubeconfigError> for Error {
    fn from(error: KubeconfigError) -> Self {
        malformed(&error).unwrap_or(Self::Kubeconfig(error))
    }
}

impl From<InferConfigError> for Error {
    fn from(error: InferConfigError) -> Self {
        let kubeconfig = error.source().and_then(|source| source.downcast_ref());
        kubeconfig.and_then(malformed).unwrap_or(Self::InferConfig(error))
    }
}

fn malformed(error: &KubeconfigError) -> Option<Error> {
    let KubeconfigError::Parse(error) = error else { return None };
    let place = error.location().map(|location| format!(" at line {}", location.line()));
    Some(Error::MalformedKubeconfig { place: place.unwrap_or_default() })
}

/// What all connections to Hydras have in common. The files of certificates are read once, at the
/// start.
pub(super) struct Connections {
    common: HydraConfig,
    metrics: Metrics,
}

impl Connections {
    pub(super) fn new(
        settings: &HydraSettings,
        metrics: &Metrics,
        fence: Option<Fence>,
    ) -> Result<Self, Error> {
        let read =
            |setting, path: &Option<PathBuf>| path.as_deref().map(|path| read(setting, path));
        let certificate = read(settings::HYDRA_CLIENT_CERT_FILE, &settings.client_cert_file);
        let key = read(settings::HYDRA_CLIENT_KEY_FILE, &settings.client_key_file);
        let identity = certificate.into_iter().chain(key).collect::<Result<Vec<_>, _>>()?.concat();
        let common = HydraConfig {
            public_url: settings.public_url.clone(),
            ca_pem: read(settings::HYDRA_CA_FILE, &settings.ca_file).transpose()?,
            client_certificate_pem: (!identity.is_empty()).then(|| identity.into()),
            headers_file: settings.headers_file.clone(),
            request_timeout: settings.request_timeout,
            fence,
            ..HydraConfig::new(settings.admin_url.clone())
        };
        Ok(Self { common, metrics: metrics.clone() })
    }

    /// The admin API at `admin_url`. Each request to it is counted under `name`.
    pub(super) fn hydra(
        &self,
        admin_url: Url,
        forwarded_proto: Option<String>,
        name: &str,
    ) -> Result<Hydra, ConfigError> {
        let (metrics, name) = (self.metrics.clone(), name.to_owned());
        let config = HydraConfig {
            forwarded_proto,
            on_request: Some(Arc::new(move |operation, outcome, duration| {
                let code = match outcome {
                    Outcome::Answered(status) => ResponseCode::Status(status.as_u16()),
                    Outcome::Failed => ResponseCode::NoResponse,
                };
                metrics.hydra_request(&name, operation.as_str(), code, duration);
            })),
            trace_parent: Some(Arc::new(telemetry::trace_parent)),
            ..self.to(admin_url)
        };
        Hydra::new(config)
    }

    /// The common part of the configuration, as far as it holds for the Hydra at `admin_url`.
    fn to(&self, admin_url: Url) -> HydraConfig {
        let is_own = Base::of(&admin_url) == Base::of(&self.common.admin_url);
        let mut config = HydraConfig { admin_url, ..self.common.clone() };
        if !is_own {
            // What its public API says of itself is true of the operator's own Hydra alone.
            config.public_url = None;
        }
        let addresses = [Some(&config.admin_url), config.public_url.as_ref()];
        if addresses.iter().flatten().all(|url| url.scheme() == "http") {
            (config.ca_pem, config.client_certificate_pem) = (None, None);
        }
        config
    }
}

fn read(setting: Setting, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        setting,
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hydra_gets_what_concerns_it() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (plain, tls) = ("http://hydra:4445", "https://hydra:4445");
        let (other, other_tls) = ("http://b:4445/clients", "https://b:4445/clients");
        let (public, public_tls) = (Some("http://id.example"), Some("https://id.example"));
        // The operator's own addresses, the one that is asked for, and whether it has the public
        // URL and the certificates.
        for (own, public, asked, expected) in [
            (plain, None, plain, (false, false)),
            (plain, public, plain, (true, false)),
            (plain, public_tls, plain, (true, true)),
            (plain, public_tls, "http://hydra:4445/admin/clients", (true, true)),
            (tls, public, tls, (true, true)),
            (tls, None, tls, (false, true)),
            (tls, public_tls, other, (false, false)),
            (plain, public_tls, other, (false, false)),
            (plain, public_tls, other_tls, (false, true)),
        ] {
            let common = HydraConfig {
                public_url: public.map(url),
                ca_pem: Some(b"authorities".to_vec()),
                client_certificate_pem: Some(b"identity".to_vec().into()),
                ..HydraConfig::new(url(own))
            };
            let config = Connections { common, metrics: Metrics::default() }.to(url(asked));
            let certificates = (config.ca_pem.is_some(), config.client_certificate_pem.is_some());
            assert_eq!(certificates, (expected.1, expected.1), "{own} {public:?} {asked}");
            assert_eq!(config.public_url.is_some(), expected.0, "{own} {public:?} {asked}");
            assert_eq!(config.admin_url, url(asked));
        }
    }
}
