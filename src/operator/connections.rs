//! The connections that the settings ask for.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use kube::{
    Config,
    config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use url::Url;

use super::Error;
use crate::{
    hydra::{ConfigError, Hydra, HydraConfig, Outcome},
    metrics::{Metrics, ResponseCode},
    settings::{self, HydraSettings, Setting, Settings},
};

/// How to reach the Kubernetes API: the kubeconfig that is named, else what kubectl would use, else
/// the cluster that the process runs in.
pub(super) async fn kubernetes(settings: &Settings) -> Result<Config, Error> {
    let Some(path) = &settings.kubeconfig else { return Ok(Config::infer().await?) };
    let kubeconfig = Kubeconfig::read_from(path)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
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
    pub(super) fn new(settings: &HydraSettings, metrics: &Metrics) -> Result<Self, Error> {
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
        let mut config = HydraConfig {
            admin_url,
            forwarded_proto,
            on_request: Some(Arc::new(move |operation, outcome, duration| {
                let code = match outcome {
                    Outcome::Answered(status) => ResponseCode::Status(status.as_u16()),
                    Outcome::Failed => ResponseCode::NoResponse,
                };
                metrics.hydra_request(&name, operation.as_str(), code, duration);
            })),
            ..self.common.clone()
        };
        if config.admin_url.scheme() == "http" {
            (config.ca_pem, config.client_certificate_pem) = (None, None);
        }
        Hydra::new(config)
    }
}

fn read(setting: Setting, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        setting,
        path: path.display().to_string(),
        source,
    })
}
