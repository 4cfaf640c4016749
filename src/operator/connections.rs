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

use super::{Error, INSTANCE};
use crate::{
    hydra::{Hydra, HydraConfig, Outcome},
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

/// The admin API that the settings name. Each request to it is counted.
pub(super) fn hydra(settings: &HydraSettings, metrics: &Metrics) -> Result<Hydra, Error> {
    let read = |setting, path: &Option<PathBuf>| path.as_deref().map(|path| read(setting, path));
    let certificate = read(settings::HYDRA_CLIENT_CERT_FILE, &settings.client_cert_file);
    let key = read(settings::HYDRA_CLIENT_KEY_FILE, &settings.client_key_file);
    let identity = certificate.into_iter().chain(key).collect::<Result<Vec<_>, _>>()?.concat();
    let metrics = metrics.clone();
    let config = HydraConfig {
        public_url: settings.public_url.clone(),
        ca_pem: read(settings::HYDRA_CA_FILE, &settings.ca_file).transpose()?,
        client_certificate_pem: (!identity.is_empty()).then(|| identity.into()),
        headers_file: settings.headers_file.clone(),
        forwarded_proto: settings.forwarded_proto.clone(),
        request_timeout: settings.request_timeout,
        on_request: Some(Arc::new(move |operation, outcome, duration| {
            let code = match outcome {
                Outcome::Answered(status) => ResponseCode::Status(status.as_u16()),
                Outcome::Failed => ResponseCode::NoResponse,
            };
            metrics.hydra_request(INSTANCE, operation.as_str(), code, duration);
        })),
        ..HydraConfig::new(settings.admin_url.clone())
    };
    Ok(Hydra::new(config)?)
}

fn read(setting: Setting, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        setting,
        path: path.display().to_string(),
        source,
    })
}
